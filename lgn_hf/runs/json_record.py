"""JSON objects as dataclasses: strict about the fields that they declare, and keeping all others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..files import check_schema

Self = TypeVar("Self", bound="JsonRecord")


@dataclass(frozen=True, kw_only=True)
class JsonRecord:
    """Base of dataclasses that are read from JSON objects and written as such.

    A field may be a number, a text, a truth value, a list or dictionary of those, or another record. One with a default
    may be missing. The library's own strict dataclasses (`huggingface_hub.dataclasses`) are not used: their errors
    take several lines and do not say where in a file the value is.

    Attributes:
        kept: the object that was read. It holds the fields that the class does not declare, and their order.
    """

    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls: type[Self], value: Any, where: str) -> Self:
        """Read a JSON object.

        Args:
            where: the name of the object in messages, such as `all_results.json`.

        Raises:
            ValueError: the value is not an object, or a field is missing or has the wrong type.
        """
        check_schema(value, dict, where)
        types = get_type_hints(cls)
        present = [f.name for f in cls._declared() if _has_value(f, value) or not _has_default(f)]
        check_schema(value, {name: _schema(types[name]) for name in present}, where)
        found = {name: value[name] for name in present}
        for name in present:
            if dataclasses.is_dataclass(types[name]):
                found[name] = types[name].from_json(value[name], f"{where}.{name}")
        return cls(**found, kept=value)

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object, with all fields that were read. Fields that are None by default are left out."""
        found = dict(self.kept)
        for f in self._declared():
            value = getattr(self, f.name)
            if value is not None or f.name in found or not _has_default(f):
                found[f.name] = value.to_json() if isinstance(value, JsonRecord) else value
        return found

    @classmethod
    def _declared(cls) -> list[dataclasses.Field[Any]]:
        return [f for f in dataclasses.fields(cls) if f.name != "kept"]


def _has_value(f: dataclasses.Field[Any], value: dict[str, Any]) -> bool:
    return f.name in value and not (value[f.name] is None and f.default is None)


def _has_default(f: dataclasses.Field[Any]) -> bool:
    return f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING


def _schema(hint: Any) -> Any:
    """A type, in the terms of `check_schema`. JSON does not tell 1 from 1.0, so a whole number is a float, too."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        schemas = [_schema(argument) for argument in arguments]
        # A list or None: None is what a field is without a value, which is not checked.
        return next((schema for schema in schemas if isinstance(schema, list)), None) or reduce(or_, schemas)
    if origin is list:
        return [_schema(arguments[0])]
    if origin is dict:
        return dict if arguments[1] is Any else {str: _schema(arguments[1])}
    if dataclasses.is_dataclass(hint):
        return dict
    return int | float if hint is float else hint
