"""Tables and trees of files on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .texts import one_line

if TYPE_CHECKING:
    from rich.table import Table


def tree(folder: Path, contents: dict[str, int]) -> str:
    """The files of a folder with their sizes, as a tree."""
    lines, shown = [f"{folder}/"], set()
    width = max(map(len, contents)) + 4
    for path, size in contents.items():
        *parents, name = path.split("/")
        for depth in range(1, len(parents) + 1):
            if (parent := tuple(parents[:depth])) not in shown:
                shown.add(parent)
                lines.append(f"{'  ' * depth}{parents[depth - 1]}/")
        lines.append(f"{'  ' * (len(parents) + 1)}{name}".ljust(width) + f"{size:>12,}")
    lines.append("  total".ljust(width) + f"{sum(contents.values()):>12,} bytes")
    return "\n".join(lines)


def print_table(title: str | None, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; its texts are never read as markup."""
    from rich.console import Console

    Console().print(make_table(title, columns, rows))


def make_table(title: str | None, columns: list[str], rows: list[list[str]]) -> Table:
    """A table of rich; its texts are never read as markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None if title is None else Text(one_line(title, None)))
    for column in columns:
        table.add_column(Text(one_line(column, None)))
    for row in rows:
        table.add_row(*(Text(one_line(cell, None)) for cell in row))
    return table


def number(value: float | None, missing: str = "") -> str:
    """Three digits, or what is said of a number that is missing."""
    return missing if value is None else f"{value:.3g}"
