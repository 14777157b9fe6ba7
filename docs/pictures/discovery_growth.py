"""The picture of what a search for symmetries costs: `python docs/pictures/discovery_growth.py`, in a checkout.

It draws `training/measured/discovery_growth.json`, from `python training/benchmark.py --parts discovery_growth`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lgn_training.benchmark.parts.discovery_growth import DIM, POINTS_PER_DIM
from matplotlib.figure import Figure

from lgn_hf.plotting import INK, PALETTE, RULE, add_legend, axes_at, blank_figure, save_figure, text_style, tick_style

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "training" / "measured" / "discovery_growth.json"
OUTPUT = ROOT / "docs" / "images" / "discovery-growth.png"
WIDTH, HEIGHT, DPI = 8.0, 3.6, 200
PANELS = {"search s": "processor time", "peak MiB": "memory that it adds"}
TICKS = {
    "search s": {5: "5 s", 10: "10 s", 20: "20 s", 50: "50 s", 100: "100 s"},
    "peak MiB": {50: "50 MiB", 100: "100 MiB", 200: "200 MiB", 500: "500 MiB"},
}


def growth_picture(rows: Sequence[dict[str, Any]]) -> Figure:
    """Time and memory against N, both logarithmic: a line for N = 3 d, and one for a fixed d."""
    lines = {
        f"N = {POINTS_PER_DIM} d": [row for row in rows if row["N"] - POINTS_PER_DIM * row["d"] in range(4)],
        f"d = {DIM}": [row for row in rows if row["d"] == DIM],
    }
    figure = blank_figure(WIDTH, HEIGHT)
    for column, (field, label) in enumerate(PANELS.items()):
        ax = axes_at(figure, 0.95 + 3.95 * column, 1.05, 2.85, HEIGHT - 1.25)
        for (name, some), colour in zip(lines.items(), PALETTE, strict=False):
            some = sorted(some, key=lambda row: row["N"])
            ax.plot([row["N"] for row in some], [row[field] for row in some], color=colour, lw=1.6, marker="o", ms=4)
            if column == 0 and name.startswith("N"):
                for row in some:
                    ax.annotate(
                        f"d = {row['d']}" if row in (some[0], some[-1]) else str(row["d"]),
                        (row["N"], row[field]),
                        xytext=(4, -9),
                        textcoords="offset points",
                        **text_style(colour, 7),
                    )
        ax.set(xscale="log", yscale="log")
        counts = [25, 50, 100, 200, 300]
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.set_xticks([], minor=True)
        ticks = TICKS[field]
        ax.set_yticks(list(ticks), list(ticks.values()))
        ax.set_yticks([], minor=True)
        ax.set_xlabel("points N", **text_style(INK))
        ax.set_ylabel(label, **text_style(INK))
        ax.grid(color=RULE, lw=0.4, alpha=0.5)
        tick_style(ax)
    marks = {name: {"color": colour, "lw": 1.6, "marker": "o"} for name, colour in zip(lines, PALETTE, strict=False)}
    add_legend(figure, marks, columns=2)
    return figure


if __name__ == "__main__":
    measured = json.loads(MEASURED.read_text())["discovery_growth"]
    print(save_figure(growth_picture([row for row in measured if row["of"] == "points"]), OUTPUT, DPI))
