"""A few images on a model's card, and what the model makes of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..model.image_processing_lgn import LGNImageProcessor
from ..plotting import code_plot, image_plot

EXAMPLES_NAME = "examples"
MOST_EXAMPLES = 8


def find_examples(folder: str | os.PathLike) -> list[Path]:
    """What `save_examples` wrote into a model's folder, in its order."""
    return sorted(Path(folder, EXAMPLES_NAME).glob("*.png"))


def save_examples(images: Sequence[Any], processor: LGNImageProcessor, folder: str | os.PathLike) -> list[Path]:
    """Write images as `folder`/examples/1.png, 2.png, ...: of the size and channels that the model sees, and without what
    else their files say, such as where a photograph was taken.

    Args:
        images: 8 at most, each whatever the processor takes.
        processor: the model's.
        folder: the model's.

    Returns:
        the paths.

    Raises:
        ValueError: there are too many, or one cannot be read; the message says which.
    """
    if len(images) > MOST_EXAMPLES:
        raise ValueError(f"{len(images)} examples: a card has room for {MOST_EXAMPLES}")
    plain = _plain(processor)
    pictures = (
        plain.post_process_reconstruction(plain([*images], return_tensors="pt")["pixel_values"]) if len(images) else []
    )
    paths = [Path(folder, EXAMPLES_NAME, f"{number}.png") for number in range(1, len(pictures) + 1)]
    for picture, path in zip(pictures, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return paths


def draw_examples(model: Any, processor: LGNImageProcessor, paths: Sequence[Path]) -> dict[str, Figure]:
    """What a model makes of saved examples.

    Args:
        model: `LGNForImageClassification` or `LGNForImageReconstruction`.
        processor: the model's.
        paths: from `save_examples`.

    Returns:
        by its name, `predictions`: each image with its most probable label; or `reconstructions`: x, x', and the share
        |x - x'|^2 / |x|^2 of the energy that is missed. And `codes`, of the first image. Nothing where there are no examples.

    Raises:
        ValueError: an image cannot be read, or an answer is not finite.
    """
    if not paths:
        return {}
    names: list[Any] = [str(path) for path in paths]
    plain, pixel_values = (each(names, return_tensors="pt")["pixel_values"] for each in (_plain(processor), processor))
    images = _shown(plain)
    with torch.no_grad():
        outputs = model.eval()(pixel_values=pixel_values, output_hidden_states=True)
    answer: Tensor = outputs["logits" if "logits" in outputs else "reconstruction"]
    if not answer.isfinite().all():
        raise ValueError("the model's answer to an example is not finite")
    order = model.config.group_order if model.config.group_order > 1 else None
    figures = {"codes": code_plot(plain[0], [code[0] for code in outputs["hidden_states"]], order)}
    if "logits" in outputs:
        labels = model.config.id2label or {}
        best = answer.double().softmax(-1).max(-1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        captions = [f"{labels.get(i, i)}\n{100 * p:.1f} %" for i, p in pairs]
        return {"predictions": image_plot({"": images}, captions), **figures}

    energy, missed = (x.square().sum((1, 2, 3)) for x in (pixel_values, pixel_values - answer))
    rows = {"image": images}
    if processor.whitening != "none":
        low, high = (extreme(pixel_values, (1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
        for name, x in {"whitened": pixel_values, "recon-\nstructed": answer}.items():
            rows[name] = _shown((x - low) / (high - low).clamp_min(1e-12))
    back = processor.post_process_reconstruction(answer)
    rows["as an\nimage" if processor.whitening != "none" else "recon-\nstructed"] = [*map(np.asarray, back)]
    shares = (missed / energy.clamp_min(1e-12)).tolist()
    return {"reconstructions": image_plot(rows, [f"{100 * share:.2f} %" for share in shares]), **figures}


def _plain(processor: LGNImageProcessor) -> LGNImageProcessor:
    """To images in [0, 1] of the same size and channels, and back."""
    channels = processor.num_channels
    return LGNImageProcessor(processor.image_size, channels, [0.0] * channels, [1.0] * channels)


def _shown(values: Tensor) -> list[np.ndarray]:
    """(B, C, H, W) in [0, 1] as arrays (H, W) or (H, W, 3)."""
    return [*values.clamp(0, 1).moveaxis(1, -1).squeeze(-1).numpy()]
