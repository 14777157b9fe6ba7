"""How fast the network is, against what it could be: `python training/benchmark.py [--parts PART...] [--output FILE.json]`.

Every comparison is paired: the contenders take turns in one run, and a ratio is the median of the ratios of neighbours,
with the smallest and largest. What is compared with the textbook computes the same: its gradients are checked first, in
float64. Nothing is downloaded; images are random.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm.auto import tqdm
from transformers.utils import logging

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.files import write_whole
from lgn_hf.model.whitening import fit_patch, fit_zca
from lgn_training.arguments import RunArguments
from lgn_training.batches import TrainingBatches
from lgn_training.data import ImageSet
from lgn_training.optimization import make_optimizer
from lgn_training.results import commit, machine, today, versions
from lgn_training.textbook import TextbookLGN, ordinary_cnn

SHAPES = {"mnist": (1, 28), "cifar10": (3, 32)}  # channels, side
REGULARIZERS = ("none", "inverse", "logdet", "nuclear")
GROWTH = {"num_groups": (2, 5, 10, 20), "group_order": (2, 4, 8), "num_layers": (2, 4, 8), "filter_size": (4, 6, 8)}

Row = dict[str, Any]
Times = dict[str, list[float]]


# Networks and their steps


def make_config(data: str, **fields: Any) -> LGNConfig:
    channels, side = SHAPES[data]
    fields = {"num_channels": channels, "image_size": side, "num_labels": 10, **fields}
    return LGNConfig(**fields)


def free_filters(data: str) -> LGNConfig:
    """The same network without groups: as many filters, each its own."""
    default = LGNConfig()
    return make_config(data, num_groups=default.num_groups * default.group_order, group_order=1)


def make_batch(data: str, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    channels, side = SHAPES[data]
    return torch.randn(size, channels, side, side, device=device), torch.randint(10, (size,), device=device)


def on(device: torch.device, network: Any) -> Any:
    return network.to(device)


def our_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return network(images, labels=labels).loss


def mixed_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16):
        return our_loss(network, images, labels)


def plain_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(network(images), labels)


class Contender:
    """A network with its optimiser, and one training step of it: forward, loss, backward, clip, Adam, projection."""

    def __init__(self, network: nn.Module, loss: Callable = our_loss, optimizer: torch.optim.Optimizer | None = None):
        self.network: Any = network.train()
        self.loss, self.args = loss, RunArguments()
        self.optimizer = optimizer or make_optimizer(network, self.args)
        self.project = getattr(getattr(network, "module", network), "project_", None)

    @classmethod
    def ours(cls, config: LGNConfig, device: torch.device, loss: Callable = our_loss) -> Contender:
        torch.manual_seed(0)
        return cls(on(device, LGNForImageClassification(config)), loss)

    @classmethod
    def textbook(cls, config: LGNConfig, device: torch.device) -> Contender:
        torch.manual_seed(0)
        network = on(device, TextbookLGN(LGNForImageClassification(config)))
        return cls(network, nn.Module.__call__, torch.optim.Adam(network.parameters(), lr=RunArguments.learning_rate))

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(self.network, images, labels).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.project:
            self.project()


def check(config: LGNConfig, device: torch.device) -> float:
    """The largest relative difference of a gradient between our step and the textbook's, in float64."""
    torch.manual_seed(0)
    ours = on(device, LGNForImageClassification(config).double().train())
    textbook = on(device, TextbookLGN(ours).double().train())
    shape = (8, config.num_channels, config.image_size, config.image_size)
    images, labels = torch.randn(shape, dtype=torch.float64, device=device), torch.arange(8, device=device)
    ours(images, labels=labels).loss.backward()
    textbook(images, labels).backward()
    theirs = textbook.gradients()
    return max(
        float((p.grad - theirs[name]).abs().max() / theirs[name].abs().max().clamp_min(1e-12))
        for name, p in ours.named_parameters()
        if p.grad is not None
    )


