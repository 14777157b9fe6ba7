"""Part `discovery_growth`: what a search for symmetries costs, as points and dimensions become more."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import torch
from tqdm.auto import tqdm

from lgn_hf.discovery import cyclic_table, discover, plant
from lgn_training.benchmark.process_memory import mebibytes
from lgn_training.texts import Row

ORDERS = (2, 3, 4)  # those of `lgn-hf discover`
DIMS, POINTS_PER_DIM = (9, 16, 25, 36, 49, 64), 3
DIM, RATIOS = 25, (2, 4, 8, 12)
GROUP, NOISE = cyclic_table(4), 0.2


def discovery_growth(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """What `discover` costs for N points in d dimensions: processor seconds on one thread, and the MiB that it adds at most

    The last row has the exponents a and b of seconds ~ N^a d^b.
    """
    if device.type != "cpu":
        return []
    shapes = [(POINTS_PER_DIM * d, d) for d in DIMS] + [(ratio * DIM, DIM) for ratio in RATIOS]
    sizes = tqdm(dict.fromkeys(shapes), desc="discovery_growth", unit="search", leave=False)
    rows = [in_new_process(n, d) for n, d in sizes]
    a, b = exponents(rows)
    return [*rows, dict.fromkeys(rows[0], "") | {"of": "exponents", "d": b, "N": a}]


def in_new_process(n: int, d: int) -> Row:
    """One search, whose memory nothing else has used."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(search, n, d).result()


def search(n: int, d: int) -> Row:
    """The cost of one search in planted orbits of C_4."""
    torch.set_num_threads(1)
    points, _ = plant(GROUP, d, n, NOISE, torch.Generator().manual_seed(0))
    cpu = torch.device("cpu")
    before, start = mebibytes("VmRSS:", cpu), time.process_time()
    group = discover(points, ORDERS).group
    return {
        "of": "points",
        "d": d,
        "N": len(points),
        "search s": time.process_time() - start,
        "peak MiB": mebibytes("VmHWM:", cpu) - before,
        "group": "none" if group is None else group.name,
    }


def exponents(rows: Sequence[Row]) -> tuple[float, float]:
    """a and b of seconds ~ N^a d^b, by least squares of the logarithms."""
    known = torch.tensor([[1.0, math.log(row["N"]), math.log(row["d"])] for row in rows], dtype=torch.float64)
    seconds = torch.tensor([[math.log(row["search s"])] for row in rows], dtype=torch.float64)
    _, a, b = torch.linalg.lstsq(known, seconds).solution[:, 0].tolist()
    return a, b
