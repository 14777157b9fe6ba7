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
for turn in range(24):
    if turn == 16:  # the heap has its size by now
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12 << 20)  # 48 MiB, which glibc always hands back by default
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again_without_page_faults():
    """In a process of its own: other tests scatter memory, and keep what theirs are told to keep."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * 12288  # of 8 * 12288, the pages of the tensors


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert not keep_freed_memory()
