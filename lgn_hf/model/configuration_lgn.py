"""The vocabulary of a Linear Group Network: every field, what it means and which values it takes."""

import difflib
import math
from dataclasses import field, fields
from typing import Any

from transformers import PreTrainedConfig

ACTIONS = ("learned", "rotation", "left", "cyclic")
SHARING = ("channel", "group", "layer", "network")
REGULARIZERS = {"none": 0.0, "inverse": 1e-3, "nuclear": 1e-2, "logdet": 1e-3}  # name -> default weight mu
# The most that a configuration, which may be anyone's, can ask for: more than these networks need, too little to exhaust
# a machine while it is refused.
LARGEST = {name: 4096 for name in ("image_size", "num_groups", "group_order", "filter_size", "padding", "pool_size")}
LARGEST |= {"num_layers": 256, "num_labels": 100_000}
LARGEST_TENSOR = 2**28  # numbers, 1 GiB in float32


def _field(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


class LGNConfig(PreTrainedConfig):
    """Configuration of an unfolded sparse-coding network whose filters are orbits of linear group actions.

    Every layer holds K = `num_groups` groups of p = `group_order` filters. The filters of a group are the orbit
    W, AW, ..., A^{p-1}W of a basis filter W under its generator A, a d x d matrix acting on vec(W), with
    d = `filter_size`^2 ("Learning Linear Groups in Neural Networks", eq. 8 and 9). The papers' networks are
    configurations of this one model: `action="learned"` is the LGN, `action="rotation"` the R_90 and R_60 networks,
    `group_order=1` the unconstrained baseline, `filter_size=image_size` with `padding=0` and `pool_size=1` the
    dense variants.

    Raises:
        ValueError: a field has a wrong value; the message names the field, the value and what is allowed.

    Example:
        >>> LGNConfig(num_channels=3, image_size=32, num_labels=10).code_size
        29
    """

    model_type = "lgn"
    attribute_map = {"K": "num_groups", "p": "group_order", "L": "num_layers"}  # noqa: RUF012  (the papers' names)
    # What `Trainer` is not to gather as predictions beside the logits or the reconstruction.
    keys_to_ignore_at_inference = ["task_loss", "regularization_loss", "hidden_states"]  # noqa: RUF012
    _auto_class = "AutoConfig"

    image_size: int = _field(28, "height and width H of the (square) images, pixels")
    num_channels: int = _field(1, "input channels C: 1 (grey) or 3 (colour)")
    num_groups: int = _field(5, "groups per layer, K")
    group_order: int = _field(4, "filters per group, p; 1 leaves every filter free (the unconstrained baseline)")
    num_layers: int = _field(4, "unfolded layers, L")
    filter_size: int = _field(6, "height and width n of a filter, pixels; an action is n^2 x n^2")
    padding: int = _field(1, "zero padding of the convolutions, pixels; a code is H + 2*padding - n + 1 on a side")
    step_size: float = _field(0.01, "step size a of the proximal gradient step")
    algorithm: str = _field("fista", "how codes follow each other: fista (with momentum) or ista")
    tied: bool = _field(False, "share filters and actions across layers")
    action: str = _field(
        "learned",
        "the generators: learned (free matrices), rotation (fixed, by rotation_angle), left (I (x) A_n, which cannot "
        "mix columns) or cyclic (S P S^-1 with S learned: A^p = I by construction)",
    )
    action_sharing: str = _field(
        "channel",
        "what has an action of its own: every channel of every group (channel), every group (group), every layer (layer) or "
        "only the network as a whole (network)",
    )
    rotation_angle: float | None = _field(
        None, "degrees between neighbours of an orbit when action is rotation; default 360 / group_order"
    )
    regularizer: str | None = _field(
        None,
        "what keeps the actions invertible: inverse (eq. 12), nuclear (eq. 14), logdet (appendix B) or none; default "
        "inverse for learned and left actions, none for the others, which are invertible or fixed. nuclear and logdet fall "
        "without bound as actions grow, and nuclear as a cyclic one grows ill-conditioned: they need a projection of actions",
    )
    regularizer_weight: float | None = _field(
        None, "weight mu of the regularizer; default 1e-3 for inverse and logdet, 1e-2 for nuclear"
    )
    projection: str = _field(
        "frobenius",
        "after each optimiser step, scale basis filters to unit norm and actions to unit Frobenius norm (frobenius) or "
        "to singular values of mean square 1 (rms), or leave both free (none)",
    )
    batch_norm: bool = _field(True, "batch normalisation between layers; reconstruction never uses it")
    pool_size: int = _field(4, "side of the average-pooled code that the linear classifier sees")
    decoder: str = _field(
        "free", "reconstruction from a dictionary of its own (free) or the last layer's orbits (tied)"
    )

    def __post_init__(self, **kwargs):
        for alias in self.attribute_map.keys() & kwargs.keys():
            name = self.attribute_map[alias]
            if getattr(self, name) not in (getattr(type(self), name), kwargs[alias]):
                raise ValueError(
                    f"{alias}={kwargs[alias]!r:.80} and {name}={getattr(self, name)!r:.80} are one field: give one"
                )
            setattr(self, name, kwargs.pop(alias))
        own = [f.name for f in fields(LGNConfig) if "help" in f.metadata] + ["num_labels"]
        labels, names, most = kwargs.get("num_labels", 1), self.id2label, LARGEST["num_labels"]
        if isinstance(labels, bool) or not isinstance(labels, int) or not 1 <= labels <= most:
            raise ValueError(f"num_labels={labels!r:.80}: must be a whole number from 1 to {most}")
        if names is not None and not (isinstance(names, dict) and 1 <= len(names) <= most):
            raise ValueError(f"id2label={names!r:.80}: must be an object that names 1 to {most} labels")
        for name in kwargs:
            if name.startswith("__") or callable(getattr(PreTrainedConfig, name, None)):
                raise ValueError(f"unknown field {name!r:.80}: it would hide a method")
            near = difflib.get_close_matches(name, own, n=1, cutoff=0.8)
            if near and not hasattr(PreTrainedConfig, name):
                raise ValueError(f"unknown field {name!r}: did you mean {near[0]!r}?")
        self._check_values()
        if self.action == "rotation" and self.rotation_angle is None:
            self.rotation_angle = 360 / self.group_order
        if self.regularizer is None:
            self.regularizer = "inverse" if self.action in ("learned", "left") else "none"
        if self.regularizer_weight is None:
            self.regularizer_weight = REGULARIZERS[self.regularizer]
        self._check_geometry()
        self._check_memory(len(names) if names else labels)
        super().__post_init__(**kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):  # pyright: ignore[reportIncompatibleMethodOverride]
        """As in transformers, but a file that holds anything else than a configuration of an LGN is an error of one line.

        Raises:
            OSError: there is no configuration, or it is no JSON.
            ValueError: it is JSON of another form, or a field has a wrong value.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{pretrained_model_name_or_path}: config.json is no configuration of an LGN "
                f"({type(error).__name__}: {error!s:.200})"
            ) from error

    def _check_values(self) -> None:
        """Each field by itself."""

        def check(name: str, ok: bool, allowed: str) -> None:
            if not ok:
                raise ValueError(f"{name}={getattr(self, name)!r:.80}: must be {allowed}")

        def is_int(value: Any, least: int, most: int) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

        def is_number(value: Any) -> bool:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

        for name in ("image_size", "num_groups", "group_order", "num_layers", "filter_size", "pool_size"):
            check(name, is_int(getattr(self, name), 1, LARGEST[name]), f"a whole number from 1 to {LARGEST[name]}")
        check("num_channels", is_int(self.num_channels, 1, 3) and self.num_channels != 2, "1 or 3")
        most = LARGEST["padding"]
        check("padding", is_int(self.padding, 0, most), f"a whole number from 0 to {most}")
        check("step_size", is_number(self.step_size) and self.step_size > 0, "a positive number")
        for name in ("tied", "batch_norm"):
            check(name, isinstance(getattr(self, name), bool), "true or false")
        for name, allowed in {
            "algorithm": ("fista", "ista"),
            "action": ACTIONS,
            "action_sharing": SHARING,
            "regularizer": (*REGULARIZERS, None),
            "projection": ("frobenius", "rms", "none"),
            "decoder": ("free", "tied"),
        }.items():
            check(name, getattr(self, name) in allowed, "one of " + ", ".join(str(a) for a in allowed if a))
        mu = self.regularizer_weight
        check("regularizer_weight", mu is None or (is_number(mu) and mu >= 0), "a number of at least 0")
        angle = self.rotation_angle
        check("rotation_angle", angle is None or (is_number(angle) and angle > 0), "a positive number of degrees")

    def _check_geometry(self) -> None:
        """Fields against each other."""
        padded = self.image_size + 2 * self.padding
        if self.filter_size > padded:
            raise ValueError(
                f"filter_size={self.filter_size}: must be at most image_size + 2*padding = {padded} "
                f"(image_size={self.image_size}, padding={self.padding})"
            )
        if self.pool_size > self.code_size:
            raise ValueError(
                f"pool_size={self.pool_size}: must be at most the code's side, image_size + 2*padding - filter_size + 1 "
                f"= {self.code_size}"
            )
        angle = self.rotation_angle
        if self.action == "rotation" and angle is not None and abs(self.group_order * angle - 360) > 1e-6:
            fitting = 360 / angle
            raise ValueError(
                f"group_order={self.group_order} does not match rotation_angle={angle}: "
                f"group_order * rotation_angle must be 360"
                + (f", so group_order={fitting:.0f}" if abs(fitting - round(fitting)) < 1e-9 else "")
            )
        if self.action == "cyclic" and self.group_order > self.filter_dim:
            raise ValueError(
                f"group_order={self.group_order}: must be at most filter_size^2 = {self.filter_dim} for cyclic actions, "
                "which permute blocks of group_order pixels"
            )

    def _check_memory(self, labels: int) -> None:
        """The network's largest tensors."""
        numbers = {
            "filters": self.num_layers * self.num_filters * self.num_channels * self.filter_dim,
            "actions": (self.group_order if self.action == "rotation" else math.prod(self.action_shape))
            * self.filter_dim**2,
            "code": self.num_filters * self.code_size**2,
            "classifier": self.num_filters * self.pool_size**2 * labels,
        }
        if self.group_order == 1:
            del numbers["actions"]
        name, most = max(numbers.items(), key=lambda item: item[1])
        if most > LARGEST_TENSOR:
            sizes = (
                "num_layers",
                "num_groups",
                "group_order",
                "num_channels",
                "filter_size",
                "image_size",
                "pool_size",
            )
            raise ValueError(
                f"the {name} of this network would be {most:,} numbers: must be at most {LARGEST_TENSOR:,}, got "
                + ", ".join(f"{size}={getattr(self, size)}" for size in sizes)
                + f" and {labels} labels"
            )

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
    def num_distinct_layers(self) -> int:
        """Layers that have filters and actions of their own: 1 when tied, else L."""
        return 1 if self.tied else self.num_layers

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Layers, groups and channels that have actions of their own: 1 where all share theirs."""
        shared = SHARING.index(self.action_sharing)  # the last so many of the three
        return (self.num_distinct_layers, self.num_groups, self.num_channels)[: 3 - shared] + (1,) * shared

    @property
    def num_basis_parameters(self) -> int:
        """Numbers in the basis filters."""
        return self.num_distinct_layers * self.num_groups * self.num_channels * self.filter_dim

    @property
    def num_action_parameters(self) -> int:
        """Numbers in the actions: 0 where they are fixed, or a group is its basis filter alone."""
        if self.group_order == 1:
            return 0
        dim = self.filter_dim
        size = {"learned": dim**2, "cyclic": dim**2, "left": dim, "rotation": 0}[self.action]
        return math.prod(self.action_shape) * size

    @property
    def num_action_channels(self) -> int:
        """Actions per group: C, or 1 where all channels share one."""
        return self.action_shape[2]
