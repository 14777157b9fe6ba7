"""What trained models learned: the structures of their actions, what the Fourier basis makes of them, and their codes."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lgn_hf.actions import MAX_ORDER, MIN_Z, Actions, compare, permutation_test, scores
from lgn_hf.plotting import STRUCTURES, dft_plot, median_of, portraits, summary
from lgn_hf.runs.sources import Source, open_source
from lgn_training.charts import Panel, draw, range_chart
from lgn_training.data import fingerprint, load_test_images
from lgn_training.evaluate_model import load_trained
from lgn_training.transforms import seeded_generator
from lgn_training.zoo import local

SIZE = 6  # pixels, the side of the papers' filters and patches
IMAGES = 1000  # whose codes are looked at
NEVER, ALWAYS = 0.01, 0.99  # share of positions where a filter is on

Row = dict[str, Any]


def sources(args: argparse.Namespace) -> dict[str, Source]:
    """Every --source, by folder name (as it was given where names repeat)."""
    opened = [open_source(source) for source in args.source]
    names = [source.name for source in opened]
    names = [name if names.count(name) == 1 else given for name, given in zip(names, args.source, strict=True)]
    return dict(zip(names, opened, strict=True))


def facts_of_sources(found: dict[str, Source]) -> Row:
    digests = {
        name: hashlib.sha256(flat(source).contiguous().numpy().data).hexdigest() for name, source in found.items()
    }
    return {"source": list(digests), "fingerprint": digests}


def flat(source: Source) -> Tensor:
    """(L*K*C, d, d), in the order of `Actions.diagnose`."""
    return source.actions.matrices.flatten(0, 2)


def structures(args: argparse.Namespace) -> Row:
    """Actions of trained models (figures 1, 2, 6, 7): labels, and medians of conditions, z-scores and correlations"""
    if not args.source:
        raise ValueError("structures looks at trained models: name their folders with --source")
    found = sources(args)
    drawn = []
    for name, source in found.items():
        prefix = name.replace("/", "-").strip("-")
        drawn += [draw(args, f"{prefix}-{kind}", figure) for kind, figure in portraits(source.actions).items()]
    actions = {name: beyond_chance(source.actions) for name, source in found.items()}
    # Of one channel, so that networks of grey and of colour images have as many: more would be nearer to any others.
    sets = {name: source.actions[:, :, :1] for name, source in found.items()}
    comparable = len({one.matrices.shape for one in sets.values()}) == 1
    groups = [source.data_and_task for source in found.values()]
    repeated = 1 < len(set(groups)) < len(groups)
    return {
        "rows": [{"model": name, **summary(source.actions)} for name, source in found.items()],
        "by task": {
            task: totals(
                [row for name, source in found.items() if source.recipe.get("task") == task for row in actions[name]]
            )
            for task in sorted({source.recipe["task"] for source in found.values() if "task" in source.recipe})
        },
        "distances": [
            {"model": a, "other": b, "distance": whole.value, "chance": whole.chance}
            for a, b in itertools.combinations(found, 2)
            if comparable and (whole := compare(sets[a], sets[b], seed=args.seed).whole)
        ],
        # Do actions depend on data and task? That takes several, and at least one of them trained more than once.
        "permutation test": permutation_test([one.matrices.flatten(0, 2) for one in sets.values()], groups)
        if comparable and repeated
        else None,
        "actions": actions,
        "data": facts_of_sources(found),
        "figures": [draw(args, "structures", _structure_chart(actions)), *drawn],
    }


def beyond_chance(actions: Actions) -> list[Row]:
    """Of each distinct action its label, all z-scores, and how far A^p is from a multiple of the identity (None for orders
    beyond those diagnosed)."""
    order = actions.order
    return [
        {
            "key": record["key"],
            "label": record["label"],
            "z": {name: score["z"] for name, score in record["scores"].items()},
            "residual of A^p": record["cyclic_residuals"][order - 1] if order <= MAX_ORDER else None,
        }
        for record in actions.distinct().diagnose()
    ]


def totals(rows: list[Row]) -> Row:
    """Over the actions of several models: how many, how often each label, and of each score how many are beyond chance (z of more
    than 5) and the median z."""
    columns = {name: [row["z"][name] for row in rows] for name in rows[0]["z"]}
    return {
        "actions": len(rows),
        "labels": dict(Counter(row["label"] for row in rows if row["label"]).most_common()),
        "beyond chance": {name: sum(z is not None and z > MIN_Z for z in column) for name, column in columns.items()},
        "median z": {name: median_of(column) for name, column in columns.items()},
    }


def _structure_chart(actions: dict[str, list[Row]]) -> Figure:
    """Models by rows: how far beyond chance each structure is over all actions, and how far A^p is from the identity."""

    panels = [
        Panel(
            structure.replace("_", " "),
            [_span([row["z"][structure] for row in rows]) for rows in actions.values()],
            references=[0.0] * len(actions),
        )
        for structure in STRUCTURES
    ]
    residuals = [_span([row["residual of A^p"] for row in rows]) for rows in actions.values()]
    panels.append(Panel("A^p from cI", residuals, limits=(-0.05, 1.05)))
    return range_chart(list(actions), panels, measured="z of the median action, from the smallest to the largest")


def _span(found: Sequence[float | None]) -> tuple[float, float, float] | None:
    values = [value for value in found if value is not None]
    return (min(values), statistics.median(values), max(values)) if values else None


def dft(args: argparse.Namespace) -> Row:
    """How far the Fourier basis makes A diagonal (appendix D): share of the energy of F A F^-1 on its diagonal"""
    generator, dim = seeded_generator(args.seed), SIZE**2
    first = torch.randn(dim, dtype=torch.float64, generator=generator)
    band = torch.randn(2 * dim - 1, dtype=torch.float64, generator=generator)
    offsets = torch.arange(dim)[:, None] - torch.arange(dim)
    shown = {
        "circulant": first[offsets % dim],
        "Toeplitz": band[offsets + dim - 1],
        "random": torch.randn(dim, dim, dtype=torch.float64, generator=generator),
    }
    references, found = len(shown), sources(args)
    for name, source in found.items():
        best = flat(source)[scores(flat(source))["toeplitz"].argmax()]  # figure 11: that of figure 1b
        shown[f"{name}, most Toeplitz"] = best.double()
    rows = [{"matrix": name, **dft_shares(matrix)} for name, matrix in shown.items()]
    for name, source in found.items():
        shares = [dft_shares(matrix) for matrix in flat(source).double()]
        means = {key: statistics.mean(share[key] for share in shares) for key in shares[0]}
        rows.append({"matrix": f"{name}, mean of {len(shares)}", **means})
    drawn = [draw(args, "dft", _dft_figure(shown, slice(references)))]
    if found:
        drawn.append(draw(args, "dft-learned", _dft_figure(shown, slice(references, None))))
    return {"rows": rows, "data": facts_of_sources(found), "figures": drawn}


def dft_shares(matrix: Tensor) -> dict[str, float]:
    """Of the energy of F A F^-1: what is on the diagonal, and what is in the d largest of its d^2 entries."""
    dim = len(matrix)
    fourier = torch.fft.fft(torch.eye(dim, dtype=torch.complex128), norm="ortho")
    energy = (fourier @ matrix.to(fourier.dtype) @ fourier.mH).abs().square()
    largest = energy.flatten().topk(dim).values
    return {
        "on the diagonal": float(energy.diagonal().sum() / energy.sum()),
        "in the d largest": float(largest.sum() / energy.sum()),
    }


def _dft_figure(shown: dict[str, Tensor], which: slice) -> Figure:
    return dft_plot(torch.stack([*shown.values()][which]), [*shown][which])


def codes(args: argparse.Namespace) -> Row:
    """How sparse are codes? Share of non-zeros, and filters that are never on (at 1 % of positions or less) or always"""
    if not args.source:
        raise ValueError("codes looks at trained models: name their folders with --source")
    rows, shares, digests = [], {}, {}
    most = IMAGES // 10 if args.quick else IMAGES
    for given, (name, source) in zip(args.source, sources(args).items(), strict=True):
        if "dataset" not in source.recipe:
            raise ValueError(
                f"{given}: codes are of images, and it does not say what it was trained on (all_results.json)"
            )
        _, network, processor = load_trained(given)
        images = load_test_images(
            local(source.recipe["dataset"], args.data),
            seed=args.seed,
            image_size=processor.image_size,
            num_channels=processor.num_channels,
            needs_labels=False,
            max_test_samples=most,
        )
        on = active_shares(network, processor.pixel_values(images.images))
        thresholds = network.thresholds().detach()
        rows += [
            {
                "model": name,
                "layer": layer,
                "non-zero": share.mean().item(),
                "filters": share.numel(),
                "never on": int((share <= NEVER).sum()),
                "never on, by power": [int((power <= NEVER).sum()) for power in share.T],
                "always on": int((share >= ALWAYS).sum()),
                "median threshold": threshold.median().item(),
            }
            for layer, share, threshold in [
                *zip(itertools.count(), on, thresholds),
                ("all", on.flatten(0, 1), thresholds),
            ]
        ]
        shares[name], digests[name] = on, fingerprint(images)
    panels = [
        Panel(
            ("W", "AW")[power] if power < 2 else f"$A^{{{power}}}W$",
            [_span(on[..., power].flatten().tolist()) if power < on.shape[-1] else None for on in shares.values()],
            limits=(-0.05, 1.05),
        )
        for power in range(max(on.shape[-1] for on in shares.values()))
    ]
    chart = range_chart(
        [*shares], panels, measured="share of positions where a filter of this power is on: smallest, median, largest"
    )
    return {
        "rows": rows,
        "images": most,
        "data": {"source": [*digests], "fingerprint": digests},
        "figures": [draw(args, "codes", chart)],
    }


@torch.no_grad()
def active_shares(network: Any, pixel_values: Tensor) -> Tensor:
    """Of each filter the share of images and positions where its code is not zero, (L, K, p)."""
    network.eval()
    config, counts = network.config, torch.zeros((), dtype=torch.float64)
    for batch in pixel_values.split(100):
        hidden = network(batch, output_hidden_states=True).hidden_states
        counts = counts + torch.stack([(code != 0).double().mean((2, 3)).sum(0) for code in hidden])
    shares = counts / len(pixel_values)
    return shares.view(config.num_layers, config.num_groups, config.group_order)
