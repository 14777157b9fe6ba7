"""Part `startup`: imports, first pass and memory of a fresh process."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from lgn_training.benchmark.contenders import SHAPES
from lgn_training.texts import Row

TRAINING = Path(__file__).parents[3]


def startup(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A fresh process: imports, first forward and backward pass (batch 128), and the memory that three passes add"""
    rows = []
    for data in args.data[-1:]:
        for name in ("ours", "textbook"):
            command = [sys.executable, "-m", "lgn_training.benchmark.fresh_process"]
            done = subprocess.run(
                [*command, name, *map(str, SHAPES[data]), str(device)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TRAINING), *sys.path])},
                capture_output=True,
                text=True,
                check=True,
            )
            libraries, ready, first, peak = json.loads(done.stdout.splitlines()[-1])
            rows.append(
                {
                    "data": data,
                    "network": name,
                    "import transformers' base classes s": libraries,
                    "then import lgn_hf s": ready,
                    "first pass ms": 1e3 * first,
                    "peak memory MiB": peak,
                }
            )
    return rows
