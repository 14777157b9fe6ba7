"""The columns of a data set of actions: their types, and what its card says of them."""

from __future__ import annotations

from datasets import Features, Image, List, Value

from ..actions import MIN_Z, NULL, SCORES
from ..plotting import MOST_POWERS

_NUMBER, _TEXT, _COUNT = Value("float64"), Value("string"), Value("int32")

FEATURES = Features(
    {
        "heat_map": Image(),
        "orbit": Image(),
        "model": _TEXT,
        "dataset": _TEXT,
        "task": _TEXT,
        "layer": _COUNT,
        "group": _COUNT,
        "channel": _COUNT,
        "label": _TEXT,
        "nearest": _TEXT,
        "nearest_correlation": _NUMBER,
        "nearest_z": _NUMBER,
        **{f"{name}{suffix}": _NUMBER for name in SCORES for suffix in ("", "_z")},
        "condition_number": _NUMBER,
        "log_abs_det": _NUMBER,
        "cyclic_order": _COUNT,
        "power_separation": _NUMBER,
        "nearest_operation": _TEXT,
        "nearest_parameters": _TEXT,
        "order": _COUNT,
        "size": _COUNT,
        "key": _TEXT,
        "singular_values": List(_NUMBER),
        "eigenvalues": List(List(_NUMBER)),
        "matrix": List(List(Value("float32"))),
        "basis": List(List(List(Value("float32")))),
        "config": _TEXT,
    }
)

MEANINGS = {
    "heat_map": "the matrix: blue below zero, white at zero, red above, scaled to its largest entry; lines between its "
    "blocks",
    "orbit": f"the filters W, AW, A²W, ... that the model uses ({MOST_POWERS} at most), each scaled to its largest entry; "
    "one row per channel that shares the action",
    "model, dataset, task": "where the action comes from",
    "layer, group, channel": "its place in the model; of a network over one group, `group` is the number of the element",
    "label": f"its name, if it is far outside chance (z above {MIN_Z:g} and most of its energy); else null",
    "nearest, nearest_correlation, nearest_z": "the known operation that it resembles most, their correlation, and how "
    "far above chance that is; `nearest_operation` and `nearest_parameters` (JSON) are its parts",
    ", ".join(SCORES): "how much of the structure the matrix has, from 0 to 1; null if the model's files do not say",
    "..._z": "the same in standard deviations above chance "
    f"({NULL['scores']}; orthogonality: {NULL['orthogonality']})",
    "condition_number, log_abs_det": "null if the matrix is singular",
    "cyclic_order": "the q from 1 to 24 for which the q-th power of the matrix is nearest to a multiple of the identity",
    "power_separation": "how different the elements of the group are from each other: 0 if two are proportional",
    "order, size": "the elements of the group, and the pixels of a filter's side: the matrix is size² x size²",
    "singular_values, eigenvalues": "largest first; an eigenvalue is a pair of real and imaginary part",
    "matrix": "the action itself, float32, on the column-major vec of a filter",
    "basis": "the filters W on which it acts in the model, (filters, size, size); null if they are unknown",
    "key, config": "the name of the matrix in the model's `actions.safetensors`, and the model's configuration (JSON)",
}
