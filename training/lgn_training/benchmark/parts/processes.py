"""Part `processes`: one process against two."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lgn_training.benchmark.contenders import Contender, make_batch, make_config
from lgn_training.benchmark.timing import alternate, ratio
from lgn_training.texts import Row


def processes(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """One process with all threads against two with half of them each"""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2:
        return []
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(
            _process, (2, threads, folder, tuple(args.data), args.rounds), nprocs=2, start_method="spawn"
        )
        return json.loads(Path(folder, "rows.json").read_text())


def _process(rank: int, world_size: int, threads: int, folder: str, data_sets: tuple[str, ...], rounds: int) -> None:
    """Alone (rank 0, all threads) and together in turns; rank 0 takes the times."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world_size)
    device, rows = torch.device("cpu"), []

    def alone(contender: Contender, batch: tuple[Tensor, Tensor]) -> None:
        dist.barrier()
        if rank == 0:
            contender.step(*batch)
        dist.barrier()

    def together(contender: Contender, batch: tuple[Tensor, Tensor]) -> None:
        dist.barrier()
        contender.step(*batch)
        dist.barrier()

    for data in data_sets:
        network = Contender.ours(make_config(data), device).network
        single, double = Contender(network), Contender(DistributedDataParallel(network))
        calls = {}
        for scaling, whole, share in (("strong", 128, 64), ("weak", 256, 128)):
            for name, call, contender, size, count in (
                ("one", alone, single, whole, threads),
                ("two", together, double, share, threads // 2),
            ):
                batch = make_batch(data, size, device)
                calls[f"{name} {scaling}"] = partial(_with_threads, count, call, contender, batch)
        times = alternate(calls, device, rounds=rounds)
        rows += [
            {
                "data": data,
                "scaling": scaling,
                "one process ms": statistics.median(times[f"one {scaling}"]),
                "two processes ms": statistics.median(times[f"two {scaling}"]),
                "two / one, images/s": ratio(times, f"one {scaling}", f"two {scaling}"),
            }
            for scaling in ("strong", "weak")
        ]
    if rank == 0:
        Path(folder, "rows.json").write_text(json.dumps(rows))
    dist.destroy_process_group()


def _with_threads(count: int, call: Callable, *arguments: Any) -> None:
    torch.set_num_threads(count)
    call(*arguments)
