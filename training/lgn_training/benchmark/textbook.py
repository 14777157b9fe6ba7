"""The network written as equations 8 to 12 of "Learning Linear Groups in Neural Networks" read, for comparison.

It handles one matrix, one filter and one layer at a time, with torch's own convolutions, and rescales its parameters in a
loop. It copies its parameters from one of our networks, so that both can be checked to compute the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgn_hf import LGNForImageClassification


class TextbookLGN(nn.Module):
    """A classifier with learned actions, one for each layer, group and channel, and the inverse regularizer."""

    def __init__(self, like: LGNForImageClassification):
        super().__init__()
        config = like.config
        if config.action != "learned" or config.regularizer != "inverse" or config.tied or not config.batch_norm:
            raise ValueError(
                "the textbook has untied learned actions, the inverse regularizer and batch normalisation"
            )
        self.config, self.regularizer_weight = config, config.regularizer_weight or 0.0
        indices = [
            (layer, group, channel)
            for layer in range(config.num_layers)
            for group in range(config.num_groups)
            for channel in range(config.num_channels)
        ]
        sources = (like.base_filters(), like.group_actions(), like.lgn.auxiliary_inverses)
        self.filters, self.actions, self.inverses = (
            nn.ParameterDict({self.key(*index): nn.Parameter(source[index].detach().clone()) for index in indices})
            for source in sources
            if source is not None
        )
        self.thresholds = nn.ParameterList(threshold.detach().clone() for threshold in like.thresholds())
        self.norms = nn.ModuleList(nn.BatchNorm2d(config.num_filters) for _ in range(config.num_layers - 1))
        self.classifier = nn.Linear(config.num_filters * config.pool_size**2, like.classifier.out_features)
        self.classifier.load_state_dict(like.classifier.state_dict())

    @staticmethod
    def key(layer: int, group: int, channel: int) -> str:
        return f"{layer}-{group}-{channel}"

    def dictionary(self, layer: int) -> Tensor:
        """Eq. 9 and 11: (K*p, C, n, n)."""
        config = self.config
        n, filters = config.filter_size, []
        for group in range(config.num_groups):
            images = []
            for channel in range(config.num_channels):
                action = self.actions[self.key(layer, group, channel)]
                image = self.filters[self.key(layer, group, channel)].t().reshape(-1)  # eq. 6
                orbit = [image]
                for _ in range(config.group_order - 1):
                    image = action @ image  # eq. 8
                    orbit.append(image)
                images.append(torch.stack([image.reshape(n, n).t() for image in orbit]))  # eq. 7
            filters.append(torch.stack(images, dim=1))
        return torch.cat(filters)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss: eq. 10 with FISTA's momentum, pooling, a linear layer, cross-entropy, eq. 12."""
        config = self.config
        a, padding = config.step_size, config.padding
        t, last = 1.0, torch.zeros((), dtype=images.dtype, device=images.device)
        y = code = last
        for layer in range(config.num_layers):
            filters, threshold = self.dictionary(layer), self.thresholds[layer].view(1, -1, 1, 1)
            residual = images if layer == 0 else images - F.conv_transpose2d(y, filters, padding=padding)
            code = F.relu(y + a * F.conv2d(residual, filters, padding=padding) - a * threshold)
            following = (1 + (1 + 4 * t * t) ** 0.5) / 2
            y = code + (t - 1) / following * (code - last)
            if layer < config.num_layers - 1:
                y = self.norms[layer](y)
            t, last = following, code
        logits = self.classifier(F.adaptive_avg_pool2d(code, config.pool_size).flatten(1))
        eye = torch.eye(config.filter_dim, dtype=images.dtype, device=images.device)
        distances = [
            torch.linalg.matrix_norm(action @ inverse - eye)
            for action, inverse in zip(self.actions.values(), self.inverses.values(), strict=True)
        ]
        return F.cross_entropy(logits, labels) + self.regularizer_weight * torch.stack(distances).sum()

    @torch.no_grad()
    def project_(self) -> None:
        for parameter in [*self.filters.values(), *self.actions.values()]:
            parameter /= parameter.norm()

    def gradients(self) -> dict[str, Any]:
        """The gradients, with the names and shapes of our network's parameters."""
        config = self.config
        shape = (config.num_layers, config.num_groups, config.num_channels)

        def stacked(parameters: nn.ParameterDict) -> Tensor:
            grads = torch.stack([parameter.grad for parameter in parameters.values()])
            return grads.view(*shape, *grads.shape[1:])

        plain = {
            name: parameter.grad
            for name, parameter in self.named_parameters()
            if name.startswith(("norms.", "classifier."))
        }
        return {
            "lgn.basis": stacked(self.filters),
            "lgn.action.weight": stacked(self.actions),
            "lgn.auxiliary_inverses": stacked(self.inverses),
            "lgn.threshold": torch.stack([threshold.grad for threshold in self.thresholds]),
            **{f"lgn.{name}" if name.startswith("norms.") else name: grad for name, grad in plain.items()},
        }


def ordinary_cnn(channels: int, side: int, num_labels: int, multiply_adds: int) -> nn.Module:
    """Two 3 x 3 convolutions with batch normalisation and pooling.

    Their width is the one that comes nearest to `multiply_adds` per image.
    """

    def cost(width: int) -> int:
        return side**2 * 9 * channels * width + (side // 2) ** 2 * 9 * width * 2 * width

    width = min(range(1, 513), key=lambda width: abs(cost(width) - multiply_adds))
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, num_labels),
    )
