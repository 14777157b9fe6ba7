"""A sheet of panels, row by row, which gives titles and captions the room that they need."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .checks import expect_count
from .page import axes_at, blank_figure, inches, text_at
from .style import GAP, INK, MARGIN, QUIET, TEXT, TITLE, WIDTH, text_style

PAD = 0.05  # inches between a panel and its title or caption


@dataclass(frozen=True)
class Cell:
    """The place of one panel, in inches.

    width: the most that a panel takes. aspect: its height over its width. gap: between panels side by side.
    above, below: room between a panel and its title or caption, for tick labels.
    """

    width: float = 1.9
    aspect: float = 1.0
    gap: float = GAP
    above: float = 0.0
    below: float = 0.0


@dataclass(frozen=True)
class Sheet:
    """How panels of one size are laid out, in inches.

    left: margin, where row labels stand. foot: room for a legend. narrowest: the least width of the figure.
    """

    columns: int
    cell: Cell = Cell()
    left: float = MARGIN
    foot: float = MARGIN
    narrowest: float = 4.8

    def lay_out(
        self,
        titles: Sequence[str],
        captions: Sequence[str] | None = None,
        headings: Mapping[int, str] | None = None,
    ) -> tuple[Figure, list[Axes]]:
        """A figure with one empty panel per title, row by row.

        Args:
            titles: texts above the panels, wrapped to fit.
            captions: texts below them.
            headings: bold texts above a whole row, by the number of the row.
        """
        captions = [""] * len(titles) if captions is None else captions
        headings = headings or {}
        expect_count("captions", captions, len(titles))
        cell = self.cell
        width = min(cell.width, (WIDTH - self.left - MARGIN + cell.gap) / self.columns - cell.gap)
        content = self.left + self.columns * (width + cell.gap) - cell.gap + MARGIN
        total = max(content, self.narrowest)
        left = self.left + (total - content) / 2
        titles = [wrapped(title, width + 0.8 * cell.gap, TITLE) for title in titles]
        captions = [wrapped(caption, width + 0.8 * cell.gap, TEXT) for caption in captions]

        height, row_gap = width * cell.aspect, min(cell.gap, GAP)
        tops, heading_feet, y = [], {}, MARGIN  # from the top of the figure
        for row in range(math.ceil(len(titles) / self.columns)):
            here = slice(row * self.columns, (row + 1) * self.columns)
            if row in headings:
                y += text_height(["heading"])
                heading_feet[row] = y - 0.02
            y += text_height(titles[here]) + cell.above
            tops.append(y)
            y += height + cell.below + text_height(captions[here], TEXT) + row_gap
        total_height = y - row_gap + self.foot

        figure = blank_figure(total, total_height)
        axes = []
        for index, (title, caption) in enumerate(zip(titles, captions, strict=True)):
            row, column = divmod(index, self.columns)
            x, bottom = left + column * (width + cell.gap), total_height - tops[row] - height
            axes.append(axes_at(figure, x, bottom, width, height))
            middle, above, below = x + width / 2, bottom + height + cell.above + PAD, bottom - cell.below - PAD
            if title:
                text_at(figure, middle, above, title, ha="center", va="bottom", **text_style(INK, TITLE))
            if caption:
                text_at(figure, middle, below, caption, ha="center", va="top", **text_style(QUIET))
        for row, foot in heading_feet.items():
            style = {"va": "bottom", "weight": "bold", **text_style(INK, TITLE)}
            text_at(figure, left, total_height - foot, headings[row], **style)
        return figure, axes


def columns_for(count: int, most: int) -> int:
    """The columns of a sheet of `count` panels: as few rows as `most` columns allow, evenly filled."""
    return math.ceil(count / math.ceil(count / most))


def text_height(texts: Iterable[str], points: float = TITLE) -> float:
    """The room that the tallest text needs above or below a panel, in inches."""
    lines = max((text.count("\n") + 1 for text in texts if text), default=0)
    return lines * 1.25 * points / 72 + 0.08 if lines else 0.0


def wrapped(text: str, width: float, points: float) -> str:
    """The text in lines of at most `width` inches. Texts with a formula stay as they are."""
    if "$" in text:
        return text
    characters = max(4, int(width * 72 / (0.56 * points)))
    return "\n".join(textwrap.fill(line, characters) for line in text.split("\n"))


def caption_top(ax: Axes) -> float:
    """Where a caption begins, in the coordinates of the axes."""
    return -PAD / inches(ax)[1]
