"""Freed memory is used again."""

import platform
import resource

import pytest
import torch
from lgn_training.engine.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again_without_page_faults():
    assert keep_freed_memory()
    torch.ones(1 << 22)  # 16 MiB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(1 << 22)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 3 * 4096  # of 8 * 4096


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert not keep_freed_memory()
