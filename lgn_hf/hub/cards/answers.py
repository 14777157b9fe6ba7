"""What a model makes of the images on its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...model.image_processing_lgn import LGNImageProcessor


@dataclass(frozen=True)
class Answers:
    """What a model makes of images.

    Attributes:
        model: the model.
        processor: its image processor.
        pixels: the images in [0, 1], (B, C, H, W).
        pixel_values: the images as the model sees them, (B, C, H, W).
        outputs: the output of the model, with hidden states.
    """

    model: Any
    processor: LGNImageProcessor
    pixels: Tensor
    pixel_values: Tensor
    outputs: Any

    @property
    def is_classification(self) -> bool:
        return "logits" in self.outputs

    @classmethod
    def of(cls, model: Any, processor: LGNImageProcessor, paths: Sequence[Path]) -> Answers:
        """Ask a model about saved images.

        Raises:
            ValueError: an image cannot be read, or an answer is not finite.
        """
        names: list[Any] = [str(path) for path in paths]
        pixels = plain_processor(processor)(names, return_tensors="pt")["pixel_values"]
        pixel_values = processor(names, return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            outputs = model.eval()(pixel_values=pixel_values, output_hidden_states=True)
        answers = cls(model, processor, pixels, pixel_values, outputs)
        answer: Tensor = outputs["logits" if answers.is_classification else "reconstruction"]
        if not answer.isfinite().all():
            raise ValueError("the model's answer to an example is not finite")
        return answers

    def predictions(self) -> list[tuple[str, float]]:
        """For each image, the label that the model finds most probable, and its probability."""
        labels = self.model.config.id2label or {}
        best = self.outputs["logits"].double().softmax(-1).max(-1)
        return [(str(labels.get(i, i)), p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def missed_energy(self) -> list[float]:
        """For each image x and its reconstruction x', |x - x'|^2 / |x|^2."""
        missed = self.pixel_values - self.outputs["reconstruction"]
        energy, rest = (x.square().sum((1, 2, 3)) for x in (self.pixel_values, missed))
        return (rest / energy.clamp_min(1e-12)).tolist()

    def reconstruction_rows(self) -> dict[str, list[np.ndarray]]:
        """Rows of pictures: the images, if they are whitened what the model sees and answers, and that as images."""
        reconstruction, is_whitened = self.outputs["reconstruction"], self.processor.whitening != "none"
        rows = {"image": as_pictures(self.pixels)}
        if is_whitened:
            low, high = (f(self.pixel_values, (1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
            for name, x in {"whitened": self.pixel_values, "recon-\nstructed": reconstruction}.items():
                rows[name] = as_pictures((x - low) / (high - low).clamp_min(1e-12))
        images = self.processor.post_process_reconstruction(reconstruction)
        rows["as an\nimage" if is_whitened else "recon-\nstructed"] = [*map(np.asarray, images)]
        return rows


def plain_processor(processor: LGNImageProcessor) -> LGNImageProcessor:
    """A processor to images in [0, 1] of the same size and channels, and back."""
    channels = processor.num_channels
    return LGNImageProcessor(processor.image_size, channels, [0.0] * channels, [1.0] * channels)


def as_pictures(values: Tensor) -> list[np.ndarray]:
    """(B, C, H, W) in [0, 1] as arrays (H, W) or (H, W, 3)."""
    return [*values.clamp(0, 1).moveaxis(1, -1).squeeze(-1).numpy()]
