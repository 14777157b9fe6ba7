"""A classifier as an archive of `torch.export`, which torch alone can run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..files import replacing
from .checks import check_graph
from .classifier import Classifier
from .plain_network import PlainNetwork

ARCHIVE_PATH = "torch/model.pt2"


def write_archive(classifier: Classifier, path: str | os.PathLike) -> Path:
    """Write a classifier as an archive, whole or not at all.

    `torch.export.load(path).module()` takes images in [0, 1], float32 (batch, C, H, W) with any batch, and gives the logits. It
    needs neither this package nor transformers.

    Returns:
        `path`.

    Raises:
        GraphError: the archive does not answer as the network does.
    """
    path = Path(path)
    example = torch.zeros(2, *classifier.image_shape)
    shapes = {"pixel_values": {0: torch.export.Dim("batch")}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's warnings of its own internals
        program = torch.export.export(PlainNetwork(classifier), (example,), dynamic_shapes=shapes)
        with open(temporary, "wb") as file:
            torch.export.save(program, file)
        with open(temporary, "rb") as file:
            module = torch.export.load(file).module()

        def run(images: Tensor) -> Sequence[Tensor]:
            with torch.inference_mode():
                return [module(images)]

        check_graph(classifier, run)
    return path