# Time


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
    """Milliseconds of each contender's calls, taken in turns, to and fro: `rounds` of them or as many as begin within
    `seconds`, after two that do not count (one where they are slow)."""
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


def step_operations(config: LGNConfig, batch_size: int) -> int:
    """Operations of the convolution-sized products that a step needs, two for each multiply-add.

    Forward L analyses and L - 1 syntheses (the first layer starts from a zero code); backward 2 L - 1 filter gradients
    and 2 (L - 1) input gradients.
    """
    products = 2 * (2 * config.num_layers - 1) + 2 * (config.num_layers - 1)
    return 2 * products * batch_size * product_size(config)


def product_size(config: LGNConfig) -> int:
    """Multiply-adds of one convolution-sized product for one image."""
    return config.code_size**2 * config.num_filters * config.num_channels * config.filter_dim


class OperationCount(TorchDispatchMode):
    """Counts the tensor operations that reach a device, views included."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def group_work(network: LGNForImageClassification) -> None:
    """What groups add to a step: orbits, regularizer, projection, forwards and backwards."""
    (network.filter_bank().sum() + network.regularization_loss()).backward()
    network.zero_grad()
    network.project_()


def group_operations(network: LGNForImageClassification) -> int:
    with OperationCount() as counter:
        group_work(network)
    return counter.count


# The parts of the benchmark; each gives rows of one table


def steps(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Training step: ours, the textbook's, free filters, an ordinary network, the machine's matrix rate"""
    rows = []
    for data in args.data:
        config = make_config(data)
        error, rate = check(config, device), matrix_rate(device)
        channels, side = SHAPES[data]
        multiply_adds = (2 * config.num_layers - 1) * product_size(config)
        for size in args.batch_sizes:
            batch = make_batch(data, size, device)
            ours = partial(Contender.ours(config, device).step, *batch)
            others = {
                "textbook": Contender.textbook(config, device),
                "free": Contender.ours(free_filters(data), device),
                "cnn": Contender(on(device, ordinary_cnn(channels, side, 10, multiply_adds)), plain_loss),
            }
            # In pairs: what the third leaves of the caches would count for one of the two.
            pairs = {
                name: alternate({"ours": ours, name: partial(other.step, *batch)}, device, rounds=args.rounds)
                for name, other in others.items()
            }
            step = statistics.median(pairs["free"]["ours"])
            rows.append(
                {
                    "data": data,
                    "batch": size,
                    "ours ms": step,
                    **{f"{name} ms": statistics.median(times[name]) for name, times in pairs.items()},
                    "roofline ms": 1e3 * step_operations(config, size) / rate,
                    "images/s": 1e3 * size / step,
                    "textbook / ours": ratio(pairs["textbook"], "textbook", "ours"),
                    "ours / free": ratio(pairs["free"], "ours", "free"),
                    "ours / cnn": ratio(pairs["cnn"], "ours", "cnn"),
                    "gradient error": error,
                }
            )
    return rows


