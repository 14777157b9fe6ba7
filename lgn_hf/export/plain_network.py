"""A classifier as a plain network: constants, ordinary convolutions, and the preparation of its images in front.

To add a family, write its network without groups and list it in `PLAIN`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conversion import merge
from ..model.image_processing_lgn import LGNImageProcessor
from ..model.pooling import pooling_matrix
from ..model.unfolding import fista_momentum, unfold
from ..model.whitening import PatchWhitening, ZCAWhitening
from .classifier import Classifier


class PlainNetwork(nn.Module):
    """From images in [0, 1] to logits.

    Args:
        classifier: whose answers it gives. It is not changed.
        with_codes: also give the code of each layer, or the maps of each stage.

    Shapes: (B, C, H, W) to (B, num_labels), or to a tuple of that and the codes (B, K*p, H', W').

    Raises:
        ValueError: the network is not a classifier of this package.
    """

    def __init__(self, classifier: Classifier, *, with_codes: bool = False):
        super().__init__()
        kind = type(classifier.network).__name__
        if kind not in PLAIN:
            raise ValueError(f"{classifier.name} is {kind}: must be {' or '.join(PLAIN)}")
        self.prepare = Preparation(classifier.processor)
        self.network = PLAIN[kind](copy.deepcopy(classifier.network).float().eval())
        self.with_codes = with_codes
        self.eval().requires_grad_(False)

    def forward(self, pixel_values: Tensor) -> Tensor | tuple[Tensor, ...]:
        logits, codes = self.network(self.prepare(pixel_values))
        return (logits, *codes) if self.with_codes else logits


class Preparation(nn.Module):
    """Standardise and whiten, as `LGNImageProcessor` does to images of 8 bits:

    whiten((image - image_mean) / image_std), image in [0, 1].

    ZCA whitening divides by small deviations, so it is computed in float64, as in the processor.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, processor: LGNImageProcessor):
        super().__init__()
        for name in ("image_mean", "image_std"):
            self.register_buffer(name, torch.tensor(getattr(processor, name)).view(-1, 1, 1))
        self.whitening = None
        whitening = processor.fitted
        if whitening is not None:
            self.whitening = WHITENINGS[type(whitening).__name__](whitening)

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.image_mean) / self.image_std
        return images if self.whitening is None else self.whitening(images)


class _ZCA(nn.Module):
    def __init__(self, whitening: ZCAWhitening):
        super().__init__()
        for name, tensor in whitening.tensors().items():
            self.register_buffer(name, tensor.float())

    def forward(self, images: Tensor) -> Tensor:
        # The factors are stored in float32, which is exact and half as large.
        mean, basis, scale = (getattr(self, name).double() for name in ("mean", "basis", "scale"))
        code = (images.double() - mean).flatten(1) @ basis * scale
        return (code @ basis.T).float().view(images.shape)


class _Patch(nn.Module):
    mean: Tensor
    kernel: Tensor

    def __init__(self, whitening: PatchWhitening):
        super().__init__()
        self.register_buffer("mean", whitening.mean.float().view(-1, 1, 1))
        self.register_buffer("kernel", whitening.kernel.float())

    def forward(self, images: Tensor) -> Tensor:
        margin = [self.kernel.shape[-1] // 2] * 4
        return F.conv2d(F.pad(images - self.mean, margin, mode="replicate"), self.kernel)


WHITENINGS: dict[str, Callable[[Any], nn.Module]] = {"ZCAWhitening": _ZCA, "PatchWhitening": _Patch}


class UnfoldedNetwork(nn.Module):
    """A copy of an `LGNForImageClassification` whose filters are constants."""

    filters: Tensor
    thresholds: Tensor
    pooling: Tensor

    def __init__(self, network: Any):
        super().__init__()
        config, lgn = network.config, network.lgn
        with torch.no_grad():
            self.register_buffer("filters", network.filter_bank().flatten(1, 2).float().clone())
            self.register_buffer("thresholds", network.thresholds().float().clone())
        self.norms, self.classifier = lgn.norms, network.classifier
        is_fista = config.algorithm == "fista"
        self.momentum = fista_momentum(config.num_layers) if is_fista else [0.0] * config.num_layers
        self.step_size, self.padding = config.step_size, config.padding
        side = config.image_size + 2 * config.padding - config.filter_size + 1
        self.register_buffer("pooling", pooling_matrix((side, side), config.pool_size, self.filters))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        codes = unfold(
            images, self.filters, self.thresholds, [*self.norms], self.momentum, self.step_size, self.padding
        )
        return self.classifier((codes[-1].flatten(2) @ self.pooling).flatten(1)), codes


class MergedConvNet(nn.Module):
    """A copy of an `LGNConvNetForImageClassification` whose orbit convolutions are ordinary ones."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = merge(network)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        answer = self.network(images, output_hidden_states=True, return_dict=True)
        return answer.logits, list(answer.hidden_states)


PLAIN: dict[str, Callable[[Any], nn.Module]] = {
    "LGNForImageClassification": UnfoldedNetwork,
    "LGNConvNetForImageClassification": MergedConvNet,
}
