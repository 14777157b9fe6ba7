"""Experiment `codes`: how sparse the codes of trained models are."""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lgn_hf import LGNImageProcessor
from lgn_hf.runs.trained_model import TrainedModel
from lgn_training.data import ImageSet, fingerprint, load_test_images, local_copy
from lgn_training.engine.trained_model import load_trained
from lgn_training.experiments.given_models import open_models, require_models
from lgn_training.experiments.range_charts import Panel, range_chart, span_of
from lgn_training.experiments.registry import experiment, save
from lgn_training.texts import Row

IMAGES = 1000  # test images to encode
NEVER, ALWAYS = 0.01, 0.99  # share of positions where a filter is on


@experiment(
    "codes",
    "How sparse are codes? Share of non-zeros, and filters that are on at 1 % of positions or less, or almost everywhere",
    options=("source", "data"),
)
def code_sparsity(args: argparse.Namespace) -> Row:
    require_models(args)
    count = IMAGES // 10 if args.quick else IMAGES
    rows, shares, digests = [], {}, {}
    for given, (name, source) in zip(args.source, open_models(args).items(), strict=True):
        _, network, processor = load_trained(given)
        images = test_images(given, source, processor, args, count)
        shares[name] = active_shares(network, processor.pixel_values(images.images))
        rows += layer_rows(name, shares[name], network.thresholds().detach())
        digests[name] = fingerprint(images)
    return {
        "rows": rows,
        "images": count,
        "data": {"source": [*digests], "fingerprint": digests},
        "figures": [save(args, "codes", power_chart(shares))],
    }


def test_images(
    given: str, source: TrainedModel, processor: LGNImageProcessor, args: argparse.Namespace, count: int
) -> ImageSet:
    """Test images of the data set that a model was trained on.

    Raises:
        ValueError: the model does not say what it was trained on.
    """
    if "dataset" not in source.recipe:
        raise ValueError(
            f"{given}: codes are of images, and it does not say what it was trained on (all_results.json)"
        )
    return load_test_images(
        local_copy(source.recipe["dataset"], args.data),
        seed=args.seed,
        image_size=processor.image_size,
        num_channels=processor.num_channels,
        needs_labels=False,
        max_test_samples=count,
    )


@torch.no_grad()
def active_shares(network: Any, pixel_values: Tensor) -> Tensor:
    """The share of images and positions at which each filter's code is not zero, (L, K, p)."""
    network.eval()
    config, counts = network.config, torch.zeros((), dtype=torch.float64)
    for batch in pixel_values.split(100):
        hidden = network(batch, output_hidden_states=True).hidden_states
        counts = counts + torch.stack([(code != 0).double().mean((2, 3)).sum(0) for code in hidden])
    shares = counts / len(pixel_values)
    return shares.view(config.num_layers, config.num_groups, config.group_order)


def layer_rows(model: str, shares: Tensor, thresholds: Tensor) -> list[Row]:
    """One row per layer, and one for all layers.

    Shapes: (L, K, p) and (L, K*p).
    """
    layers = [*zip(itertools.count(), shares, thresholds), ("all", shares.flatten(0, 1), thresholds)]
    return [
        {
            "model": model,
            "layer": layer,
            "non-zero": share.mean().item(),
            "filters": share.numel(),
            "never on": int((share <= NEVER).sum()),
            "never on, by power": [int((power <= NEVER).sum()) for power in share.T],
            "always on": int((share >= ALWAYS).sum()),
            "median threshold": threshold.median().item(),
        }
        for layer, share, threshold in layers
    ]


def power_chart(shares: dict[str, Tensor]) -> Figure:
    """Models by rows, powers of the action by panels: how often the filters of a power are on."""
    panels = [
        Panel(
            ("W", "AW")[power] if power < 2 else f"$A^{{{power}}}W$",
            [span_of(on[..., power].flatten().tolist()) if power < on.shape[-1] else None for on in shares.values()],
            limits=(-0.05, 1.05),
        )
        for power in range(max(on.shape[-1] for on in shares.values()))
    ]
    measured = "share of positions where a filter of this power is on: smallest, median, largest"
    return range_chart([*shares], panels, measured=measured)
