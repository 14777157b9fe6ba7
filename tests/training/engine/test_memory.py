"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest
from lgn_training.engine.memory import keep_freed_memory

FAULTS = """
import resource
import torch
from lgn_training.engine.memory import keep_freed_memory

assert keep_freed_memory()
torch.ones(1 << 22)  # 16 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    torch.ones(1 << 22)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again_without_page_faults():
    """In a process of its own: other tests scatter memory, and keep what theirs are told to keep."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * 4096  # of 8 * 4096


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert not keep_freed_memory()
