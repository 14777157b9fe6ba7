"""Basis filters and their images under the powers of an action."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..model.filters import unvec, vec
from .checks import checked, checked_matrices, expect_count, expect_finite, expect_fit, expect_order
from .page import inches
from .panels import add_colour_key, heat_map
from .sheet import Cell, Sheet, caption_top, columns_for
from .style import GAP, MARK, QUIET, set_frame, text_style
from .text import number_text, power_name

MOST_COLUMNS = 9


def orbit_plot(
    basis: Tensor,
    matrix: Tensor,
    order: int,
    continued_to: int | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """A basis filter and its images W, phi_A(W), ..., phi_A^{p-1}(W) (eq. 9), then the powers past the group.

    The caption of an image is its Frobenius norm and its cosine with W. Where A^p = I, the cosine is 1 again at
    power p. Images past the group's order have an orange frame and stand behind an orange bar.

    Args:
        basis: (n, n), or (R, n, n) for R orbits below each other.
        matrix: (d, d), or (R, d, d).
        order: p.
        continued_to: the last power that is drawn. 2p - 1 by default, a second tour of the group; p - 1 draws the
            group alone.
        titles: R texts, drawn above the orbits.

    Raises:
        ValueError: an argument has another shape or count, or an image is not finite.
    """
    filters = checked("basis", basis, "(n, n) or (R, n, n)", (2, 3), square=True)
    matrices = checked_matrices(matrix)
    size = filters.shape[-1]
    filters = filters.reshape(-1, size, size)
    expect_fit(matrices, "basis filters", size)
    if len(matrices) not in (1, len(filters)):
        raise ValueError(f"{len(matrices)} matrices for {len(filters)} basis filters; give one, or one for each")
    expect_order(order)
    last = 2 * order - 1 if continued_to is None else continued_to
    if last < order - 1:
        raise ValueError(f"continued_to={last} stops before the group's last power, {order - 1}")
    if titles is not None:
        expect_count("titles", titles, len(filters))

    orbits = _powers(filters, matrices, last)
    norms = orbits.norm(dim=-1)
    cosines = torch.einsum("rpd,rd->rp", orbits, orbits[:, 0]) / (norms * norms[:, :1]).clamp_min(1e-300)

    columns = _columns(last + 1, order)
    rows = math.ceil((last + 1) / columns)  # of one orbit
    places = [(r, i) for r in range(len(filters)) for i in range(rows * columns)]
    above = [power_name(i) if i <= last else "" for _, i in places]
    below = [
        f"{number_text(norms[r, i])}\n{number_text(cosines[r, i], signed=True)}" if i <= last else ""
        for r, i in places
    ]
    headings = {r * rows: title for r, title in enumerate(titles or [])}
    sheet = Sheet(columns, Cell(1.4), left=0.62, foot=0.5, narrowest=7.0)
    figure, axes = sheet.lay_out(above, below, headings)
    for ax, (r, i) in zip(axes, places, strict=True):
        if i > last:
            ax.remove()
            continue
        heat_map(ax, unvec(orbits[r, i], size))
        if i % columns == 0:
            _name_captions(ax)
        if i >= order:
            set_frame(ax, MARK, 1.4)
        if i == order:
            _bar_before(ax)
    note = f"orange: past the group's order p = {order}" if last >= order else f"the group of order p = {order}"
    add_colour_key(figure, f"each image: ± its largest entry · {note}")
    return figure


def _powers(filters: Tensor, matrices: Tensor, last: int) -> Tensor:
    """vec(W), A vec(W), ..., A^last vec(W): (R, n, n) to (R, last + 1, d)."""
    images = [vec(filters)]
    for _ in range(last):
        images.append(torch.einsum("rij,rj->ri", matrices.expand(len(filters), -1, -1), images[-1]))
    orbits = torch.stack(images, dim=1)
    expect_finite("the powers of the matrix", orbits)
    return orbits


def _columns(powers: int, order: int) -> int:
    """All powers in one row if they fit, else whole tours of the group, else rows of about the same length."""
    if powers <= MOST_COLUMNS:
        return powers
    return MOST_COLUMNS // order * order if order <= MOST_COLUMNS else columns_for(powers, MOST_COLUMNS)


def _name_captions(ax: Axes) -> None:
    at = caption_top(ax)
    ax.text(-0.1, at, "norm\ncosine", transform=ax.transAxes, ha="right", va="top", **text_style(QUIET))


def _bar_before(ax: Axes) -> None:
    place = -0.5 * GAP / inches(ax)[0]
    ax.plot([place, place], [-0.02, 1.04], color=MARK, lw=2.5, transform=ax.transAxes, clip_on=False)
