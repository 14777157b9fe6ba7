"""The picture that stands for a Space where people post a link to it."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ..actions import Action, Actions
from ..plotting import INK, QUIET, axes_at, blank_figure, heat_map, power_name, save_figure, text_at, text_style

WIDTH, HEIGHT, DPI = 12.0, 6.3, 100  # inches; 1200 x 630 pixels, which is what such pictures are cut to
ROWS, COLUMNS = 4, 4
LEFT, TILE, STEP = 5.9, 1.2, 1.42  # of the filters, inches


def draw_preview(models: Sequence[Actions], title: str, lines: Sequence[str], path: str | os.PathLike) -> Path:
    """Draw orbits of filters of some models beside a title, 1200 x 630 pixels.

    Args:
        models: their actions, at least one. An action without basis filters acts on the identity matrix.
        title: large.
        lines: sentences below it.
        path: of the PNG, which is replaced.

    Returns:
        `path`.
    """
    figure = blank_figure(WIDTH, HEIGHT)
    y = _write(figure, HEIGHT - 1.45, textwrap.wrap(title, 17)[:4], INK, 32, 0.62)
    for line in lines:
        y = _write(figure, y - 0.25, textwrap.wrap(line, 34)[:3], QUIET, 17, 0.36)
    _write(figure, 0.85, ["lgn-hf"], INK, 17, 0)
    for row, action in enumerate(itertools.islice(_in_turn(models), ROWS)):
        basis = (
            torch.eye(action.size) if action.basis is None else action.basis.reshape(-1, action.size, action.size)[0]
        )
        bottom = HEIGHT - 0.45 - STEP * row - TILE
        for power, values in enumerate(action.orbit(basis, range(min(action.order, COLUMNS)))):
            left = LEFT + STEP * power
            heat_map(axes_at(figure, left, bottom, TILE, TILE), values)
            if row == 0:
                style = text_style(QUIET, 15)
                text_at(figure, left + TILE / 2, HEIGHT - 0.33, power_name(power), ha="center", **style)
    return save_figure(figure, path, DPI)


def _in_turn(models: Sequence[Actions]) -> Iterator[Action]:
    """The actions on the first channel, of one model after another. Identities are left out, unless there is nothing else."""
    grouped = [actions for actions in models if actions.order > 1] or models
    queues = [
        [action for action in actions if action.channel == actions.numbers[2][0] and not _is_identity(action)]
        for actions in grouped
    ]
    for turn in itertools.zip_longest(*queues):
        yield from (action for action in turn if action is not None)


def _is_identity(action: Action) -> bool:
    return action.order > 1 and action.matrix.equal(torch.eye(action.dim))


def _write(figure: Figure, top: float, lines: Sequence[str], colour: str, size: float, step: float) -> float:
    """Lines of text from `top` down. Returns where the next may begin."""
    for number, line in enumerate(lines):
        text_at(figure, 0.6, top - number * step, line, va="top", parse_math=False, **text_style(colour, size))
    return top - step * len(lines)
