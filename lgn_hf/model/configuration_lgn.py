"""The configuration of a Linear Group Network: every field, what it means and which values it takes."""

import math
from dataclasses import field, fields
from typing import Any

from .configuration_checks import FamilyConfig, check_field_names
from .group_actions import ACTION_KINDS, action_kind
from .regularizers import REGULARIZERS

ACTION_SHARING = ("channel", "group", "layer", "network")
# The values that a field can have. (`Literal` fields and huggingface_hub's `strict` would check them too, but their error is
# not a ValueError, takes two lines and calls a wrong value a wrong type.)
CHOICES = {
    "algorithm": ("fista", "ista"),
    "action": tuple(ACTION_KINDS),
    "action_sharing": ACTION_SHARING,
    "regularizer": tuple(REGULARIZERS),
    "projection": ("frobenius", "rms", "none"),
    "decoder": ("free", "tied"),
}
# Limits on what a configuration can ask for, since it may be anyone's: more than these networks need, but too little to
# exhaust a machine before the configuration is refused.
LARGEST = {name: 4096 for name in ("image_size", "num_groups", "group_order", "filter_size", "padding", "pool_size")}
LARGEST |= {"num_layers": 256, "num_labels": 100_000}
LARGEST_TENSOR = 2**28  # numbers, 1 GiB in float32


