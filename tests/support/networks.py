"""Tiny networks that between them cover every choice of the configuration, for the tests to run over."""

from collections.abc import Callable

import torch
from torch import nn

from lgn_hf.model.configuration_lgn import LGNConfig
from lgn_hf.model.modeling_lgn import (
    LGNForImageClassification,
    LGNForImageReconstruction,
    LGNModel,
    LGNPreTrainedModel,
)

HEADS = {"base": LGNModel, "classification": LGNForImageClassification, "reconstruction": LGNForImageReconstruction}
ANSWER = {"base": "last_hidden_state", "classification": "logits", "reconstruction": "reconstruction"}

_TINY = {
    "image_size": 7,
    "num_labels": 4,
    "num_groups": 2,
    "group_order": 3,
    "num_layers": 3,
    "filter_size": 3,
    "step_size": 0.1,  # ten times the papers', so that three layers say something about the image
    "pool_size": 2,
}

_CHANGES = {
    "learned": {},
    "learned-ista": {"algorithm": "ista"},
    "learned-tied": {"tied": True, "decoder": "tied"},
    "learned-colour": {"num_channels": 3, "num_layers": 2},
    "learned-shared": {"num_channels": 3, "num_layers": 2, "action_sharing": "group", "decoder": "tied"},
    "learned-layer": {"num_channels": 3, "num_layers": 2, "action_sharing": "layer", "decoder": "tied"},
    "learned-network": {"num_channels": 3, "action_sharing": "network"},
    "learned-network-tied": {"tied": True, "action_sharing": "network", "projection": "rms"},
    "learned-nuclear": {"regularizer": "nuclear", "projection": "rms"},
    "learned-logdet": {"regularizer": "logdet", "regularizer_weight": 0.5, "tied": True},
    "learned-free": {"regularizer": "none", "projection": "none", "batch_norm": False},
    "even-filter": {"filter_size": 4, "padding": 2, "image_size": 8, "num_layers": 2, "pool_size": 3},
    "left": {"action": "left", "projection": "rms"},
    "left-tied": {"action": "left", "tied": True, "num_channels": 3, "action_sharing": "group"},
    "left-layer": {"action": "left", "num_channels": 3, "num_layers": 2, "action_sharing": "layer"},
    "rotation-90": {"action": "rotation", "group_order": 4, "num_channels": 3},
    "rotation-60": {"action": "rotation", "rotation_angle": 60, "group_order": 6, "filter_size": 4, "tied": True},
    "cyclic": {"action": "cyclic"},
    "cyclic-leftover": {"action": "cyclic", "group_order": 4, "num_channels": 3},  # 9 = 2 blocks of 4, and 1 left over
    "cyclic-tied": {"action": "cyclic", "tied": True, "group_order": 5, "num_channels": 3, "action_sharing": "group"},
    "cyclic-layer": {"action": "cyclic", "num_channels": 3, "num_layers": 2, "action_sharing": "layer"},
    "cyclic-network": {"action": "cyclic", "group_order": 4, "action_sharing": "network"},
    "cyclic-nuclear": {"action": "cyclic", "regularizer": "nuclear"},
    "baseline": {"group_order": 1, "num_groups": 6, "padding": 0},
    "dense": {"filter_size": 4, "image_size": 4, "padding": 0, "pool_size": 1, "group_order": 2, "num_layers": 2},
    "single-layer": {"num_layers": 1, "filter_size": 2, "padding": 0},
}

NETWORKS = {name: LGNConfig(**{**_TINY, **changes}) for name, changes in _CHANGES.items()}

LEARNED = [name for name, config in NETWORKS.items() if config.group_order > 1 and config.action != "rotation"]
CYCLIC = [name for name, config in NETWORKS.items() if config.action == "cyclic"]


def make_config(name: str, **changes) -> LGNConfig:
    """A named configuration, some fields changed."""
    return LGNConfig(**{**_TINY, **_CHANGES[name], **changes})


def make_model(name: str, head: str = "classification", seed: int = 0, **changes) -> LGNPreTrainedModel:
    """A freshly drawn network in float64."""
    torch.manual_seed(seed)
    return HEADS[head](make_config(name, **changes)).double()


def make_used_model(name: str, head: str = "classification", seed: int = 0, **changes) -> LGNPreTrainedModel:
    """A network in float64 whose parameters and running statistics have all moved off their initial values."""
    model = make_model(name, head, seed, **changes)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return model


def make_images(config: LGNConfig, batch: int = 3, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Gaussian images in float64, (batch, C, H, W), strong enough for every filter to answer now and then."""
    generator = torch.Generator().manual_seed(1)
    size = size or (config.image_size, config.image_size)
    return 2 * torch.randn(batch, config.num_channels, *size, dtype=torch.float64, generator=generator)


def make_labels(config: LGNConfig, batch: int = 3) -> torch.Tensor:
    return torch.arange(batch) % config.num_labels


def check_gradients(model: nn.Module, function: Callable[[], torch.Tensor]) -> None:
    """Hold autograd against finite differences, along random directions in the space of all the model's parameters.

    Raises:
        GradcheckError: they differ.
    """
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    class Call(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self):
            return function()

    def of_parameters(*values):
        named = {f"model.{name}": value for name, value in zip(parameters, values, strict=True)}
        return torch.func.functional_call(Call(), named)

    inputs = [value.requires_grad_() for value in parameters.values()]
    torch.autograd.gradcheck(of_parameters, inputs, fast_mode=True)
