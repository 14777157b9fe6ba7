"""Which modules are meant: names, suffixes and regular expressions as in peft, or a predicate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

from torch import nn

Target = str | Sequence[str] | Callable[[str, nn.Module], bool]


def matching(target: Target, modules: dict[str, nn.Module], field: str) -> set[str]:
    """The names of the modules that a target means.

    Args:
        target: a string is a regular expression for the whole name; a list holds whole names or their last parts
            ("conv2" means "layer1.0.conv2"); a predicate gets name and module. A regular expression and a predicate
            choose among the convolutions only.
        modules: all modules by name.
        field: what the target is called in messages.

    Raises:
        ValueError: the target, or a name in it, matches nothing; the message names it and the nearest names.
    """
    convolutions = {name: module for name, module in modules.items() if isinstance(module, nn.Conv2d)}
    if isinstance(target, str):
        try:
            found = {name for name in convolutions if re.fullmatch(target, name)}
        except re.error as error:
            raise ValueError(f"{field}={target!r} is not a regular expression: {error}") from None
        if not found:
            raise ValueError(
                f"{field}={target!r}: no convolution has a name that this regular expression matches in full"
                + nearest_names(target, convolutions)
            )
        return found
    if callable(target):
        found = {name for name, module in convolutions.items() if target(name, module)}
        if not found:
            raise ValueError(f"{field}: the predicate is true for none of {len(convolutions)} convolutions")
        return found
    found = set()
    for entry in target:
        named = {name for name in modules if name == entry or name.endswith(f".{entry}")} - {""}
        if not named:
            raise ValueError(f"{field}: no module is named {entry!r}" + nearest_names(entry, convolutions))
        found |= named
    if not found:
        raise ValueError(f"{field} is empty")
    return found


def nearest_names(wanted: str, names: Iterable[str]) -> str:
    """The end of a message that lists the names most like the wanted one."""
    names = [name for name in names if name]
    near = get_close_matches(wanted, names, n=3, cutoff=0)
    return f"; the nearest are {', '.join(near)}" if near else "; the model has no convolutions"
