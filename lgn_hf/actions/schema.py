"""What `actions.json` must hold, and how it is read: with suspicion, because it may come from anyone's repository.

Format 1 names no scores. A file may have fewer or more scores than this version knows, and more
fields.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ..files import check_schema

FORMAT_VERSION = 1

# The notation is that of `check_schema`.
_NUMBER = int | float | None
_SCORE = {"value": int | float, "z": _NUMBER}
_OPERATION = {
    "operation": str,
    "parameters": {str: str | int | float | None},
    "correlation": int | float,
    "z": _NUMBER,
}
_RECORD = {
    "layer": int,
    "group": int,
    "channel": int,
    "key": str,
    "label": str | None,
    "scores": {str: _SCORE},
    "condition_number": _NUMBER,
    "log_abs_det": _NUMBER,
    "eigenvalues": [(_NUMBER, _NUMBER)],
    "singular_values": [_NUMBER],
    "nearest": [_OPERATION],
}
_OPTIONAL = {  # what a record may also have
    "cyclic_order": int,
    "cyclic_residuals": [_NUMBER],
    "power_separation": _NUMBER,
    "scale_levels": [_NUMBER],
}
_CONFIG = {str: str | bool | int | float | None}
_DOCUMENT = {"model": {"name": str | None, "config": _CONFIG}, "null": dict, "actions": [_RECORD]}


def read_document(path: Path) -> dict[str, Any]:
    """Read `actions.json`. Every field has the type that it should have, and every number is finite.

    Raises:
        ValueError: the file is damaged, of another format, or lacks a field; the message names the
            field.
    """
    try:
        document = json.loads(path.read_bytes(), parse_int=_number, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
        raise ValueError(f"{path} is damaged or incomplete ({error}): download or save it again") from None
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {version!r:.80}: must be {FORMAT_VERSION}")
    try:
        check_schema(document, _DOCUMENT, path.name)
        for i, record in enumerate(document["actions"]):
            optional = {name: schema for name, schema in _OPTIONAL.items() if name in record}
            check_schema(record, optional, f"actions[{i}]")
        check_config(document["model"]["config"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return document


def check_config(config: Any) -> None:
    """Check the configuration of a model that actions come with: plain JSON values, among them `group_order`.

    Raises:
        ValueError: a field is missing or has another type.
    """
    check_schema(config, _CONFIG, "model.config")
    check_schema(config, {"group_order": int}, "model.config")
    if config.get("action") == "rotation":
        check_schema(config, {"rotation_angle": int | float}, "model.config")


def json_value(value: Any) -> Any:
    """A value as JSON has it: tuples as lists, infinities and NaN as None.

    Numbers are rounded to seven digits: the digits of float32 matrices, without the rounding errors
    of the machine.

    Example:
        >>> json_value({"scale_levels": (1 / 3, float("inf"))})
        {'scale_levels': [0.3333333, None]}
    """
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def _number(text: str) -> int | float:
    """A finite number. Integers of more than 15 digits become floats: Python refuses to parse very long ones."""
    value = int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is not a finite number")
    return value
