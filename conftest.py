"""What the tests and the examples in docstrings share: quiet libraries, no network, one thread, the same random numbers.

pytest reads this file first, before any test imports a library.
"""

import os
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that needs a server starts its own
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks here are too small for more

import pytest
import torch
from PIL import Image

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def names_in_docstrings(doctest_namespace: dict[str, Any]):
    """The imports that examples in docstrings leave out."""
    doctest_namespace.update(Image=Image, torch=torch)
