"""The fields of each family of networks as options of the command line.

Their configurations define them, and importing these takes seconds, as they import torch and transformers. So `--help` reads this copy;
a test compares them. `FAMILIES` names the families by their `model_type`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _field(default: Any, help: str) -> Any:
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata={"help": help})
    return field(default=default, metadata={"help": help})


@dataclass
class NetworkArguments:
    """The fields of `LGNConfig`, with the same types, defaults and help. Those that the data decide default to None."""

    image_size: int | None = _field(None, "height and width H of the (square) images, pixels (default: as the data)")
    num_channels: int | None = _field(None, "input channels C: 1 (grey) or 3 (colour) (default: as the data)")
    num_groups: int = _field(5, "groups per layer, K")
    group_order: int = _field(4, "filters per group, p; 1 leaves every filter free (the unconstrained baseline)")
    num_layers: int = _field(4, "unfolded layers, L")
    filter_size: int = _field(6, "height and width n of a filter, pixels; an action is n^2 x n^2")
    padding: int = _field(1, "zero padding of the convolutions, pixels; codes are H + 2*padding - n + 1 on a side")
    step_size: float = _field(0.01, "step size a of the proximal gradient step")
    algorithm: str = _field("fista", "update of the codes: fista (with momentum) or ista")
    tied: bool = _field(False, "share filters and actions across layers")
    action: str = _field(
        "learned",
        "kind of generator A: learned (free matrices), rotation (fixed rotations by multiples of "
        "rotation_angle), left (I (x) A_n, which treats every column of a filter alike), cyclic (S P S^-1 "
        "with S learned and P a permutation: A^p = I by construction)",
    )
    action_sharing: str = _field(
        "channel",
        "one action per channel of every group (channel), per group (group), per layer (layer) or for the "
        "whole network (network)",
    )
    rotation_angle: float | None = _field(
        None, "degrees between neighbours in an orbit, if action is rotation; default 360 / group_order"
    )
    regularizer: str | None = _field(
        None,
        "loss that keeps actions invertible: none (no loss), inverse (eq. 12, trains an inverse of each "
        "action), nuclear (eq. 14; falls without bound as actions grow, and as cyclic ones become ill-"
        "conditioned: use a projection), logdet (appendix B; falls without bound as actions grow: use a "
        "projection); default inverse for action learned, left; none for action rotation, cyclic",
    )
    regularizer_weight: float | None = _field(
        None,
        "weight mu of the regularizer; default 0 for none, 0.001 for inverse, 0.01 for nuclear, 0.001 for logdet",
    )
    projection: str = _field(
        "frobenius",
        "after each optimiser step, scale basis filters to unit norm and actions to unit Frobenius norm "
        "(frobenius) or to singular values of mean square 1 (rms), or leave both free (none)",
    )
    batch_norm: bool = _field(True, "batch normalisation between layers; reconstruction never uses it")
    pool_size: int = _field(4, "side of the average-pooled code that the linear classifier sees")
    decoder: str = _field(
        "free", "reconstruction from a dictionary of its own (free) or from the last layer's orbits (tied)"
    )


@dataclass
class ConvNetArguments:
    """The fields of `LGNConvNetConfig`, likewise. Its generators come from `group_from`, a field of the run."""

    image_size: int | None = _field(None, "height and width of the (square) images, pixels (default: as the data)")
    num_channels: int | None = _field(None, "input channels: 1 (grey) or 3 (colour) (default: as the data)")
    num_orbits: list[int] = _field(  # noqa: RUF009  (it makes a field)
        [10, 10, 10], "orbits per layer of each stage; a layer has |G| times as many maps"
    )
    depths: list[int] = _field(  # noqa: RUF009
        [1, 1, 1], "residual blocks of each stage; between stages the maps are halved"
    )
    downsample_in_first_stage: bool = _field(False, "whether the maps are halved before the first stage, too")
    downsampling: str = _field("max", "how maps are halved: the max or the mean of neighbouring pixels")
    filter_size: int = _field(3, "height and width n of a filter, pixels; an element of the group is n^2 x n^2")
    group: str = _field(
        "rotation",
        "the group: rotation (rotations by 360 / group_order degrees), dihedral (these rotations and mirror images), "
        "reflection (the mirror image, left to right), cyclic (a shift within blocks of group_order pixels), trivial "
        "(the identity alone: free filters), given (the matrices of group_generators)",
    )
    group_order: int = _field(4, "rotations of the group, or pixels in a block, for rotation, dihedral and cyclic")
    action: str = _field(
        "fixed",
        "whether the matrices stay (fixed) or are learned as S rho(g) S^-1 with S shared by all layers (learned)",
    )
    share_norms: bool = _field(True, "batch normalisation with one mean and variance for each orbit")
    orbit_pooling: str = _field("max", "pooling over the group before the classifier: max, mean or none")
    spatial_pooling: str = _field("max", "pooling over the pixels before the classifier: max or mean")
    dropout: float = _field(0.0, "share of the classifier's inputs that training drops")


FAMILIES: dict[str, type] = {"lgn": NetworkArguments, "lgn_convnet": ConvNetArguments}
DEFAULT_FAMILY = "lgn"
