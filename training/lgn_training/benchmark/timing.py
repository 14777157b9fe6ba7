"""Paired times: the contenders take turns, and a ratio is the median of the ratios of neighbours."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from lgn_training.texts import Row

Times = dict[str, list[float]]


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def alternate(
    contenders: dict[str, Callable[[], object]],
    device: torch.device,
    *,
    rounds: int,
    seconds: float = 3.0,
) -> Times:
    """Milliseconds of each contender's calls. The contenders take turns, to and fro.

    There are `rounds` turns, or as many as begin within `seconds`, after two that do not count (one if they are slow).
    """
    times: Times = {name: [] for name in contenders}
    begin, warm_up, turn = time.perf_counter(), 0, 0
    while turn < rounds and (turn == 0 or time.perf_counter() - begin < seconds):
        timed = warm_up == 2 or (warm_up == 1 and time.perf_counter() - begin > seconds / 2)
        for name, call in list(contenders.items())[:: -1 if turn % 2 else 1]:
            synchronize(device)
            start = time.perf_counter()
            call()
            synchronize(device)
            if timed:
                times[name].append(1e3 * (time.perf_counter() - start))
        if timed:
            turn += 1
        else:
            warm_up += 1
    return times


def medians(times: Times) -> Row:
    return {f"{name} ms": statistics.median(values) for name, values in times.items()}


def ratio(times: Times, above: str, below: str) -> Row:
    """The median, smallest and largest ratio of neighbours."""
    ratios = [a / b for a, b in zip(times[above], times[below], strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def ratios(times: Times, *pairs: tuple[str, str]) -> Row:
    return {f"{above} / {below}": ratio(times, above, below) for above, below in pairs}


def matrix_rate(device: torch.device, size: int = 1024, calls: int = 15) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    a, b = torch.randn(2, size, size, device=device).unbind()
    best = min(alternate({"product": lambda: torch.mm(a, b)}, device, rounds=calls)["product"])
    return 2 * size**3 / (best / 1e3)