def _field(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


def _listed(kinds: dict[str, Any]) -> str:
    return ", ".join(f"{name} ({kind.help})" for name, kind in kinds.items())


def _default_regularizers() -> str:
    names: dict[str, list[str]] = {}
    for action, kind in ACTION_KINDS.items():
        names.setdefault(kind.default_regularizer, []).append(action)
    return "; ".join(f"{regularizer} for action {', '.join(actions)}" for regularizer, actions in names.items())


def _default_weights() -> str:
    return ", ".join(f"{r.default_weight:g} for {name}" for name, r in REGULARIZERS.items())


class LGNConfig(FamilyConfig):
    """Configuration of an unfolded sparse-coding network whose filters are orbits of linear group actions.

    Every layer holds K = `num_groups` groups of p = `group_order` filters. The filters of a group are the orbit
    W, AW, ..., A^{p-1}W of a basis filter W under its generator A, a d x d matrix that acts on vec(W), with
    d = `filter_size`^2 ("Learning Linear Groups in Neural Networks", eq. 8 and 9).

    The papers' networks are configurations of this one model:

    - `action="learned"` is the LGN;
    - `action="rotation"` gives the R_90 and R_60 networks;
    - `group_order=1` is the unconstrained baseline;
    - `filter_size=image_size` with `padding=0` and `pool_size=1` gives the dense variants.

    A backbone (`LGNBackbone`) returns the codes of the layers that `out_features` names, from "layer1" to "layerL", or
    `out_indices` counts from 0; by default the last.

    Raises:
        ValueError: a field has a wrong value; the message names the field, the value and what is allowed.

    Example:
        >>> LGNConfig(num_channels=3, image_size=32, num_labels=10).code_size
        29
    """

    model_type = "lgn"
    attribute_map = {"K": "num_groups", "p": "group_order", "L": "num_layers"}  # noqa: RUF012  (the papers' names)
    # `Trainer` gathers all other outputs as predictions: the logits or the reconstruction.
    keys_to_ignore_at_inference = ["task_loss", "regularization_loss", "hidden_states"]  # noqa: RUF012
    _auto_class = "AutoConfig"

    image_size: int = _field(28, "height and width H of the (square) images, pixels")
    num_channels: int = _field(1, "input channels C: 1 (grey) or 3 (colour)")
    num_groups: int = _field(5, "groups per layer, K")
    group_order: int = _field(4, "filters per group, p; 1 leaves every filter free (the unconstrained baseline)")
    num_layers: int = _field(4, "unfolded layers, L")
    filter_size: int = _field(6, "height and width n of a filter, pixels; an action is n^2 x n^2")
    padding: int = _field(1, "zero padding of the convolutions, pixels; codes are H + 2*padding - n + 1 on a side")
    step_size: float = _field(0.01, "step size a of the proximal gradient step")
    algorithm: str = _field("fista", "update of the codes: fista (with momentum) or ista")
    tied: bool = _field(False, "share filters and actions across layers")
    action: str = _field("learned", f"kind of generator A: {_listed(ACTION_KINDS)}")
    action_sharing: str = _field(
        "channel",
        "one action per channel of every group (channel), per group (group), per layer (layer) or for the whole "
        "network (network)",
    )
    rotation_angle: float | None = _field(
        None, "degrees between neighbours in an orbit, if action is rotation; default 360 / group_order"
    )
    regularizer: str | None = _field(
        None, f"loss that keeps actions invertible: {_listed(REGULARIZERS)}; default {_default_regularizers()}"
    )
    regularizer_weight: float | None = _field(None, f"weight mu of the regularizer; default {_default_weights()}")
    projection: str = _field(
        "frobenius",
        "after each optimiser step, scale basis filters to unit norm and actions to unit Frobenius norm (frobenius) or "
        "to singular values of mean square 1 (rms), or leave both free (none)",
    )
    batch_norm: bool = _field(True, "batch normalisation between layers; reconstruction never uses it")
    pool_size: int = _field(4, "side of the average-pooled code that the linear classifier sees")
    decoder: str = _field(
        "free", "reconstruction from a dictionary of its own (free) or from the last layer's orbits (tied)"
    )

    def __post_init__(self, **kwargs):
        out_features, out_indices = kwargs.pop("out_features", None), kwargs.pop("out_indices", None)
        self._set_aliases(kwargs)
        check_field_names(kwargs, [*self.own_fields(), "num_labels"])
        num_labels = self._checked_num_labels(kwargs)
        self._check_values()
        kind = ACTION_KINDS[self.action]
        if self.rotation_angle is None:
            self.rotation_angle = kind.default_angle(self.group_order)
        if self.regularizer is None:
            self.regularizer = kind.default_regularizer
        if self.regularizer_weight is None:
            self.regularizer_weight = REGULARIZERS[self.regularizer].default_weight
        self._check_geometry()
        kind.check(self.group_order, self.filter_size, self.rotation_angle)
        self._check_memory(num_labels)
        self.set_output_features_output_indices(out_features, out_indices)
        super().__post_init__(**kwargs)

    @classmethod
    def own_fields(cls) -> list[str]:
        """The names of the fields above, without those of every transformers configuration."""
        return [f.name for f in fields(LGNConfig) if "help" in f.metadata]

    # Checks

    def _set_aliases(self, kwargs: dict[str, Any]) -> None:
        """Move the values of the papers' names from `kwargs` to the fields that they stand for."""
        for alias in self.attribute_map.keys() & kwargs.keys():
            name = self.attribute_map[alias]
            if getattr(self, name) not in (getattr(type(self), name), kwargs[alias]):
                raise ValueError(
                    f"{alias}={kwargs[alias]!r:.80} and {name}={getattr(self, name)!r:.80} are one field: give one"
                )
            setattr(self, name, kwargs.pop(alias))

    def _checked_num_labels(self, kwargs: dict[str, Any]) -> int:
        labels, names, most = kwargs.get("num_labels", 1), self.id2label, LARGEST["num_labels"]
        if not _is_int(labels, 1, most):
            raise ValueError(f"num_labels={labels!r:.80}: must be a whole number from 1 to {most}")
        if names is not None and not (isinstance(names, dict) and 1 <= len(names) <= most):
            raise ValueError(f"id2label={names!r:.80}: must be an object that names 1 to {most} labels")
        return len(names) if names else labels

    def _check_values(self) -> None:
        """Check each field by itself."""

        def check(name: str, ok: bool, allowed: str) -> None:
            if not ok:
                raise ValueError(f"{name}={getattr(self, name)!r:.80}: must be {allowed}")

        for name in ("image_size", "num_groups", "group_order", "num_layers", "filter_size", "pool_size"):
            check(name, _is_int(getattr(self, name), 1, LARGEST[name]), f"a whole number from 1 to {LARGEST[name]}")
        check("num_channels", _is_int(self.num_channels, 1, 3) and self.num_channels != 2, "1 or 3")
        most = LARGEST["padding"]
        check("padding", _is_int(self.padding, 0, most), f"a whole number from 0 to {most}")
        check("step_size", _is_number(self.step_size) and self.step_size > 0, "a positive number")
        for name in ("tied", "batch_norm"):
            check(name, isinstance(getattr(self, name), bool), "true or false")
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            is_default = name == "regularizer" and value is None
            check(name, value in allowed or is_default, "one of " + ", ".join(allowed))
        mu = self.regularizer_weight
        check("regularizer_weight", mu is None or (_is_number(mu) and mu >= 0), "a number of at least 0")
        angle = self.rotation_angle
        check("rotation_angle", angle is None or (_is_number(angle) and angle > 0), "a positive number of degrees")

    def _check_geometry(self) -> None:
        """Check sizes against each other."""
        padded = self.image_size + 2 * self.padding
        if self.filter_size > padded:
            raise ValueError(
                f"filter_size={self.filter_size}: must be at most image_size + 2*padding = {padded} "
                f"(image_size={self.image_size}, padding={self.padding})"
            )
        if self.pool_size > self.code_size:
            raise ValueError(
                f"pool_size={self.pool_size}: must be at most the side of a code, "
                f"image_size + 2*padding - filter_size + 1 = {self.code_size}"
            )

    def _check_memory(self, num_labels: int) -> None:
        """Refuse a network whose largest tensor would be too large."""
        kind = action_kind(self.action, self.group_order)
        numbers = {
            "filters": self.num_layers * self.num_filters * self.num_channels * self.filter_dim,
            "actions": kind.largest_tensor(self.group_order, self.filter_size, self.action_shape),
            "code": self.num_filters * self.code_size**2,
            "classifier": self.num_filters * self.pool_size**2 * num_labels,
        }
        name, most = max(numbers.items(), key=lambda item: item[1])
        if most > LARGEST_TENSOR:
            sizes = ("num_layers", "num_groups", "group_order", "num_channels", "filter_size", "image_size")
            raise ValueError(
                f"the {name} of this network would be {most:,} numbers: must be at most {LARGEST_TENSOR:,}, got "
                + ", ".join(f"{size}={getattr(self, size)}" for size in (*sizes, "pool_size"))
                + f" and {num_labels} labels"
            )

    # Derived sizes

    @property
    def filter_dim(self) -> int:
        """d = n^2, the length of a vectorised filter."""
        return self.filter_size**2

    @property
    def num_filters(self) -> int:
        """K*p, the filters (and code channels) of one layer."""
        return self.num_groups * self.group_order

    @property
    def code_size(self) -> int:
        """Height and width of a code, pixels."""
        return self.image_size + 2 * self.padding - self.filter_size + 1

    @property
    def stage_names(self) -> list[str]:
        """The layers, as a backbone names them."""
        return [f"layer{i + 1}" for i in range(self.num_layers)]

    @property
    def num_distinct_layers(self) -> int:
        """Layers that have filters and actions of their own: 1 when tied, else L."""
        return 1 if self.tied else self.num_layers

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Layers, groups and channels that have actions of their own: 1 where all share one."""
        shared = ACTION_SHARING.index(self.action_sharing)  # the last so many of the three
        return (self.num_distinct_layers, self.num_groups, self.num_channels)[: 3 - shared] + (1,) * shared

    @property
    def num_basis_parameters(self) -> int:
        """Numbers in the basis filters."""
        return self.num_distinct_layers * self.num_groups * self.num_channels * self.filter_dim

    @property
    def num_action_parameters(self) -> int:
        """Learned numbers in the actions: 0 if they are fixed or a group is its basis filter alone."""
        kind = action_kind(self.action, self.group_order)
        return math.prod(self.action_shape) * kind.num_parameters(self.group_order, self.filter_size)

    @property
    def num_action_channels(self) -> int:
        """Actions per group: C, or 1 if all channels share one."""
        return self.action_shape[2]


def _is_int(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
