"""Classify image files with a trained model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from .model.configuration_lgn import LGNConfig
from .model.image_processing_lgn import LGNImageProcessor
from .model.modeling_lgn import LGNForImageClassification

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """A label and its probability."""

    label: str
    probability: float


def predict(
    repo_or_folder: str | os.PathLike,
    images: Sequence[str | os.PathLike],
    *,
    top: int = 5,
    revision: str | None = None,
) -> list[list[Prediction]]:
    """Classify image files.

    Args:
        repo_or_folder: a folder of a trained or published classifier, else the name of a repository.
        images: paths, or addresses that start with http:// or https://.
        top: the most labels per image.
        revision: branch, tag or commit of the repository.

    Returns:
        for each image, its most probable labels, the most probable one first.

    Raises:
        ValueError: there is no image, an image cannot be read, the model is not a classifier, or its answer is not
            finite.
        OSError: the model cannot be found or read.

    Example:
        >>> predict("model_cards/lgn-mnist", ["model_cards/lgn-mnist/examples/1.png"], top=1)
        [[Prediction(label='9', probability=0.999...)]]
    """
    if not images:
        raise ValueError("images is empty: at least one image is needed")
    if top < 1:
        raise ValueError(f"top={top}: must be at least 1")
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    config = LGNConfig.from_pretrained(repo_or_folder, **options)
    if config.architectures != [LGNForImageClassification.__name__]:
        kind = ", ".join(map(str, config.architectures)) if isinstance(config.architectures, list) else "nothing"
        raise ValueError(f"{repo_or_folder} is not a classifier but {kind:.80}: it has no labels to predict")
    processor = LGNImageProcessor.from_pretrained(repo_or_folder, **options)
    try:
        model = cast(LGNForImageClassification, LGNForImageClassification.from_pretrained(repo_or_folder, **options))
    except RuntimeError as error:
        raise ValueError(f"{repo_or_folder}: the weights do not fit config.json: {error}") from None

    names = config.id2label or {}
    found = []
    for pixel_values in _batches(processor, images):
        with torch.inference_mode():
            probabilities = model.eval()(pixel_values.to(model.dtype)).logits.double().softmax(-1)
        for i, row in enumerate(probabilities, len(found)):
            if not row.isfinite().all():
                raise ValueError(f"{images[i]}: the model's answer is not finite")
            best = row.topk(min(top, len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found.append([Prediction(str(names.get(label, label)), probability) for label, probability in pairs])
    return found


def _batches(processor: Any, images: Sequence[str | os.PathLike]) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), BATCH):
        batch = [_pixel_values(processor, os.fspath(image)) for image in images[start : start + BATCH]]
        yield torch.cat(batch)


def _pixel_values(processor: Any, image: str) -> torch.Tensor:
    """(1, C, H, W)"""
    if not image.startswith(("http://", "https://")) and not os.path.isfile(image):
        raise ValueError(f"{image} is not a file: images are files, or addresses that start with http:// or https://")
    try:
        return processor(image, return_tensors="pt")["pixel_values"]
    except ValueError as error:
        raise ValueError(f"{image} cannot be read as an image: {str(error).removeprefix('image 0: ')}") from None
