"""What a machine lacks is said in one line each."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lgn_training.engine import machine_checks


def accelerator(device: str = "cpu", mixed_precision: str = "no") -> Any:
    return SimpleNamespace(device=torch.device(device), mixed_precision=mixed_precision)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Four cores, of which all are used, without matrix units."""
    monkeypatch.setattr(machine_checks, "_cores", lambda: 4)
    monkeypatch.setattr(machine_checks, "has_matrix_units", lambda dtype: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


def said(caplog, **options: str) -> list[str]:
    caplog.clear()
    machine_checks.warn_of_slow_cpu(accelerator(**options))
    return [record.getMessage() for record in caplog.records]


def test_idle_cores_are_named_once(caplog, monkeypatch):
    assert said(caplog) == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    (line,) = said(caplog)
    assert line.startswith("Note: 2 of 4 cores are used.")
    assert said(caplog, device="cuda") == []
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # two processes
    assert said(caplog) == []


def test_a_number_format_that_the_cpu_lacks_is_named(caplog, monkeypatch):
    for precision in ("bf16", "fp16"):
        (line,) = said(caplog, mixed_precision=precision)
        assert f"no matrix units (AMX) for {precision}" in line
        assert f"leave --{precision} out" in line
        assert said(caplog, device="cuda", mixed_precision=precision) == []
    monkeypatch.setattr(machine_checks, "has_matrix_units", lambda dtype: True)
    assert said(caplog, mixed_precision="bf16") == []