def regularizers(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """What a regularizer adds to a step, and operations dispatched for orbits, regularizer and projection"""
    rows = []
    for data in args.data:
        batch = make_batch(data, 128, device)
        contenders = {kind: Contender.ours(make_config(data, regularizer=kind), device) for kind in REGULARIZERS}
        times = alternate(
            {kind: partial(c.step, *batch) for kind, c in contenders.items()}, device, rounds=2 * args.rounds
        )
        rows += [
            {
                "data": data,
                "regularizer": kind,
                "step ms": statistics.median(times[kind]),
                "step / none": ratio(times, kind, "none"),
                "operations": group_operations(contender.network),
            }
            for kind, contender in contenders.items()
        ]
    return rows


def precision(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """float32 against bfloat16 autocast, a training step of the default network and of one with more and larger filters"""
    rows = []
    for data in args.data:
        batch = make_batch(data, 128, device)
        for config in (make_config(data), make_config(data, num_groups=10, group_order=6, filter_size=8)):
            losses = {"float32": our_loss, "bfloat16": mixed_loss}
            contenders = {name: Contender.ours(config, device, loss) for name, loss in losses.items()}
            times = alternate(
                {name: partial(c.step, *batch) for name, c in contenders.items()},
                device,
                rounds=args.rounds,
                seconds=9.0,
            )
            rows.append(
                {
                    "data": data,
                    "filters": config.num_filters,
                    "size": config.filter_size,
                    **medians(times),
                    **ratios(times, ("float32", "bfloat16")),
                }
            )
    return rows


def growth(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """How step and group work grow, one thing at a time (MNIST shapes, batch 128)"""
    batch = make_batch("mnist", 128, device)
    rows = []
    for field, values in GROWTH.items():
        contenders = {value: Contender.ours(make_config("mnist", **{field: value}), device) for value in values}
        step_times, group_times = (
            alternate({str(v): partial(call, c) for v, c in contenders.items()}, device, rounds=5, seconds=2.0)
            for call in (lambda c: c.step(*batch), lambda c: group_work(c.network))
        )
        rows += [
            {
                "field": field,
                "value": value,
                "step ms": statistics.median(step_times[str(value)]),
                "groups ms": statistics.median(group_times[str(value)]),
                "operations": group_operations(contender.network),
            }
            for value, contender in contenders.items()
        ]
    return rows


def processes(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """One process with all threads against two with half of them each"""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2:
        return []
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(  # pyright: ignore[reportPrivateImportUsage]
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


def pipeline(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """The input pipeline alone, a batch of 128, against a step"""
    rows = []
    for data in args.data:
        channels, side = SHAPES[data]
        images = ImageSet(
            torch.randint(256, (6400, channels, side, side), dtype=torch.uint8), torch.zeros(6400).long()
        )
        processor = LGNImageProcessor(size={"height": side, "width": side}, num_channels=channels)

        def to_pixels(images: Tensor, processor: LGNImageProcessor = processor) -> Tensor:
            return processor(images, return_tensors="pt")["pixel_values"].to(device)

        def feed(**augmentation: Any):
            batches = TrainingBatches(
                images,  # noqa: B023  (used within this turn of the loop)
                to_pixels,
                batch_size=128,
                accumulation_steps=1,
                seed=0,
                rank=0,
                world_size=1,
                device=device,
                **augmentation,
            )
            while True:
                yield from batches.epoch(0)

        contender, batch = Contender.ours(make_config(data), device), make_batch(data, 128, device)
        kept, augmented = feed(), feed(random_crop=4, random_flip=True)
        times = alternate(
            {
                "step": partial(contender.step, *batch),
                "kept": partial(next, kept),
                "augmented": partial(next, augmented),
            },
            device,
            rounds=2 * args.rounds,
        )
        rows.append({"data": data, **medians(times), **ratios(times, ("kept", "step"), ("augmented", "step"))})
    return rows


STARTUP = """
import json, sys, time
start = time.perf_counter()
from transformers import BaseImageProcessor, PreTrainedModel
libraries = time.perf_counter()
import lgn_hf
ready = time.perf_counter()
import torch
sys.path.insert(0, sys.argv[1])
from lgn_training.textbook import TextbookLGN
name, channels, side, device = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), torch.device(sys.argv[5])

def peak(of):
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    lines = open("/proc/self/status").read().splitlines() if sys.platform == "linux" else []
    return sum(int(line.split()[1]) for line in lines if line.startswith(of)) / 1024

config = lgn_hf.LGNConfig(num_channels=channels, image_size=side, num_labels=10)
network = lgn_hf.LGNForImageClassification(config).train()
network = (TextbookLGN(network) if name == "textbook" else network).to(device)
images, labels = torch.randn(128, channels, side, side, device=device), torch.randint(10, (128,), device=device)
before = peak("VmRSS:")
begin = time.perf_counter()
for step in range(3):
    loss = network(images, labels=labels)
    (loss if name == "textbook" else loss.loss).backward()
    float(next(network.parameters()).grad.sum())
    first = first if step else time.perf_counter() - begin
print(json.dumps([libraries - start, ready - libraries, first, peak("VmHWM:") - before]))
"""


def startup(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A fresh process: imports, first forward and backward pass (batch 128), memory that three of them add at most"""
    rows = []
    for data in args.data[-1:]:
        for name in ("ours", "textbook"):
            facts = (str(Path(__file__).parent.parent), name, *map(str, SHAPES[data]), str(device))
            done = subprocess.run([sys.executable, "-c", STARTUP, *facts], capture_output=True, text=True, check=True)
            libraries, ready, first, peak = json.loads(done.stdout.splitlines()[-1])
            rows.append(
                {
                    "data": data,
                    "network": name,
                    "import transformers' base classes s": libraries,
                    "then import lgn_hf s": ready,
                    "first pass ms": 1e3 * first,
                    "peak memory MiB": peak,
                }
            )
    return rows


def whitening(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Fitting whitening on images like CIFAR-10's training set"""
    images = torch.randn(50_000, 3, 32, 32)
    rows = []
    for fit in (fit_patch, fit_zca):
        start = time.perf_counter()
        fit(images)
        rows.append({"whitening": fit.__name__.removeprefix("fit_"), "seconds": time.perf_counter() - start})
    return rows


@torch.no_grad()
def inference(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A loaded model, its filters as plain constants, exported, compiled"""
    rows = []
    for data in args.data:
        with tempfile.TemporaryDirectory() as folder:
            LGNForImageClassification(make_config(data)).save_pretrained(folder)
            loaded, constant = (on(device, LGNForImageClassification.from_pretrained(folder)).eval() for _ in range(2))
        bank = constant.filter_bank().flatten(1, 2)
        constant.lgn.current_filters = lambda bank=bank: bank
        for size in (1, 128):
            images, _ = make_batch(data, size, device)
            exported = torch.export.export(loaded, (images,)).module()
            contenders: dict[str, Callable] = {"loaded": loaded, "constant": constant, "exported": exported}
            if args.compile:
                contenders["compiled"] = torch.compile(loaded)
            expected = loaded(images).logits
            for name, network in contenders.items():
                torch.testing.assert_close(network(images).logits, expected, rtol=1e-3, atol=1e-4, msg=name)
            times = alternate(
                {name: partial(network, images) for name, network in contenders.items()},
                device,
                rounds=2 * args.rounds,
            )
            rows.append(
                {
                    "data": data,
                    "batch": size,
                    **medians(times),
                    "images/s": 1e3 * size / statistics.median(times["loaded"]),
                    **ratios(times, ("loaded", "constant")),
                }
            )
    return rows


PARTS = {
    part.__name__: part
    for part in (steps, regularizers, precision, growth, processes, pipeline, startup, whitening, inference)
}


# The program


def show(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.2f} ({value['min']:.2f} to {value['max']:.2f})"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_table(title: str, rows: list[Row], console: Console) -> None:
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*map(show, row.values()))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--data", nargs="+", choices=SHAPES, default=list(SHAPES), help="shapes of images")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[32, 128, 1024], help="images per training step")
    parser.add_argument("--rounds", type=int, default=11, help="timed steps of each contender, at most")
    parser.add_argument("--compile", action="store_true", help="inference: torch.compile too, which takes a minute")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    accelerator = Accelerator()
    console = Console(width=None if sys.stdout.isatty() else 160)
    results = {}
    for name in (bar := tqdm(args.parts, unit="part")):
        bar.set_description(name)
        rows = PARTS[name](args, accelerator.device)
        if rows:
            results[name] = rows
            print_table(PARTS[name].__doc__ or name, rows, console)
    if args.output:
        facts = {"command": " ".join(["python", *sys.argv]), "machine": machine(accelerator), "versions": versions()}
        facts |= {"commit": commit(), "date": today()}
        write_whole(args.output, json.dumps({**results, **facts}, indent=2) + "\n")


if __name__ == "__main__":
    main()
