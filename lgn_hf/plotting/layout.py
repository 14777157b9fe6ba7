"""What figures are made of: colours, panels laid out in inches, heat maps, legends and numbers as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

CARD, INK, QUIET, RULE = "#fbfaf7", "#1f2328", "#57606a", "#8c959f"
SIGNED = "RdBu_r"
MAGNITUDE = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#9ecae1", "#2171b5", "#08204a"])
# Okabe and Ito's colours without the yellow, which vanishes on a light card.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]
MARK = PALETTE[1]  # what a figure points at: the end of the group, the roots of unity

WIDTH, MARGIN, GAP = 8.0, 0.15, 0.14  # inches
TITLE, TEXT = 9.5, 8.5  # points; a figure WIDTH inches wide and 800 pixels wide shows TEXT 12 pixels high


# What is drawn in a panel


def heat_map(ax: Axes, values: Tensor, blocks: int | None = None) -> None:
    """A signed matrix, symmetric about zero; `blocks` rules a line every so many rows and columns."""
    reach = values.abs().max().item() or 1.0
    ax.imshow(values.numpy(), cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
    if blocks:
        lines = np.arange(blocks, len(values), blocks) - 0.5
        ends = (-0.5, len(values) - 0.5)
        style = {"colors": QUIET, "linewidths": 0.5, "alpha": 0.55}
        ax.vlines(lines, *ends, **style)
        ax.hlines(lines, *ends, **style)
    hide_ticks(ax)


def magnitudes(ax: Axes, values: Tensor, gamma: float = 1.0) -> None:
    """A non-negative matrix, white at zero; NaN shows as a grey line."""
    array = values.numpy()
    norm = PowerNorm(gamma, vmin=0, vmax=float(np.nanmax(array)) or 1.0)
    ax.imshow(np.ma.masked_invalid(array), cmap=MAGNITUDE, norm=norm, interpolation="nearest")
    hide_ticks(ax)
    ax.set_facecolor("#c9ced6")


def add_colour_key(figure: Figure, note: str = "each image: ± its largest entry") -> None:
    """The diverging scale, at the foot of the figure."""
    width, height = figure.get_size_inches()
    inner = 1.1
    length = 4.4 * len(note) / 72 + inner + 0.75  # the bar, its ends' names and the note, centred together
    start = max(MARGIN + 0.35, (width - length) / 2 + 0.35)
    ax = figure.add_axes((start / width, 0.24 / height, inner / width, 0.1 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), SIGNED), cax=ax, orientation="horizontal")
    bar.outline.set_edgecolor(RULE)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    ax.set_xticks([])
    middle = 0.29 / height
    figure.text((start - 0.06) / width, middle, MINUS + "max", ha="right", va="center", **text_style(QUIET))
    figure.text((start + inner + 0.06) / width, middle, "+max", ha="left", va="center", **text_style(QUIET))
    figure.text((start + inner + 0.62) / width, middle, note, ha="left", va="center", **text_style(QUIET))


def add_legend(figure: Figure, styles: dict[str, dict[str, Any]], columns: int) -> None:
    """The names of the marks, at the foot of the figure."""
    handles = [Line2D([], [], **(style | {"ms": 6, "label": name})) for name, style in styles.items()]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncol=columns,
        frameon=False,
        fontsize=TEXT,
        labelcolor=INK,
        columnspacing=1.5,
    )


def hide_ticks(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    set_frame(ax, RULE, 0.6)


def set_frame(ax: Axes, colour: str, width: float) -> None:
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=width)


def tick_style(ax: Axes) -> None:
    ax.set_facecolor("#ffffff")
    ax.tick_params(which="both", colors=RULE, labelcolor=QUIET, labelsize=TEXT)
    set_frame(ax, RULE, 0.6)


# Where panels stand


def blank_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor=CARD)
    FigureCanvasAgg(figure)
    return figure


def text_style(colour: str = INK, size: float = TEXT) -> dict[str, Any]:
    return {"color": colour, "fontsize": size, "linespacing": 1.2}


def columns_for(count: int, most: int) -> int:
    """As few rows as `most` columns allow, evenly filled."""
    return math.ceil(count / math.ceil(count / most))


def sheet(
    titles: Sequence[str],
    captions: Sequence[str] | None,
    *,
    columns: int,
    cell: float = 1.9,
    aspect: float = 1.0,
    left: float = MARGIN,
    gap: float = GAP,
    footer: float = 0.0,
    ticks: float = 0.0,
    above: float = 0.0,
    least: float = 4.8,
    groups: Sequence[str] | None = None,
    group_rows: int = 1,
) -> tuple[Figure, list[Axes]]:
    """A figure with one panel for each title, row by row, whose texts are wrapped to fit and given the room they need.

    All lengths are inches: `cell` the widest panel, `aspect` its height over its width, `ticks` and `above` room for
    labels below and above each panel, `least` the narrowest figure. `groups` are headings over every `group_rows` rows.
    """
    captions = [""] * len(titles) if captions is None else captions
    expect_count("captions", captions, len(titles))
    width = min(cell, (WIDTH - left - MARGIN + gap) / columns - gap)
    content = left + columns * (width + gap) - gap + MARGIN
    total = max(content, least)
    left += (total - content) / 2
    titles = [wrapped(title, width + 0.8 * gap, TITLE) for title in titles]
    captions = [wrapped(caption, width + 0.8 * gap, TEXT) for caption in captions]

    rows, row_gap = math.ceil(len(titles) / columns), min(gap, GAP)
    tops, y = [], MARGIN  # of each row's panels, from the top of the figure
    for row in range(rows):
        here = slice(row * columns, (row + 1) * columns)
        if groups is not None and row % group_rows == 0:
            y += text_height(["heading"])
        y += text_height(titles[here]) + above
        tops.append(y)
        y += width * aspect + ticks + text_height(captions[here], TEXT) + row_gap
    total_height = y - row_gap + max(footer, MARGIN)

    figure = blank_figure(total, total_height)
    axes = []
    for index, (title, caption) in enumerate(zip(titles, captions, strict=True)):
        row, column = divmod(index, columns)
        x = left + column * (width + gap)
        box = (x, total_height - tops[row] - width * aspect, width, width * aspect)
        ax = figure.add_axes((box[0] / total, box[1] / total_height, box[2] / total, box[3] / total_height))
        middle = (x + width / 2) / total
        if title:
            figure.text(
                middle,
                (box[1] + box[3] + above + 0.05) / total_height,
                title,
                ha="center",
                va="bottom",
                **text_style(INK, TITLE),
            )
        if caption:
            figure.text(
                middle, (box[1] - ticks - 0.05) / total_height, caption, ha="center", va="top", **text_style(QUIET)
            )
        if groups is not None and column == 0 and row % group_rows == 0:
            heading = tops[row] - text_height(titles[index : index + columns]) - above - 0.02
            figure.text(
                x / total,
                1 - heading / total_height,
                groups[row // group_rows],
                va="bottom",
                weight="bold",
                **text_style(INK, TITLE),
            )
        axes.append(ax)
    return figure, axes


def text_height(texts: Iterable[str], points: float = TITLE) -> float:
    """The room that the tallest text needs above or below a panel, in inches."""
    lines = max((text.count("\n") + 1 for text in texts if text), default=0)
    return lines * 1.25 * points / 72 + 0.08 if lines else 0.0


def wrapped(text: str, width: float, points: float) -> str:
    """`text` in lines no longer than `width` inches; formulas are not broken."""
    characters = max(4, int(width * 72 / (0.56 * points)))
    breakable = "$" not in text
    lines = text.split("\n")
    return (
        "\n".join(textwrap.fill(line, characters, break_long_words=breakable) for line in lines) if breakable else text
    )


def inches(ax: Axes) -> tuple[float, float]:
    figure = ax.get_figure(root=True)
    assert figure is not None
    box, (width, height) = ax.get_position(), figure.get_size_inches()
    return box.width * width, box.height * height


def caption_top(ax: Axes) -> float:
    """Where a caption begins, in the coordinates of the axes."""
    return -0.05 / inches(ax)[1]


# What is written

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_name(power: int) -> str:
    return "$W$" if power == 0 else "$AW$" if power == 1 else f"$A^{{{power}}}W$"


def number_text(value: Tensor | float, signed: bool = False) -> str:
    value = float(value)
    if signed:
        return f"{value:+.2f}".replace("-", MINUS)
    if value == 0:
        return "0"
    if value < 1e-2 or value >= 1e4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}{TIMES}10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def span_text(values: np.ndarray) -> str:
    low, high = number_text(values.min()), number_text(values.max())
    return low if low == high else f"{low} to {high}"


def expect_count(name: str, texts: Sequence[str], count: int) -> None:
    if isinstance(texts, str) or len(texts) != count:
        given = repr(texts) if isinstance(texts, str) else len(texts)
        raise ValueError(f"{given} {name} for {count} panels; give one text for each")
