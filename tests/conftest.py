"""What all tests share: quiet libraries, no network, and where the real data is."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that needs a server starts its own
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks here are too small for more

import pytest
import torch

torch.set_num_threads(1)

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mnist() -> str:
    """The folder of real MNIST, where LGN_HF_DATA names one; else scikit-learn's real digits."""
    folder = os.environ.get("LGN_HF_DATA")
    return str(Path(folder) / "mnist") if folder else "digits"
