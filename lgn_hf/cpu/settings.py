"""The arguments of an unfolding that are not tensors."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """See `lgn_hf.model.unfolding.unfold`. `batch_statistics`: whether a norm uses the batch's, one for each norm."""

    momentum: tuple[float, ...]
    step_size: float
    padding: int
    eps: tuple[float, ...]
    batch_statistics: tuple[bool, ...]
    all_codes: bool
    with_gradient: bool
