"""How much memory this process has, or had at most."""

from __future__ import annotations

import sys
from pathlib import Path

import torch


def mebibytes(field: str, device: torch.device) -> float:
    """MiB: on a GPU the most that was allocated, else a field of /proc/self/status; 0 if there is neither."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    lines = Path("/proc/self/status").read_text().splitlines() if sys.platform == "linux" else []
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
