"""Tiny runs of networks over a group."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

TINY = ["--dataset", "digits", "--model_type", "lgn_convnet", "--num_orbits", "2", "3", "--depths", "1", "1"]
TINY += ["--max_train_samples", "200", "--max_test_samples", "100", "--num_train_epochs", "1", "--disable_tqdm"]
TINY += ["--per_device_train_batch_size", "50", "--use_cpu"]


def train_convnet(folder: Path, *options: str) -> Path:
    """Train for one epoch of a second, and return the folder of the run."""
    from accelerate.state import AcceleratorState
    from lgn_training import run

    AcceleratorState._reset_state(reset_partial_state=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run.main([*TINY, *options, "--output_dir", str(folder)]) == 0
    return folder
