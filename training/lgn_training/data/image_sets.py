"""Decoded images in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from torch import Tensor


class DataError(ValueError):
    """A data set cannot be used as asked; the message says why and what to do."""


@dataclass
class ImageSet:
    """Decoded images with their labels.

    images: (N, C, H, W), uint8.
    labels: (N,), int64, or None.
    """

    images: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor) -> ImageSet:
        """The images that `index` (positions or a mask) selects."""
        return ImageSet(self.images[index], None if self.labels is None else self.labels[index])


def fingerprint(*parts: ImageSet) -> str:
    """The SHA-256 of images and labels, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        for tensor in (part.images, part.labels):
            if tensor is not None:
                digest.update(tensor.numpy().data)
    return digest.hexdigest()


@dataclass
class Data:
    """The three splits of a data set; `fingerprint` is that of all three."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    label_names: list[str] | None
    source: str
    fingerprint: str = field(init=False)

    def __post_init__(self):
        self.fingerprint = fingerprint(self.train, self.validation, self.test)
