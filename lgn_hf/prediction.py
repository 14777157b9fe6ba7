"""Classify image files with a trained model."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .files import write_whole
from .image_files import read_image
from .model.image_processing_lgn import LGNImageProcessor
from .repository import find_folder
from .runs.family import FAMILIES, read_config

BATCH = 64
OnError = Callable[[str, ValueError], None]


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
    on_error: OnError | None = None,
) -> list[list[Prediction]]:
    """Classify image files.

    Args:
        repo_or_folder: a folder of a trained or published classifier, else the name of a repository.
        images: paths, or addresses that start with http:// or https://.
        top: the most labels per image.
        revision: branch, tag or commit of the repository.
        on_error: is called with each image that cannot be labelled and with its error. The others are labelled. By
            default, the error is raised.

    Returns:
        for each image, its most probable labels, the most probable one first; none if it cannot be labelled.

    Raises:
        ValueError: there is no image, or the model is not a classifier. Without `on_error`: an image cannot be read, or
            the model's answer is not finite.
        OSError: the model cannot be found or read.

    Example:
        >>> predict("model_cards/lgn-mnist", ["model_cards/lgn-mnist/examples/1.png"], top=1)
        [[Prediction(label='9', probability=0.999...)]]
    """
    if not images:
        raise ValueError("images is empty: at least one image is needed")
    if top < 1:
        raise ValueError(f"top={top}: must be at least 1")
    model, processor = _load(repo_or_folder, revision)
    names = model.config.id2label or {}

    def refuse(image: str, error: ValueError) -> None:
        if on_error is None:
            raise error
        on_error(image, error)

    found: list[list[Prediction]] = [[] for _ in images]
    for numbers, pixel_values in _batches(processor, images, refuse):
        with torch.inference_mode():
            probabilities = model(pixel_values.to(model.dtype)).logits.double().softmax(-1)
        for i, row in zip(numbers, probabilities, strict=True):
            if not row.isfinite().all():
                refuse(os.fspath(images[i]), ValueError(f"{images[i]}: the model's answer is not finite"))
                continue
            best = row.topk(min(top, len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found[i] = [Prediction(str(names.get(label, label)), probability) for label, probability in pairs]
    return found


def _load(repo_or_folder: str | os.PathLike, revision: str | None) -> tuple[Any, Any]:
    """The classifier and its image processor."""
    folder = find_folder(repo_or_folder, revision)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{repo_or_folder} is not a model: it has no config.json")
    config = read_config(folder)
    family = FAMILIES[config.model_type]
    if config.architectures != [family.tasks["classification"]]:
        kind = ", ".join(map(str, config.architectures)) if isinstance(config.architectures, list) else "nothing"
        raise ValueError(f"{repo_or_folder} is not a classifier but {kind:.80}: it has no labels to predict")
    processor = LGNImageProcessor.from_pretrained(folder)
    try:
        model = family.network_class("classification").from_pretrained(folder)
    except RuntimeError as error:
        raise ValueError(f"{repo_or_folder}: the weights do not fit config.json: {error}") from None
    return model.eval(), processor


def _batches(
    processor: Any, images: Sequence[str | os.PathLike], refuse: OnError
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Batches of the images that can be read, with their numbers in `images`."""
    for start in range(0, len(images), BATCH):
        batch = {}
        for number, image in enumerate(images[start : start + BATCH], start):
            try:
                batch[number] = read_image(processor, image)
            except ValueError as error:
                refuse(os.fspath(image), error)
        if batch:
            yield [*batch], torch.cat([*batch.values()])


def write_predictions(
    path: str | os.PathLike,
    images: Sequence[str | os.PathLike],
    found: Sequence[Sequence[Prediction]],
    errors: Mapping[str, str],
) -> None:
    """Write the answers of `predict` as JSON or CSV, by the ending of `path`.

    JSON is a list with one object per image, `{"image": ..., "predictions": [{"label": ..., "probability": ...}]}`, or
    `{"image": ..., "error": ...}`. CSV has one row per label, and one per image that could not be labelled.

    Args:
        path: the file, which is replaced.
        images: as `predict` was given them.
        found: what it returned.
        errors: by image, what went wrong.
    """
    answers = list(zip([os.fspath(image) for image in images], found, strict=True))
    if Path(path).suffix.lower() == ".json":
        objects = [
            {"image": image, "error": errors[image]}
            if image in errors
            else {"image": image, "predictions": [asdict(prediction) for prediction in predictions]}
            for image, predictions in answers
        ]
        write_whole(Path(path), json.dumps(objects, indent=2) + "\n")
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "rank", "label", "probability", "error"])
    for image, predictions in answers:
        if image in errors:
            table.writerow([image, "", "", "", errors[image]])
        table.writerows([image, rank, each.label, each.probability, ""] for rank, each in enumerate(predictions, 1))
    write_whole(Path(path), text.getvalue())
