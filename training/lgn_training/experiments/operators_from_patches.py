"""The papers' experiments on learned actions, and ours: `python training/experiments.py NAME [--source MODEL_FOLDER ...]`.

Each leaves `result.json` and its figures in --output_dir; --quick does the same on less in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor
from tqdm.auto import tqdm
from transformers.utils import logging

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.actions import average_pooling, corner_swap, diagnose, transposition
from lgn_hf.files import write_whole
from lgn_hf.model.configuration_lgn import REGULARIZERS
from lgn_hf.model.filters import rotation_matrix, unit_norm, unvec, vec
from lgn_hf.plotting import action_gallery
from lgn_training.arguments import RunArguments
from lgn_training.benchmark import Contender, alternate, print_table, ratio
from lgn_training.charts import Panel, draw, range_chart
from lgn_training.data import Data, load_data
from lgn_training.evaluation import evaluate_split
from lgn_training.fitting import fit
from lgn_training.known import KNOWN, NOISE, noisy
from lgn_training.optimization import learning_rate
from lgn_training.planted import NETWORKS, Setting, search
from lgn_training.results import commit, machine, today, versions
from lgn_training.trained import SIZE, Row, codes, dft, structures
from lgn_training.transforms import epoch_indices, seeded_generator

RADII, ANGLES, COMPOSED_RADII, COMPOSED_ANGLE = (3, 4, 5, 6), (30, 45, 60, 90), (4, 5, 6), 60


def facts_of(data: Data) -> Row:
    return {"source": data.source, "fingerprint": data.fingerprint, "train": len(data.train), "test": len(data.test)}


def relative_error(found: Tensor, true: Tensor) -> Tensor:
    """||A - T||_F / ||T||_F. Shapes: (..., d, d) and (..., d, d) to (...)."""
    return torch.linalg.matrix_norm(found - true) / torch.linalg.matrix_norm(true)


# known: can the diagnostics be believed?


def known(args: argparse.Namespace) -> Row:
    """Matrices whose answer is known, and with noise of 0.3 of their norm: label, the score that speaks for it, and its z"""
    matrices = [build() for build, _, _ in KNOWN.values()]
    both = torch.stack([*matrices, *(noisy(matrix) for matrix in matrices)])
    records = diagnose(both, SIZE, null_samples=20 if args.quick else 200, seed=args.seed)
    rows = []
    for (name, (_, label, score)), *pair in zip(KNOWN.items(), records, records[len(KNOWN) :], strict=False):
        for noise, record in zip((0.0, NOISE), pair, strict=True):
            nearest, scored = record["nearest"][0], record["scores"].get(score, {"value": None, "z": None})
            rows.append(
                {
                    "matrix": name,
                    "noise": noise,
                    "label": record["label"],
                    "as known": record["label"] == label,
                    "nearest operation": nearest["correlation"],
                    "its z": nearest["z"],
                    "score": score,
                    **scored,
                }
            )
    return {"rows": rows, "data": {"source": "matrices of known structure", "fingerprint": None}, "figures": []}


# patches: section 5.2, figures 3 to 5


def patch_operators() -> dict[str, tuple[str, Tensor]]:
    """The operators of section 5.2 on SIZE x SIZE patches: name -> (the paper's figure, (d, d) float64)."""
    pooling = {radius: average_pooling(SIZE, radius) for radius in {*RADII, *COMPOSED_RADII}}
    rotation = rotation_matrix(SIZE, COMPOSED_ANGLE)
    return {
        **{f"average pooling r={r}": ("figure 3", pooling[r]) for r in RADII},
        **{f"rotation by {angle}": ("figure 4", rotation_matrix(SIZE, angle)) for angle in ANGLES},
        **{
            f"pooling r={r}, then rotation by {COMPOSED_ANGLE}": ("figure 5", rotation @ pooling[r])
            for r in COMPOSED_RADII
        },
    }


def random_patches(images: Tensor, size: int, seed: int) -> Tensor:
    """A patch of every image at a random place, as vectors of pixels in [0, 1]: (N, 1, H, W) uint8 to (N, d) float64.

    Raises:
        ValueError: the images are smaller than a patch.
    """
    number, _, height, width = images.shape
    if min(height, width) < size:
        raise ValueError(f"the images are {height} x {width}: too small for patches of {size} x {size}")
    generator = seeded_generator(seed)
    rows, columns = (
        torch.randint(side - size + 1, (number, 1), generator=generator) + torch.arange(size)
        for side in (height, width)
    )
    patches = images[torch.arange(number)[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
    return vec(patches).double() / 255


def least_squares(inputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """The A of least ||X A^T - Y||_F, and of least norm where X leaves it open; and the rank of X.

    Shapes: (N, d) and (O, N, d) to (O, d, d).
    """
    left, values, right = torch.linalg.svd(inputs, full_matrices=False)
    rank = int((values > values[0] * max(inputs.shape) * torch.finfo(inputs.dtype).eps).sum())
    inverse = (right[:rank].mT / values[:rank]) @ left[:, :rank].mT
    return (inverse @ targets).mT, rank


def descend(inputs: Tensor, operators: Tensor, *, epochs: int, seed: int) -> tuple[Tensor, list[float]]:
    """The paper's way: one linear layer y = A x, mean squared error, Adam, batches of 128, halved learning rates.

    All operators are learned at once, from the same patches; none sees another.

    Args:
        inputs: (N, d). operators: (O, d, d), what makes the targets.

    Returns:
        (O, d, d), float64, and the loss of each epoch, mean over operators.
    """
    run = RunArguments()
    inputs, operators = inputs.float(), operators.float()
    weight = unit_norm(torch.randn(operators.shape, generator=seeded_generator(seed))).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=run.learning_rate)
    size = min(run.per_device_train_batch_size, len(inputs))
    steps, losses = epochs * len(inputs[::size]), []
    for epoch in range(epochs):
        total = torch.zeros(())
        for batch in epoch_indices(len(inputs), seed=seed, epoch=epoch).split(size):
            optimizer.param_groups[0]["lr"] = learning_rate(epoch * steps // epochs, steps, run)
            errors = inputs[batch] @ (weight - operators).mT  # y^ - y, (O, B, d)
            loss = errors.square().mean((1, 2)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        losses.append(float(total) / len(inputs) / len(operators))
    return weight.detach().double(), losses


def patches(args: argparse.Namespace) -> Row:
    """Known operators learned from patches (section 5.2): relative errors of gradient descent and of least squares"""
    data = load_data(args.dataset, seed=args.seed, train_val_split=0, num_channels=1, needs_labels=False)
    raw = random_patches(data.train.images, SIZE, args.seed)
    inputs = (raw - raw.mean()) / raw.std()
    operators = patch_operators()
    true = torch.stack([matrix for _, matrix in operators.values()])
    targets = inputs @ true.mT
    solved, rank = least_squares(inputs, targets)
    learned, losses = descend(inputs, true, epochs=5 if args.quick else 100, seed=args.seed)
    missed = (targets - inputs @ learned.mT).square().sum((1, 2)) / targets.square().sum((1, 2))
    rows = [
        {
            "operator": name,
            "gradient descent": descended,
            "least squares": exact,
            "unexplained by gradient descent": share,
        }
        for name, descended, exact, share in zip(
            operators,
            relative_error(learned, true).tolist(),
            relative_error(solved, true).tolist(),
            missed.tolist(),
            strict=True,
        )
    ]
    drawn = []
    for paper in ("figure 3", "figure 4", "figure 5"):
        chosen = [i for i, (figure, _) in enumerate(operators.values()) if figure == paper]
        captions = [f"error {rows[i]['gradient descent']:.2g}" for i in chosen]
        figure = action_gallery(learned[chosen], [rows[i]["operator"] for i in chosen], captions, SIZE)
        drawn.append(draw(args, paper.replace(" ", "-"), figure))
    return {
        "rows": rows,
        "patches": len(inputs),
        "rank": rank,
        "least squares": "unique" if rank == SIZE**2 else "of least norm: the patches do not span all directions",
        "epochs": len(losses),
        "loss": losses,
        "data": facts_of(data),
        "figures": drawn,
    }


# limits: Proposition 1


def best_left(matrices: Tensor, size: int) -> Tensor:
    """The I (x) A_n nearest to each matrix: A_n is the mean of the n diagonal blocks. Shapes: (..., d, d) to (..., d, d).

    It is also what least squares finds from filters whose pixels are uncorrelated.
    """
    blocks = matrices.unflatten(-1, (size, size)).unflatten(
        -3, (size, size)
    )  # (..., n, n, n, n): column, row, column, row
    mean = blocks.diagonal(dim1=-4, dim2=-2).mean(-1)
    return torch.kron(torch.eye(size, dtype=matrices.dtype), mean)


def limits(args: argparse.Namespace) -> Row:
    """Proposition 1: relative errors of the best action I (x) A_n on columns and of the best free A on vec(W)"""
    eye = torch.eye(SIZE**2, dtype=torch.float64)
    filters = unvec(eye, SIZE)
    operators = {
        "corner swap": corner_swap(SIZE),
        "transposition": transposition(SIZE),
        "left-right flip": vec(filters.flip(-1)).mT,
        "up-down flip": vec(filters.flip(-2)).mT,
        "rotation by 90": rotation_matrix(SIZE, 90),
        "average pooling r=3": average_pooling(SIZE, 3),
    }
    true = torch.stack(list(operators.values()))
    inputs = torch.randn(10 * SIZE**2, SIZE**2, dtype=torch.float64, generator=seeded_generator(args.seed))
    free, _ = least_squares(inputs, inputs @ true.mT)
    left = best_left(true, SIZE)
    rows = [
        {"operator": name, "left": a, "vectorised": b}
        for name, a, b in zip(
            operators, relative_error(left, true).tolist(), relative_error(free, true).tolist(), strict=True
        )
    ]
    titles = [f"{name}: {kind}" for name in list(operators)[:2] for kind in ("operator", "best left", "free")]
    shown = torch.stack([each[i] for i in range(2) for each in (true, left, free)])
    gallery = action_gallery(shown, titles, None, SIZE)
    return {"rows": rows, "filters": len(inputs), "figures": [draw(args, "limits", gallery)]}


# regularizers: figure 8 and appendix B


def regularizers(args: argparse.Namespace) -> Row:
    """What keeps actions invertible, and at what price (figure 8, appendix B): time, accuracy, condition numbers"""
    accelerator = Accelerator(cpu=True)
    data = load_data(args.dataset, seed=args.seed, train_val_split=0)
    labels = data.train.labels
    assert labels is not None  # load_data looks for them
    channels, side = data.train.images.shape[1:3]
    processor = LGNImageProcessor(image_size=side, num_channels=channels).fit(data.train.images)
    steps, seeds = (4, 1) if args.quick else (500, 3)

    def make(kind: str, seed: int) -> LGNForImageClassification:
        torch.manual_seed(seed)
        fields: Row = {"image_size": side, "num_channels": channels, "num_labels": len(data.label_names or ())}
        return LGNForImageClassification(LGNConfig(**fields, regularizer=kind, pool_size=min(4, side - 3)))

    def train(kind: str, seed: int) -> Row:
        network = make(kind, seed)

        def loss(batch: Tensor) -> Tensor:
            return network(processor.pixel_values(data.train.images[batch]), labels=labels[batch]).loss

        fit(network, loss, len(labels), steps=steps, args=RunArguments(seed=seed), name=kind)
        metrics = evaluate_split(
            accelerator, network, data.test, processor.pixel_values, task="classification", batch_size=500
        )
        return {"accuracy": metrics["accuracy"], "conditions": conditions(network)}

    pixels = processor.pixel_values(data.train.images[:128])
    contenders = {kind: Contender(make(kind, args.seed)) for kind in REGULARIZERS}
    calls: dict[str, Callable[[], object]] = {
        kind: partial(contender.step, pixels, labels[:128]) for kind, contender in contenders.items()
    }
    times = alternate(calls, accelerator.device, rounds=1 if args.quick else 31, seconds=60)
    rows = []
    for kind in ("untrained", *REGULARIZERS):
        trained = kind in REGULARIZERS
        runs = [train(kind, args.seed + i) for i in range(seeds)] if trained else []
        networks = [r["conditions"] for r in runs] or [conditions(make("none", args.seed))]
        rows.append(
            {
                "regularizer": kind,
                "step ms": statistics.median(times[kind]) if trained else None,
                "step / none": ratio(times, kind, "none") if trained else None,
                "accuracy": spread([r["accuracy"] for r in runs]) if trained else None,
                "condition number": spread(torch.cat(networks).tolist()),
            }
        )
    chart = range_chart(
        [row["regularizer"] for row in rows],
        [
            Panel("step time, over that of none", [_span(row["step / none"]) for row in rows]),
            Panel("test accuracy", [_span(row["accuracy"]) for row in rows]),
            Panel("condition number", [_span(row["condition number"]) for row in rows], logarithmic=True),
        ],
        measured="median, smallest to largest",
    )
    drawn = [draw(args, "figure-8", chart)]
    return {"rows": rows, "steps": steps, "seeds": seeds, "data": facts_of(data), "figures": drawn}


def _span(row: dict[str, float] | None) -> tuple[float, float, float] | None:
    return None if row is None else (row["min"], row["median"], row["max"])


@torch.no_grad()
def conditions(network: LGNForImageClassification) -> Tensor:
    """The condition number of every action, (L*K*C,)."""
    return torch.linalg.cond(network.group_actions().flatten(0, 2).double())


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


# planted: ours


def planted_settings(quick: bool) -> list[tuple[Setting, str, str, str]]:
    """(what is planted, action, regularizer, start): every symmetry with every network, then one thing at a time."""
    if quick:
        small = Setting(num_groups=1, images=64)
        return [(small, action, "none", "random") for action in ("free", "learned", "cyclic")]
    base = Setting()
    symmetries = [
        replace(base, symmetry=name, group_order=order)
        for name, order in (("rotation", 4), ("shift", 4), ("corner_swap", 2), ("random", 4))
    ]
    seen_whole = replace(base, num_groups=1, group_order=8, num_channels=3)  # C (p - 1) > d: the orbit determines A
    changes = [
        seen_whole,
        *[replace(base, num_groups=groups) for groups in (1, 2)],
        *[replace(base, num_groups=2, group_order=order) for order in (2, 8)],
        *[replace(base, noise=noise) for noise in (0.1, 0.3)],
        *[replace(base, images=images) for images in (64, 512)],
    ]
    return [
        *[(setting, *network, "random") for setting in symmetries for network in NETWORKS],
        *[(setting, kind, "none", "random") for setting in changes for kind in ("free", "learned", "cyclic")],
        *[(setting, "learned", "none", "planted") for setting in (*symmetries, seen_whole)],
    ]


def planted(args: argparse.Namespace) -> Row:
    """A planted symmetry, looked for by reconstruction: recovery (1 is perfect), untrained networks' in brackets"""
    steps = 20 if args.quick else 800
    found = [
        search(setting, action, regularizer, steps=steps, seed=args.seed, start=start)
        for setting, action, regularizer, start in tqdm(planted_settings(args.quick), desc="planted", unit="network")
    ]
    fingerprints = list(dict.fromkeys(fingerprint for _, fingerprint in found))
    rows = [row for row, _ in found]
    return {
        "rows": rows,
        "steps": steps,
        "data": {"source": "planted dictionaries", "fingerprint": fingerprints},
        "figures": [draw(args, "planted", _recovery_chart(rows))],
    }


def _recovery_chart(rows: list[Row]) -> Figure:
    """Every network's recovery beside chance."""

    def name(row: Row) -> str:
        setting = f"{row['symmetry']}, K={row['K']}, p={row['p']}, C={row['C']}"
        changed = [f"noise {row['noise']}"] if row["noise"] else []
        changed += [f"{row['images']} images"] if row["images"] != Setting().images else []
        network = row["action"] + (f", {row['regularizer']}" if row["regularizer"] != "none" else "")
        started = ", from the truth" if row["start"] == "planted" else ""
        return ", ".join([setting, *changed]).replace("_", " ") + f": {network}{started}"

    def panel(measure: str) -> Panel:
        cells = [row[measure] for row in rows]
        ranges = [None if cell is None else (cell["found"],) * 3 for cell in cells]
        return Panel(measure, ranges, [None if cell is None else cell["chance"] for cell in cells], limits=(-0.1, 1.1))

    measures = ("filters", "orbits", "generator", "on orbits")
    return range_chart(
        [name(row) for row in rows], [panel(m) for m in measures], measured="found", reference="untrained"
    )


# The program

EXPERIMENTS = {
    function.__name__: function for function in (known, patches, structures, dft, codes, regularizers, limits, planted)
}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="experiments.py", description=__doc__)
    parser.add_argument(
        "name", choices=EXPERIMENTS, help="; ".join(f"{name}: {f.__doc__}" for name, f in EXPERIMENTS.items())
    )
    parser.add_argument(
        "--source", nargs="+", default=[], metavar="FOLDER", help="folders of trained models: structures, dft, codes"
    )
    parser.add_argument("--data", type=Path, help="folder of mnist/ and cifar10/, else from the Hub: codes")
    parser.add_argument("--dataset", default="digits", help="as for run.py: patches, regularizers")
    parser.add_argument("--quick", action="store_true", help="the same on less, in seconds")
    parser.add_argument("--output_dir", type=Path, help="folder of result.json and figures; default runs/NAME")
    parser.add_argument("--seed", type=int, default=0, help="of data, initial weights and order of batches")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error(f"argument --seed: must be at least 0, not {args.seed}")
    args.output_dir = args.output_dir or Path("runs") / args.name
    return args


def run(args: argparse.Namespace, command: list[str]) -> Row:
    """Do the experiment, leave its figures and `result.json`, print its tables."""
    experiment = EXPERIMENTS[args.name]
    args.output_dir.mkdir(parents=True, exist_ok=True)
    result = {
        "experiment": args.name,
        **experiment(args),
        "command": " ".join(["python", *command]),
        "seed": args.seed,
        "quick": args.quick,
        "machine": machine(Accelerator(cpu=True)),
        "versions": versions(),
        "commit": commit(),
        "date": today(),
    }
    write_whole(args.output_dir / "result.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    console = Console(width=None if sys.stdout.isatty() else 200)
    print_table(experiment.__doc__ or args.name, [readable(row) for row in result["rows"]], console)
    if result.get("distances"):
        print_table("Distances between the actions of two models", result["distances"], console)
    console.print(f"written: {args.output_dir}", highlight=False)
    return result


def readable(row: Row) -> Row:
    """A row as `print_table` takes it: nothing for what is not there, chance in brackets."""

    def text(value: Any) -> Any:
        if value is None:
            return "-"
        if isinstance(value, dict) and "chance" in value:
            return f"{value['found']:.2f} ({value['chance']:.2f})"
        return value

    return {name: text(value) for name, value in row.items()}


def main(argv: list[str]) -> int:
    """Run and return the exit code; whatever a user can get wrong ends in one line."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        run(parse(argv), [sys.argv[0], *argv])
    except (ValueError, OSError) as error:
        print(f"experiments.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
