"""Tiny networks over a group, and runs of them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import torch

from lgn_hf import LGNConvNetConfig, LGNConvNetForImageClassification

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


_TINY_NETWORK = {"image_size": 7, "num_channels": 1, "num_labels": 4, "num_orbits": [1, 2], "depths": [1, 1]}

CONVNETS = {  # between them they cover every choice of the configuration
    "rotation": {},
    "dihedral-mean": {"group": "dihedral", "orbit_pooling": "mean", "spatial_pooling": "mean", "downsampling": "mean"},
    "reflection-none": {"group": "reflection", "orbit_pooling": "none", "image_size": 8},
    "trivial-colour": {"group": "trivial", "num_channels": 3, "downsample_in_first_stage": True},
    "cyclic-norms": {"group": "cyclic", "group_order": 3, "share_norms": False},
    "learned": {"action": "learned"},
    "learned-norms": {"action": "learned", "group": "dihedral", "group_order": 2, "share_norms": False},
}


def make_convnet(name: str, seed: int = 0) -> LGNConvNetForImageClassification:
    """A freshly drawn network in float64."""
    torch.manual_seed(seed)
    return LGNConvNetForImageClassification(LGNConvNetConfig(**{**_TINY_NETWORK, **CONVNETS[name]})).double()
