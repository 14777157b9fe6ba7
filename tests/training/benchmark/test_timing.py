"""Contenders take turns."""

import torch
from lgn_training.benchmark.timing import alternate

CPU = torch.device("cpu")


def test_contenders_take_turns():
    turns = []
    contenders = {name: lambda name=name: turns.append(name) for name in "ab"}
    times = alternate(contenders, CPU, rounds=3)
    assert turns == list("abababbaab")  # two that do not count, then to and fro
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_slow_contenders_have_one_turn():
    times = alternate({"a": lambda: None}, CPU, rounds=100, seconds=0)
    assert len(times["a"]) == 1
