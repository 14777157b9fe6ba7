"""Part `discovery_growth`: what a search for symmetries costs, as points and dimensions become more."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import Dictionary, cyclic_table, discover, learn_dictionary, plant
from lgn_training.benchmark.process_memory import mebibytes
from lgn_training.texts import Row

ORDERS = (2, 3, 4)  # those of `lgn-hf discover`
DIMS, POINTS_PER_DIM = (9, 16, 25, 36, 49, 64), 3
DIM, RATIOS = 25, (2, 4, 8, 12)
DICTIONARIES = ((25, 240), (49, 500))  # dimensions, atoms
GROUP, NOISE = cyclic_table(4), 0.2
PATCHES, PATCH_NOISE = 60_000, 0.1  # as many as `lgn-hf discover` takes
HIDDEN, ON = 0.8, 5  # hidden atoms for each that is learned, and how many of them a patch has, in the mean

Measure = Callable[[int, int], Row]


def discovery_growth(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """What `discover` costs for N points in d dimensions: processor seconds on one thread, and the MiB that it adds at most

    The last row has the exponents a and b of seconds ~ N^a d^b, fitted to the searches in points.
    """
    if device.type != "cpu":
        return []
    shapes = [(POINTS_PER_DIM * d, d) for d in DIMS] + [(ratio * DIM, DIM) for ratio in RATIOS]
    jobs: list[tuple[Measure, int, int]] = [(search_of_points, n, d) for n, d in dict.fromkeys(shapes)]
    jobs += [(search_of_dictionary, n, d) for d, n in DICTIONARIES]
    rows = [alone(*job) for job in tqdm(jobs, desc="discovery_growth", unit="search", leave=False)]
    a, b = exponents([row for row in rows if row["of"] == "points"])
    return [*rows, dict.fromkeys(rows[0], "") | {"of": "exponents", "N": a, "d": b}]


def alone(measure: Measure, n: int, d: int) -> Row:
    """A measurement in a new process, whose memory nothing else has used."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, n, d).result()


def search_of_points(n: int, d: int) -> Row:
    """One search in planted orbits of C_4."""
    points, _ = plant(GROUP, d, n, NOISE, torch.Generator().manual_seed(0))
    return measured("points", len(points), d, lambda: (points, None))


def search_of_dictionary(n: int, d: int) -> Row:
    """A dictionary of each half of the patches and the search, as in `lgn-hf discover`."""
    hidden, _ = plant(GROUP, d, round(HIDDEN * n), 0.0, torch.Generator().manual_seed(0))
    halves = [patches_of(hidden.float(), seed) for seed in (1, 2)]
    return measured("a dictionary", n, d, lambda: tuple(learn_dictionary(half, n) for half in halves))


def patches_of(atoms: Tensor, seed: int) -> Tensor:
    """Sparse non-negative sums of atoms, with noise."""
    generator = torch.Generator().manual_seed(seed)
    chunks = []
    for _ in range(0, PATCHES, 1000):
        codes = torch.rand(1000, len(atoms), generator=generator) + 0.5
        chunks.append((codes * (torch.rand(codes.shape, generator=generator) < ON / len(atoms))) @ atoms)
    patches = torch.cat(chunks)
    return patches.add_(torch.randn(patches.shape, generator=generator), alpha=PATCH_NOISE * float(patches.std()))


def measured(of: str, n: int, d: int, points: Callable[[], tuple[Tensor | Dictionary, Dictionary | None]]) -> Row:
    """What it costs to get the points and the held-out points, and to search in them."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    before = mebibytes("VmRSS:", cpu)
    times = [time.process_time()]
    found, held_out = points()
    times.append(time.process_time())
    group = discover(found, ORDERS, held_out=held_out).group
    times.append(time.process_time())
    return {
        "of": of,
        "d": d,
        "N": n,
        "dictionaries s": times[1] - times[0],
        "search s": times[2] - times[1],
        "peak MiB": mebibytes("VmHWM:", cpu) - before,
        "group": "none" if group is None else group.name,
    }


def exponents(rows: Sequence[Row]) -> tuple[float, float]:
    """a and b of seconds ~ N^a d^b, by least squares of the logarithms."""
    known = torch.tensor([[1.0, math.log(row["N"]), math.log(row["d"])] for row in rows], dtype=torch.float64)
    seconds = torch.tensor([[math.log(row["search s"])] for row in rows], dtype=torch.float64)
    _, a, b = torch.linalg.lstsq(known, seconds).solution[:, 0].tolist()
    return a, b
