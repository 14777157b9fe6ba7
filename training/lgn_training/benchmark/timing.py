"""Paired times: the contenders take turns, and a ratio is the median of the ratios of neighbours."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from lgn_training.texts import Row

Times = dict[str, list[float]]


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def own_clock(device: torch.device) -> Callable[[], float]:
    """Seconds that other work on the machine does not lengthen: processor time, for one thread on a CPU."""
    return time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    device: torch.device,
    *,
    rounds: int,
    seconds: float = 3.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Milliseconds of each contender's calls. The contenders take turns, to and fro.

    There are `rounds` turns, or as many as begin within `seconds`, after two that do not count (one if they are slow).
    `clock` tells the seconds of a call.
    """
    times: Times = {name: [] for name in contenders}
    begin, warm_up, turn = time.perf_counter(), 0, 0
    while turn < rounds and (turn == 0 or time.perf_counter() - begin < seconds):
        timed = warm_up == 2 or (warm_up == 1 and time.perf_counter() - begin > seconds / 2)
        for name, call in list(contenders.items())[:: -1 if turn % 2 else 1]:
            synchronize(device)
            start = clock()
            call()
            synchronize(device)
            if timed:
                times[name].append(1e3 * (clock() - start))
        if timed:
            turn += 1
        else:
            warm_up += 1
    return times


def medians(times: Times) -> Row:
    return {f"{name} ms": statistics.median(values) for name, values in times.items()}


def ratio(times: Times, above: str, below: str) -> Row:
    """The median, smallest and largest ratio of neighbours, and the quartiles."""
    ratios = [a / b for a, b in zip(times[above], times[below], strict=True)]
    return summary(ratios)


def summary(numbers: list[float]) -> Row:
    """The median, the smallest and the largest, and the quartiles."""
    quartiles = statistics.quantiles(numbers, method="inclusive") if len(numbers) > 1 else 3 * numbers
    return {
        "median": statistics.median(numbers),
        "min": min(numbers),
        "max": max(numbers),
        "quartiles": [quartiles[0], quartiles[2]],
    }


def ratios(times: Times, *pairs: tuple[str, str]) -> Row:
    return {f"{above} / {below}": ratio(times, above, below) for above, below in pairs}


def matrix_rate(device: torch.device, size: int = 1024, calls: int = 15) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    a, b = torch.randn(2, size, size, device=device).unbind()
    product = {"product": lambda: torch.mm(a, b)}
    best = min(alternate(product, device, rounds=calls, clock=own_clock(device))["product"])
    return 2 * size**3 / (best / 1e3)
