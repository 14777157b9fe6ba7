"""Hold a graph against the network that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..image_files import find_images
from .classifier import Classifier

TOLERANCE = 1e-4  # of the largest number of an answer, or of 1 if that is smaller
Graph = Callable[[Tensor], Sequence[Tensor]]


class GraphError(ValueError):
    """A graph answers otherwise than the network that it was made of."""


def check_graph(classifier: Classifier, graph: Graph, *, with_codes: bool = False) -> float:
    """Compare the answers of a graph with those of the network behind its image processor.

    The images are the examples in the model's folder, random ones and black ones, in batches of 1, 3 and all.

    Args:
        classifier: answers with `network(processor.pixel_values(images))`.
        graph: takes float32 images in [0, 1], (B, C, H, W); gives the logits, and the codes after them.
        with_codes: compare the codes, too.

    Returns:
        The largest difference, relative to the largest number of the same output, or to 1 if that is smaller.

    Raises:
        GraphError: the difference is more than `TOLERANCE`.
    """
    images = _images(classifier)
    worst = 0.0
    for batch in (images, images[:1], images[:3]):
        expected = _answers(classifier, batch, with_codes)
        found = graph(batch.float() / 255)
        if len(found) != len(expected):
            raise GraphError(f"{classifier.name}: the graph has {len(found)} outputs, the network {len(expected)}")
        for number, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
            if ours.shape != theirs.shape:
                raise GraphError(
                    f"{classifier.name}: output {number} is {tuple(theirs.shape)}, not {tuple(ours.shape)}"
                )
            difference = (ours - theirs).abs().max() / ours.abs().max().clamp_min(1)
            if not difference <= TOLERANCE:  # also if it is NaN
                raise GraphError(
                    f"{classifier.name}: output {number} of the graph differs by {difference:.2g} of the largest number; "
                    f"at most {TOLERANCE:g} is allowed"
                )
            worst = max(worst, difference.item())
    return worst


def example_images(classifier: Classifier) -> Tensor:
    """The examples in the model's folder as uint8 (B, C, H, W); B is 0 if there are none."""
    from ..model.image_conversion import flatten, to_pixels

    folder, processor = classifier.folder / "examples", classifier.processor
    paths = find_images([folder]) if folder.is_dir() else []
    pixels = [to_pixels(image, processor.num_channels, processor.image_size, None) for image in flatten(paths)]
    return torch.stack(pixels) if pixels else torch.empty(0, *classifier.image_shape, dtype=torch.uint8)


def _images(classifier: Classifier) -> Tensor:
    shape = classifier.image_shape
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (4, *shape), generator=generator, dtype=torch.uint8)
    return torch.cat([example_images(classifier), noise, torch.zeros(1, *shape, dtype=torch.uint8)])


def _answers(classifier: Classifier, images: Tensor, with_codes: bool) -> list[Tensor]:
    with torch.inference_mode():
        values = classifier.processor.pixel_values(images)
        answer = classifier.network(values, output_hidden_states=with_codes, return_dict=True)
    return [answer.logits, *(answer.hidden_states if with_codes else ())]
