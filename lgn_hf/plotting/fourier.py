"""Actions in the Fourier basis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked_matrices, expect_count
from .panels import add_colour_key, heat_map, magnitudes
from .sheet import Cell, Sheet, columns_for


def dft_plot(matrices: Tensor, titles: Sequence[str]) -> Figure:
    """Each action A above |F A F^-1|, with F the d x d discrete Fourier transform (appendix D, figures 10 and 11).

    A circulant matrix becomes diagonal. The caption is the share of the squared entries that lie on the diagonal; of
    a random matrix it is 1/d.

    Args:
        matrices: (..., d, d), N in all.
        titles: N texts.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    matrices = checked_matrices(matrices)
    expect_count("titles", titles, len(matrices))
    spectra = torch.fft.ifft(torch.fft.fft(matrices, dim=-2), dim=-1).abs()
    energy = spectra.square()
    shares = energy.diagonal(dim1=-2, dim2=-1).sum(-1) / energy.sum((-2, -1)).clamp_min(1e-300)
    columns = columns_for(len(matrices), 4)
    side = math.isqrt(matrices.shape[-1])
    blocks = side if side**2 == matrices.shape[-1] else None

    # Rows alternate: actions, and their transforms.
    above, below, panels = [], [], []
    for start in range(0, len(matrices), columns):
        row = range(start, min(start + columns, len(matrices)))
        blank = [""] * (columns - len(row))
        above += [*(titles[i] for i in row), *blank, *("$|F A F^{-1}|$" for _ in row), *blank]
        below += [*("" for _ in row), *blank, *(f"{shares[i]:.1%} on the diagonal" for i in row), *blank]
        panels += [*(("action", i) for i in row), *(None for _ in blank)]
        panels += [*(("transform", i) for i in row), *(None for _ in blank)]
    figure, axes = Sheet(columns, Cell(2.4), foot=0.5).lay_out(above, below)
    for ax, panel in zip(axes, panels, strict=True):
        if panel is None:
            ax.remove()
        elif panel[0] == "transform":
            magnitudes(ax, spectra[panel[1]])
        else:
            heat_map(ax, matrices[panel[1]], blocks=blocks)
    add_colour_key(figure, "above ± largest entry, below white is 0")
    return figure
