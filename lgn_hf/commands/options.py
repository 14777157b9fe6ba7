"""How the options of the command line are spelt."""

from __future__ import annotations

from typing import Any

import click


def option(*names: str, **settings: Any) -> Any:
    """An option that may be written with underscores in place of hyphens, as in the training program."""
    twins = [name.replace("-", "_").replace("__", "--", 1) for name in names if "-" in name[2:]]
    return click.option(*names, *twins, names[0].lstrip("-").replace("-", "_"), **settings)
