"""The structures of arguments.h in Python, one set for each type of number."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch


def _structure(name: str, number: Any, fields: str) -> type[ctypes.Structure]:
    """A structure of arguments.h. Names that end in * are pointers; the others are numbers."""
    members = [(field.rstrip("*"), ctypes.c_void_p if field.endswith("*") else number) for field in fields.split()]
    return type(name, (ctypes.Structure,), {"_fields_": members})


Shape = _structure(
    "Shape",
    ctypes.c_int64,
    "batch channels filters height width rows columns pitch positions code_plane image_plane threads part "
    "code_mask* image_mask*",
)
_FORWARD = (
    "scratch* images* filters* bias* step previous* before* momentum scale* shift* residuals* codes* next_momentum "
    "moments*"
)
_BACKWARD = (
    "scratch* residuals* codes* filters* step previous* before* momentum scale* shift* mean* deviation* next_momentum "
    "flow* flow_scale* flow_slope* flow_shift* later_flow* later_momentum gradient* previous_flow* image_gradient* "
    "filter_gradient* sums*"
)


class NumberType(NamedTuple):
    """How a network's numbers are stored, and what the compiled functions take."""

    name: str  # the suffix of the functions
    mask: torch.dtype  # integers as wide as a number
    codes: torch.dtype
    forward: type[ctypes.Structure]
    backward: type[ctypes.Structure]


NUMBER_TYPES = {
    kind: NumberType(
        name, mask, codes, _structure("Forward", number, _FORWARD), _structure("Backward", number, _BACKWARD)
    )
    for kind, name, mask, codes, number in (
        ("torch.float32", "float", torch.int32, torch.float32, ctypes.c_float),
        ("torch.float64", "double", torch.int64, torch.float64, ctypes.c_double),
        ("mixed", "mixed", torch.int32, torch.bfloat16, ctypes.c_float),  # float32, except for codes and products
    )
}
