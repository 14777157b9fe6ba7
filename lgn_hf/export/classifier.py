"""A trained classifier with its image processor, of either family."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.image_processing_lgn import LGNImageProcessor
from ..repository import MODEL_FILES, find_folder
from ..runs.family import FAMILIES, read_config


@dataclass(frozen=True)
class Classifier:
    """A classifier as its folder holds it.

    Attributes:
        name: of the folder or repository.
        network: in eval mode and float32.
        processor: prepares its images.
        folder: where its files are.
    """

    name: str
    network: Any
    processor: LGNImageProcessor
    folder: Path

    @property
    def labels(self) -> list[str]:
        """The names of its classes, in the order of its logits."""
        names = self.network.config.id2label or {}
        return [str(names.get(index, index)) for index in range(self.network.config.num_labels)]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        side = self.processor.image_size
        return self.processor.num_channels, side, side


def open_classifier(repo_or_folder: str | os.PathLike, revision: str | None = None) -> Classifier:
    """Load a classifier of either family.

    Args:
        repo_or_folder: a folder of a trained or published classifier, else the name of a repository.
        revision: branch, tag or commit of the repository.

    Raises:
        ValueError: the model is not a classifier of this package, or its files do not belong together.
        OSError: the model cannot be found or read.
    """
    folder = find_folder(repo_or_folder, revision, (*MODEL_FILES, "examples/*.png"))
    for name in ("config.json", "preprocessor_config.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{repo_or_folder} has no {name}: must be a trained classifier with its processor")
    config = read_config(folder)
    network_class = FAMILIES[config.model_type].network_class("classification")
    if config.architectures != [network_class.__name__]:
        kind = ", ".join(map(str, config.architectures)) if isinstance(config.architectures, list) else "nothing"
        raise ValueError(f"{repo_or_folder} is {kind:.80}: must be a classifier, {network_class.__name__}")
    processor = LGNImageProcessor.from_pretrained(folder)
    try:
        network = network_class.from_pretrained(folder)
    except RuntimeError as error:
        raise ValueError(f"{repo_or_folder}: the weights do not fit config.json: {error}") from None
    if processor.num_channels != config.num_channels or processor.image_size != config.image_size:
        raise ValueError(
            f"{repo_or_folder}: preprocessor_config.json makes images of {processor.num_channels} channels and "
            f"{processor.image_size} pixels, config.json takes {config.num_channels} and {config.image_size}"
        )
    name = folder.resolve().name if Path(repo_or_folder).is_dir() else str(repo_or_folder)
    return Classifier(name, network.float().eval(), processor, folder)
