"""Eigenvalues on the complex plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked_matrices, expect_count, expect_finite, expect_order
from .page import inches
from .panels import add_legend
from .sheet import Cell, Sheet, columns_for
from .style import CARD, MARK, PALETTE, QUIET, RULE, tick_style
from .text import MINUS, number_text

FURTHEST = 2.0  # modulus, the most that the axes reach


def spectrum_plot(
    spectra: Tensor, order: int, titles: Sequence[str] | None = None, *, remove_scale: bool = True
) -> Figure:
    """Eigenvalues on the complex plane, with the unit circle and the p-th roots of unity.

    Where A^p = I, every eigenvalue is a root. The scale of an action is arbitrary (a projection fixes it), so the
    eigenvalues of each action are divided by their median modulus, which is 1 where A^p = I. Diamonds at the edge
    point to eigenvalues further out than twice the unit circle. The caption has the largest modulus.

    Args:
        spectra: complex eigenvalues, (..., d), or real matrices, (..., d, d); N panels in all.
        order: p.
        titles: N texts, drawn above the panels.
        remove_scale: False draws the eigenvalues as they are.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    expect_order(order)
    values = _eigenvalues(spectra)
    if titles is not None:
        expect_count("titles", titles, len(values))
    scales = values.abs().quantile(0.5, dim=-1, keepdim=True)
    scales = torch.where(scales > 0, scales, 1.0) if remove_scale else torch.ones_like(scales)
    values = values / scales
    points = values.numpy()

    columns = columns_for(len(points), 5)
    above = [""] * len(points) if titles is None else titles
    below = [f"max |λ| {number_text(largest)}" for largest in values.abs().amax(-1)]
    if remove_scale:
        below = [f"scale {number_text(scale)}\n{text}" for scale, text in zip(scales[:, 0], below, strict=True)]
    sheet = Sheet(columns, Cell(3.4, below=0.2), left=0.35, foot=0.5, narrowest=5.6)
    figure, axes = sheet.lay_out(above, below)
    reach = min(max(1.15, 1.1 * float(np.abs(points).max())), FURTHEST)
    large = max(6.0, 4 * inches(axes[0])[0])  # points
    small = 0.55 * large
    circle = {"color": QUIET, "lw": 0.9}
    roots = {"ls": "", "marker": "o", "mfc": "none", "mec": MARK, "mew": 1.6, "ms": large}
    dots = {"ls": "", "marker": "o", "mfc": PALETTE[0], "mec": CARD, "mew": 0.4, "ms": small, "alpha": 0.85}
    pointers = {"ls": "", "marker": "D", "mfc": "none", "mec": PALETTE[0], "mew": 1.3, "ms": small}
    legend = {"unit circle": circle, f"roots of unity, p = {order}": roots, "eigenvalues of A": dots}

    turn, step = 2 * np.pi * np.linspace(0, 1, 181), 2 * np.pi * np.arange(order) / order
    for index, (ax, eigenvalues) in enumerate(zip(axes, points, strict=True)):
        _complex_plane(ax, reach, labelled=index % columns == 0)
        ax.plot(np.cos(turn), np.sin(turn), label="unit circle", **circle)
        ax.plot(np.cos(step), np.sin(step), label="roots of unity", **roots)
        ax.plot(eigenvalues.real, eigenvalues.imag, label="eigenvalues", **dots)
        extent = np.maximum(np.abs(eigenvalues.real), np.abs(eigenvalues.imag))
        if (beyond := extent > reach).any():
            edge = 0.93 * reach * eigenvalues[beyond] / extent[beyond]
            ax.plot(edge.real, edge.imag, label="further out", **pointers)
            legend["further out"] = pointers
    add_legend(figure, legend, columns=4)
    return figure


def _eigenvalues(spectra: Tensor) -> Tensor:
    """Given as they are or as matrices: (N, d), complex128."""
    if not torch.is_complex(torch.as_tensor(spectra)):
        return torch.linalg.eigvals(checked_matrices(spectra))
    values = torch.as_tensor(spectra).detach().cpu().to(torch.complex128)
    if values.ndim < 1 or values.numel() == 0:
        raise ValueError(f"eigenvalues of shape {tuple(values.shape)}; expected (..., d)")
    expect_finite("the eigenvalues", values)
    return values.reshape(-1, values.shape[-1])


def _complex_plane(ax: Axes, reach: float, labelled: bool) -> None:
    """Both axes from -reach to reach; `labelled` writes the numbers of the imaginary one."""
    ax.axhline(0, color=RULE, lw=0.5)
    ax.axvline(0, color=RULE, lw=0.5)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    ax.set_xticklabels([MINUS + "1", "0", "1"])
    ax.set_yticklabels([MINUS + "i", "0", "i"] if labelled else [])
    tick_style(ax)
