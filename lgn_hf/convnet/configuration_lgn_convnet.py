"""The configuration of a convolution network over one linear group."""

import math
from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any

import torch

from ..model.configuration_checks import FamilyConfig, check_field_names
from ..nn.linear_group import LinearGroup

GROUPS = {
    "rotation": ("rotations by 360 / group_order degrees", LinearGroup.rotations),
    "dihedral": ("these rotations and mirror images", LinearGroup.dihedral),
    "reflection": ("the mirror image, left to right", lambda size, order: LinearGroup.reflections(size)),
    "cyclic": ("a shift within blocks of group_order pixels", lambda size, order: LinearGroup.cyclic(order, size**2)),
    "trivial": ("the identity alone: free filters", lambda size, order: LinearGroup.trivial(size)),
    "given": ("the matrices of group_generators", None),
}
ACTIONS = ("fixed", "learned")
POOLINGS = ("max", "mean", "none")
PIXEL_POOLINGS = ("max", "mean")
LARGEST = {"image_size": 4096, "filter_size": 15, "group_order": 64, "num_labels": 100_000}
LARGEST_WIDTH, LARGEST_DEPTH = 4096, 64


def _field(default: Any, help: str) -> Any:
    settings: dict[str, Any] = (
        {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    )
    return field(metadata={"help": help}, **settings)


class LGNConvNetConfig(FamilyConfig):
    """Configuration of a residual convolution network in which every filter is in an orbit of one linear group.

    The free twin of a network has `group="trivial"`. A group that was found is given as a `LinearGroup`, and the
    configuration keeps its generators:

        config = LGNConvNetConfig(group=found.group)

    Raises:
        ValueError: a field has a wrong value; the message names the field, the value and what is allowed.

    Example:
        >>> LGNConvNetConfig(group="dihedral").linear_group
        LinearGroup('D_4', order=8, dim=9)
    """

    model_type = "lgn_convnet"
    keys_to_ignore_at_inference = ["task_loss", "regularization_loss", "hidden_states"]  # noqa: RUF012
    batch_norm = True  # as `LGNConfig` says it of its networks

    image_size: int = _field(28, "height and width of the (square) images, pixels")
    num_channels: int = _field(1, "input channels: 1 (grey) or 3 (colour)")
    num_orbits: list[int] = _field([10, 10, 10], "orbits per layer of each stage; a layer has |G| times as many maps")
    depths: list[int] = _field([1, 1, 1], "residual blocks of each stage; between stages the maps are halved")
    downsample_in_first_stage: bool = _field(False, "whether the maps are halved before the first stage, too")
    downsampling: str = _field("max", "how maps are halved: the max or the mean of neighbouring pixels")
    filter_size: int = _field(3, "height and width n of a filter, pixels; an element of the group is n^2 x n^2")
    group: Any = _field(
        "rotation", "the group: " + ", ".join(f"{name} ({words})" for name, (words, _) in GROUPS.items())
    )
    group_order: int = _field(4, "rotations of the group, or pixels in a block, for rotation, dihedral and cyclic")
    group_generators: list | None = _field(None, "generators of a given group: matrices on vec(W), as nested lists")
    action: str = _field(
        "fixed",
        "whether the matrices stay (fixed) or are learned as S rho(g) S^-1 with S shared by all layers (learned)",
    )
    share_norms: bool = _field(True, "batch normalisation with one mean and variance for each orbit")
    orbit_pooling: str = _field("max", "pooling over the group before the classifier: max, mean or none")
    spatial_pooling: str = _field("max", "pooling over the pixels before the classifier: max or mean")
    dropout: float = _field(0.0, "share of the classifier's inputs that training drops")

    def __post_init__(self, **kwargs):
        out_features, out_indices = kwargs.pop("out_features", None), kwargs.pop("out_indices", None)
        check_field_names(kwargs, [*self.own_fields(), "num_labels"])
        self.num_orbits, self.depths = self._as_list("num_orbits"), self._as_list("depths")
        self._take_group()
        self._check_values(kwargs)
        self._known: tuple[Any, LinearGroup] | None = None
        self._known = (self._group_fields, self._make_group())
        self.set_output_features_output_indices(out_features, out_indices)
        super().__post_init__(**kwargs)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        values.pop("_known", None)
        return values

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """As in transformers. Fields in `kwargs` are checked as all others, and their group takes the place of a group that
        was given."""
        own = {name: kwargs.pop(name) for name in cls.own_fields() if name in kwargs}
        if "group" in own:
            own.setdefault("group_generators", None)
        return super().from_dict({**config_dict, **own}, **kwargs)

    @classmethod
    def own_fields(cls) -> list[str]:
        """The names of the fields above, without those of every transformers configuration."""
        return [f.name for f in fields(LGNConvNetConfig) if "help" in f.metadata]

    @property
    def linear_group(self) -> LinearGroup:
        """The group that the fields describe; where the action is learned, the one that it starts at."""
        self._take_group()
        if self._known is None or self._known[0] != self._group_fields:  # a field was changed
            self._known = (self._group_fields, self._make_group())
        return self._known[1]

    @property
    def _group_fields(self) -> tuple[Any, ...]:
        return (self.group, self.group_order, self.group_generators, self.filter_size)

    def _take_group(self) -> None:
        """Keep the generators of a `LinearGroup` in its place, as JSON has them."""
        if not isinstance(self.group, str) and hasattr(self.group, "generators"):
            self.group_generators = self.group.generators.tolist() or None
            self.group = "given" if self.group_generators else "trivial"

    @property
    def stage_names(self) -> list[str]:
        """The stages, as a backbone names them."""
        return [f"stage{i + 1}" for i in range(len(self.depths))]

    @property
    def num_maps(self) -> list[int]:
        """Maps per layer of each stage: orbits times |G|."""
        return [orbits * self.linear_group.order for orbits in self.num_orbits]

    @property
    def num_action_parameters(self) -> int:
        """Parameters of the group: d^2 where its basis S is learned, else none."""
        return self.linear_group.dim**2 if self.action == "learned" else 0

    @property
    def num_basis_parameters(self) -> int:
        """Parameters of the basis filters of all convolutions. Free filters would have |G| times as many."""
        order, pixels, before = self.linear_group.order, self.filter_size**2, self.num_orbits[0]
        count = before * self.num_channels * pixels  # the first layer
        for after, depth in zip(self.num_orbits, self.depths, strict=True):
            count += after * order * (before + after * (2 * depth - 1)) * pixels
            count += after * before * order if before != after else 0  # 1 x 1, where the widths differ
            before = after
        return count

    @property
    def num_layer_orbits(self) -> int:
        """Orbits of filters, those of all convolutions together."""
        before, count = self.num_orbits[0], self.num_orbits[0]
        for after, depth in zip(self.num_orbits, self.depths, strict=True):
            count += after * (2 * depth + (before != after))
            before = after
        return count

    def _as_list(self, name: str) -> list:
        value = getattr(self, name)
        return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]

    def _check_values(self, kwargs: dict[str, Any]) -> None:
        def check(name: str, value: Any, ok: bool, allowed: str) -> None:
            if not ok:
                raise ValueError(f"{name}={value!r:.80}: must be {allowed}")

        def is_int(value: Any, least: int, most: int) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

        for name in ("image_size", "filter_size", "group_order"):
            most = LARGEST[name]
            check(name, getattr(self, name), is_int(getattr(self, name), 1, most), f"a whole number from 1 to {most}")
        check("filter_size", self.filter_size, self.filter_size % 2 == 1, "odd, so that maps keep their size")
        labels = kwargs.get("num_labels", 1)
        check("num_labels", labels, is_int(labels, 1, LARGEST["num_labels"]), "a whole number from 1 to 100000")
        check("num_channels", self.num_channels, self.num_channels in (1, 3), "1 or 3")
        for name, most in (("num_orbits", LARGEST_WIDTH), ("depths", LARGEST_DEPTH)):
            values = getattr(self, name)
            ok = 1 <= len(values) <= LARGEST_DEPTH and all(is_int(value, 1, most) for value in values)
            check(name, values, ok, f"a list of whole numbers from 1 to {most}, one for each stage")
        if len(self.num_orbits) != len(self.depths):
            raise ValueError(f"num_orbits={self.num_orbits} and depths={self.depths}: must name equally many stages")
        check("action", self.action, self.action in ACTIONS, "one of " + ", ".join(ACTIONS))
        check("orbit_pooling", self.orbit_pooling, self.orbit_pooling in POOLINGS, "one of " + ", ".join(POOLINGS))
        for name in ("downsampling", "spatial_pooling"):
            check(
                name, getattr(self, name), getattr(self, name) in PIXEL_POOLINGS, "one of " + ", ".join(PIXEL_POOLINGS)
            )
        for name in ("share_norms", "downsample_in_first_stage"):
            check(name, getattr(self, name), isinstance(getattr(self, name), bool), "true or false")
        ok = isinstance(self.dropout, (int, float)) and not isinstance(self.dropout, bool) and 0 <= self.dropout < 1
        check("dropout", self.dropout, ok, "at least 0 and less than 1")

    def _make_group(self) -> LinearGroup:
        if not isinstance(self.group, str) or self.group not in GROUPS:
            raise ValueError(f"group={self.group!r:.80}: must be a LinearGroup or one of {', '.join(GROUPS)}")
        make = GROUPS[self.group][1]
        if make is not None:
            if self.group_generators is not None:
                raise ValueError(
                    f"group_generators: must be left out for group={self.group!r}; they need group='given'"
                )
            return make(self.filter_size, self.group_order)
        try:
            generators = torch.tensor(self.group_generators, dtype=torch.float64)
        except (TypeError, ValueError) as error:
            raise ValueError("group_generators: must be a list of matrices for group='given'") from error
        if generators.dim() != 3 or math.isqrt(generators.shape[-1]) != self.filter_size:
            raise ValueError(
                f"group_generators has shape {tuple(generators.shape)}: must be (number, d, d) with "
                f"d = filter_size^2 = {self.filter_size**2}"
            )
        return LinearGroup.from_generators(generators, max_order=LARGEST["group_order"])


__all__ = ["LGNConvNetConfig"]
