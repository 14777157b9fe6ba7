"""Figures of what a network learned: actions, orbits, spectra, codes, filters.

Every function returns a matplotlib `Figure` without touching pyplot, and `save_figure` writes it. Figures stand on a
light card of their own, so that they read the same on a white and on a dark page, and are laid out in inches for a
column 800 pixels wide. Signed values have diverging colours centred at zero (blue below, red above, which colour-blind
readers tell apart), scaled to the largest entry of each image, because the powers of an action may fade or grow by
orders of magnitude.

Shapes: d = n*n; matrices may have any leading dimensions, which are read in order, (..., d, d) as (N, d, d). Tensors
may be on any device and of any real type. Arguments of another shape, or that are not finite, raise `ValueError`.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ..files import write_whole
from ..model.filters import unvec, vec
from .layout import (
    CARD,
    GAP,
    INK,
    MARGIN,
    MARK,
    MINUS,
    PALETTE,
    QUIET,
    RULE,
    TEXT,
    TITLE,
    WIDTH,
    add_colour_key,
    add_legend,
    blank_figure,
    caption_top,
    columns_for,
    expect_count,
    heat_map,
    hide_ticks,
    inches,
    magnitudes,
    number_text,
    power_name,
    set_frame,
    sheet,
    span_text,
    text_style,
    tick_style,
)


def action_gallery(
    matrices: Tensor, titles: Sequence[str], captions: Sequence[str] | None = None, size: int | None = None
) -> Figure:
    """The actions as heat maps ("Learning Linear Groups in Neural Networks", figures 1, 6, 7), the n x n blocks ruled.

    Args:
        matrices: (..., d, d), N in all.
        titles: N texts, drawn above each.
        captions: N texts, drawn below each, such as its label and scores.
        size: n, the side of a block; the square root of d by default.
    """
    matrices = _matrices(matrices)
    size = _size_of(matrices, size)
    expect_count("titles", titles, len(matrices))
    figure, axes = sheet(titles, captions, columns=columns_for(len(matrices), 5), footer=0.5)
    for ax, matrix in zip(axes, matrices, strict=True):
        heat_map(ax, matrix, blocks=size)
    add_colour_key(figure)
    return figure


def orbit_plot(
    basis: Tensor,
    matrix: Tensor,
    order: int,
    continued_to: int | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """A basis filter and its images W, phi_A(W), ..., phi_A^{p-1}(W) (eq. 9), then the powers past the group.

    Under each image stand its Frobenius norm and its cosine with W, which A^p = I would bring back to 1 at power p.
    Images past the group's order are framed in orange, behind a bar.

    Args:
        basis: (n, n), or (R, n, n) for R orbits below each other.
        matrix: (d, d), or (R, d, d).
        order: p.
        continued_to: the last power drawn; 2p - 1 by default, a second tour of the group; p - 1 for the group alone.
        titles: R texts, drawn before each orbit.
    """
    filters = _checked("basis", basis, "(n, n) or (R, n, n)", (2, 3), square=True)
    matrices = _matrices(matrix)
    size = filters.shape[-1]
    filters = filters.reshape(-1, size, size)
    _expect_pair(matrices, size)
    if len(matrices) not in (1, len(filters)):
        raise ValueError(f"{len(matrices)} matrices for {len(filters)} basis filters; give one, or one for each")
    _expect_order(order)
    last = 2 * order - 1 if continued_to is None else continued_to
    if last < order - 1:
        raise ValueError(f"continued_to={last} stops before the group's last power, {order - 1}")
    if titles is not None:
        expect_count("titles", titles, len(filters))

    images = [vec(filters)]
    for _ in range(last):
        images.append(torch.einsum("rij,rj->ri", matrices.expand(len(filters), -1, -1), images[-1]))
    orbits = torch.stack(images, dim=1)  # (R, powers, d)
    _expect_finite("the powers of the matrix", orbits)
    norms = orbits.norm(dim=-1)
    cosines = torch.einsum("rpd,rd->rp", orbits, orbits[:, 0]) / (norms * norms[:, :1]).clamp_min(1e-300)

    powers = last + 1
    tours = (
        9 // order * order if order <= 9 else columns_for(powers, 9)
    )  # rows of whole tours of the group, if they fit
    columns = powers if powers <= 9 else tours
    rows = math.ceil(powers / columns)
    above, below = [], []
    for r in range(len(filters)):
        for i in range(rows * columns):
            inside = i < powers
            above.append(power_name(i) if inside else "")
            below.append(f"{number_text(norms[r, i])}\n{number_text(cosines[r, i], signed=True)}" if inside else "")
    figure, axes = sheet(
        above, below, columns=columns, cell=1.4, left=0.62, footer=0.5, groups=titles, group_rows=rows, least=7.0
    )
    for index, ax in enumerate(axes):
        r, i = divmod(index, rows * columns)
        if i >= powers:
            ax.remove()
            continue
        heat_map(ax, unvec(orbits[r, i], size))
        if i % columns == 0:
            ax.text(
                -0.1,
                caption_top(ax),
                "norm\ncosine",
                transform=ax.transAxes,
                ha="right",
                va="top",
                **text_style(QUIET),
            )
        if i >= order:
            set_frame(ax, MARK, 1.4)
        if i == order:
            bar = -0.5 * GAP / inches(ax)[0]
            ax.plot([bar, bar], [-0.02, 1.04], color=MARK, lw=2.5, transform=ax.transAxes, clip_on=False)
    note = f"orange: past the group's order p = {order}" if last >= order else f"the group of order p = {order}"
    add_colour_key(figure, f"each image: ± its largest entry · {note}")
    return figure


def effect_plot(matrix: Tensor, patches: Tensor | None = None, titles: Sequence[str] | None = None) -> Figure:
    """What actions do to the identity matrix of size n, which is easy to read (figure 2), and to any other patches.

    Args:
        matrix: (..., d, d), N in all.
        patches: (n, n) or (M, n, n), drawn after the identity.
        titles: N texts, one for each action.
    """
    matrices = _matrices(matrix)
    size = _size_of(matrices)
    titles = [f"action {i + 1}" for i in range(len(matrices))] if titles is None else titles
    expect_count("titles", titles, len(matrices))
    inputs = torch.eye(size, dtype=torch.float64)[None]
    names = ["identity"]
    if patches is not None:
        extra = _checked("patches", patches, "(n, n) or (M, n, n)", (2, 3), square=True).reshape(
            -1, *patches.shape[-2:]
        )
        _expect_pair(matrices, extra.shape[-1], "patches")
        inputs = torch.cat([inputs, extra])
        names += [f"patch {i + 1}" for i in range(len(extra))]
    images = unvec(torch.einsum("nij,mj->nmi", matrices, vec(inputs)), size)

    # A table of actions by patches, with the more numerous of the two along the rows' direction.
    across = len(matrices) > len(inputs)
    table: list[list[tuple[str, Tensor | None, int | None]]] = [[("", None, None)]]
    table[0] += [(name, patch, None) for name, patch in zip(names, inputs, strict=True)]
    for i, title in enumerate(titles):
        table.append([(title, matrices[i], size)])
        table[-1] += [("", image, None) for image in images[i]]
    if across:
        table = [list(row) for row in zip(*table, strict=True)]
    cells = [cell for row in table for cell in row]
    figure, axes = sheet([title for title, _, _ in cells], None, columns=len(table[0]), cell=1.7, footer=0.5)
    for ax, (_, values, blocks) in zip(axes, cells, strict=True):
        if values is None:
            ax.set_axis_off()
            hint = (
                "actions →\n\n↓ patches and\nwhat becomes\nof them"
                if across
                else "patches →\n\n↓ actions and\nwhat they make\nof them"
            )
            ax.text(0.5, 0.5, hint, ha="center", va="center", transform=ax.transAxes, **text_style(QUIET))
        else:
            heat_map(ax, values, blocks=blocks)
    add_colour_key(figure)
    return figure


def spectrum_plot(
    spectra: Tensor, order: int, titles: Sequence[str] | None = None, *, remove_scale: bool = True
) -> Figure:
    """Eigenvalues on the complex plane, with the unit circle and the p-th roots of unity.

    A^p = I puts every eigenvalue on a root. As the scale of an action is arbitrary (a projection fixes it), the
    eigenvalues of each are divided by their median modulus, which is 1 where A^p = I. Eigenvalues further out than
    twice the unit circle are pointed at from the edge; the caption has the largest modulus.

    Args:
        spectra: complex eigenvalues, (..., d), or real matrices, (..., d, d); N panels in all.
        order: p.
        titles: N texts, drawn above each panel.
        remove_scale: False draws the eigenvalues as they are.
    """
    _expect_order(order)
    if torch.is_complex(torch.as_tensor(spectra)):
        values = torch.as_tensor(spectra).detach().cpu().to(torch.complex128)
        if values.ndim < 1 or values.numel() == 0:
            raise ValueError(f"eigenvalues of shape {tuple(values.shape)}; expected (..., d)")
        _expect_finite("the eigenvalues", values)
        values = values.reshape(-1, values.shape[-1])
    else:
        values = torch.linalg.eigvals(_matrices(spectra))
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
    figure, axes = sheet(above, below, columns=columns, cell=3.4, left=0.35, footer=0.5, ticks=0.2, least=5.6)
    reach = min(max(1.15, 1.1 * float(np.abs(points).max())), 2.0)
    large = max(6.0, 4 * inches(axes[0])[0])  # points
    small = 0.55 * large
    circle = {"color": QUIET, "lw": 0.9}
    roots = {"ls": "", "marker": "o", "mfc": "none", "mec": MARK, "mew": 1.6, "ms": large}
    dots = {"ls": "", "marker": "o", "mfc": PALETTE[0], "mec": CARD, "mew": 0.4, "ms": small, "alpha": 0.85}
    pointers = {"ls": "", "marker": "D", "mfc": "none", "mec": PALETTE[0], "mew": 1.3, "ms": small}
    legend = {"unit circle": circle, f"roots of unity, p = {order}": roots, "eigenvalues of A": dots}

    turn, step = 2 * np.pi * np.linspace(0, 1, 181), 2 * np.pi * np.arange(order) / order
    for index, (ax, eigenvalues) in enumerate(zip(axes, points, strict=True)):
        ax.axhline(0, color=RULE, lw=0.5)
        ax.axvline(0, color=RULE, lw=0.5)
        ax.plot(np.cos(turn), np.sin(turn), label="unit circle", **circle)
        ax.plot(np.cos(step), np.sin(step), label="roots of unity", **roots)
        ax.plot(eigenvalues.real, eigenvalues.imag, label="eigenvalues", **dots)
        extent = np.maximum(np.abs(eigenvalues.real), np.abs(eigenvalues.imag))
        if (beyond := extent > reach).any():
            edge = 0.93 * reach * eigenvalues[beyond] / extent[beyond]
            ax.plot(edge.real, edge.imag, label="further out", **pointers)
            legend["further out"] = pointers
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        ax.set_xticklabels([MINUS + "1", "0", "1"])
        ax.set_yticklabels([MINUS + "i", "0", "i"] if index % columns == 0 else [])
        tick_style(ax)
    add_legend(figure, legend, columns=4)
    return figure


def singular_value_plot(matrices: Tensor, labels: Sequence[str] | None = None) -> Figure:
    """Singular values in descending order, on a logarithmic scale, one line for each action.

    Actions of one label share a colour and have their median drawn bold. The legend gives the condition numbers of
    each label, from least to most. Values below 1e-16 of the largest, which rounding cannot tell from zero, are drawn
    there.

    Args:
        matrices: (..., d, d), N in all.
        labels: N texts; lines of one label share a colour, 7 different ones at most.
    """
    matrices = _matrices(matrices)
    labels = ["actions"] * len(matrices) if labels is None else labels
    expect_count("labels", labels, len(matrices))
    kinds = list(dict.fromkeys(labels))
    if len(kinds) > len(PALETTE):
        raise ValueError(f"{len(kinds)} different labels; at most {len(PALETTE)} can be told apart by colour")
    values = torch.linalg.svdvals(matrices)
    values = values.maximum((1e-16 * values[:, :1]).clamp_min(torch.finfo(values.dtype).tiny)).numpy()

    figure = blank_figure(WIDTH, 4.2)
    legend_lines = math.ceil(len(kinds) / 2)
    bottom = 0.62 + 0.22 * legend_lines
    ax = figure.add_axes((0.8 / WIDTH, bottom / 4.2, (WIDTH - 0.95) / WIDTH, (4.2 - bottom - 0.15) / 4.2))
    index = np.arange(1, values.shape[-1] + 1)
    legend = {}
    for label, colour in zip(kinds, PALETTE, strict=False):
        lines = values[[other == label for other in labels]]
        for line in lines:
            ax.plot(index, line, color=colour, lw=0.8 if len(lines) > 1 else 2.0, alpha=0.3 if len(lines) > 1 else 1.0)
        if len(lines) > 1:
            ax.plot(index, np.median(lines, axis=0), color=colour, lw=2.4)
        legend[f"{label} (condition {span_text(lines[:, 0] / lines[:, -1])})"] = {"color": colour, "lw": 2.0}
    ax.set_yscale("log")
    ax.set_xlim(0.5, len(index) + 0.5)
    ax.set_xlabel("index i", **text_style(INK, TITLE))
    ax.set_ylabel("singular value $\\sigma_i(A)$", **text_style(INK, TITLE))
    ax.grid(axis="y", color=RULE, lw=0.4, alpha=0.5)
    tick_style(ax)
    add_legend(figure, legend, columns=min(2, len(kinds)))
    return figure


def dft_plot(matrices: Tensor, titles: Sequence[str]) -> Figure:
    """Each action A above |F A F^-1|, with F the d x d discrete Fourier transform (appendix D, figures 10 and 11).

    A circulant matrix becomes diagonal. The caption is the share of the squared entries that lie on the diagonal,
    1/d for a random matrix.

    Args:
        matrices: (..., d, d), N in all.
        titles: N texts.
    """
    matrices = _matrices(matrices)
    expect_count("titles", titles, len(matrices))
    spectra = torch.fft.ifft(torch.fft.fft(matrices, dim=-2), dim=-1).abs()
    energy = spectra.square()
    shares = energy.diagonal(dim1=-2, dim2=-1).sum(-1) / energy.sum((-2, -1)).clamp_min(1e-300)
    columns = columns_for(len(matrices), 4)
    root = math.isqrt(matrices.shape[-1])
    blocks = root if root**2 == matrices.shape[-1] else None

    above, below, images = [], [], []
    for start in range(0, len(matrices), columns):
        row = range(start, min(start + columns, len(matrices)))
        blanks = columns - len(row)
        above += [*(titles[i] for i in row), *[""] * blanks, *["$|F A F^{-1}|$" for _ in row], *[""] * blanks]
        below += [""] * columns + [f"{shares[i]:.1%} on the diagonal" for i in row] + [""] * blanks
        images += [*((matrices[i], False) for i in row), *[None] * blanks]
        images += [*((spectra[i], True) for i in row), *[None] * blanks]
    figure, axes = sheet(above, below, columns=columns, cell=2.4, footer=0.5)
    for ax, image in zip(axes, images, strict=True):
        if image is None:
            ax.remove()
        elif image[1]:
            magnitudes(ax, image[0])
        else:
            heat_map(ax, image[0], blocks=blocks)
    add_colour_key(figure, "above ± largest entry, below white is 0")
    return figure


def code_plot(image: Tensor, codes: Sequence[Tensor], order: int | None = None) -> Figure:
    """An image and its codes z_1..z_L, each filter's map a tile.

    White is zero, and the ink follows the square root of the code, so that weak ones show; a layer has one scale.

    Args:
        image: (H, W), (1, H, W) or (3, H, W), scaled to its range.
        codes: of each layer, (F, h, w), filters group-major (eq. 11).
        order: p, to lay the tiles out as groups (down) by powers (across); nearly square by default.
    """
    pixels = _checked("image", image, "(H, W), (1, H, W) or (3, H, W)", (2, 3))
    if pixels.ndim == 3 and len(pixels) not in (1, 3):
        raise ValueError(f"image of shape {tuple(pixels.shape)}; expected (H, W), (1, H, W) or (3, H, W)")
    if len(codes) == 0:
        raise ValueError("no codes; give one tensor (F, h, w) for each layer")
    layers = [_checked(f"code {i + 1}", code, "(F, h, w)", (3,)) for i, code in enumerate(codes)]
    if order is not None:
        _expect_order(order)
        for layer in layers:
            if len(layer) % order:
                raise ValueError(f"{len(layer)} code maps are not whole groups of order {order}")

    montages = [_montage(layer, order or math.ceil(math.sqrt(len(layer)))) for layer in layers]
    above = ["image", *(f"code $z_{{{i + 1}}}$" for i in range(len(layers)))]
    below = ["", *(f"{(layer != 0).double().mean():.1%} non-zero" for layer in layers)]
    aspect = max(montage.shape[0] / montage.shape[1] for montage in montages)
    columns = 3 if len(above) > 4 else len(above)
    left = 0.55 if order else MARGIN
    gap = 0.55 if order else GAP
    figure, axes = sheet(
        above, below, columns=columns, cell=2.6, aspect=aspect, left=left, gap=gap, above=0.2 if order else 0.0
    )
    low, high = pixels.min(), pixels.max()
    shown = ((pixels - low) / (high - low).clamp_min(1e-300)).numpy()
    axes[0].imshow(np.moveaxis(shown, 0, -1) if shown.ndim == 3 else shown, cmap="gray", interpolation="nearest")
    axes[0].set_anchor("N")
    hide_ticks(axes[0])
    for ax, layer, montage in zip(axes[1:], layers, montages, strict=True):
        magnitudes(ax, montage, gamma=0.5)
        ax.set_anchor("N")
        if order:
            _label_tiles(ax, layer.shape[-2:], len(layer) // order, order)
    return figure


def filter_plot(filters: Tensor, names: Sequence[str] | None = None) -> Figure:
    """The filters of one layer as in "Learning unfolded networks with a cyclic group structure", figures 2 to 4.

    A column is a group: its basis filter on top, the images under the action below. Three channels are shown as
    colour with grey for zero, one channel in the diverging colours.

    Args:
        filters: (K, p, C, n, m) with C = 1 or 3, such as `model.filter_bank()[l]`.
        names: p texts, what each row shows; W, AW, ..., A^{p-1}W by default.
    """
    values = _checked("filters", filters, "(K, p, C, n, m) with C = 1 or 3", (5,))
    groups, order, channels = values.shape[:3]
    labels = [power_name(i) for i in range(order)] if names is None else [*names]
    expect_count("names", labels, order)
    if channels not in (1, 3):
        raise ValueError(f"filters of {channels} channels; 1 or 3 can be drawn: select some, as in filters[:, :, :1]")
    columns = columns_for(groups, 10)
    above, cells = [], []
    for start in range(0, groups, columns):
        for i in range(order):
            for k in range(start, start + columns):
                above.append(f"$W_{{{k + 1}}}$" if i == 0 and k < groups else "")
                cells.append((k, i) if k < groups else None)
    figure, axes = sheet(
        above,
        None,
        columns=columns,
        cell=1.2,
        left=0.5 if order > 1 else MARGIN,
        gap=0.1,
        footer=0.5,
        aspect=values.shape[-2] / values.shape[-1],
    )
    for ax, cell in zip(axes, cells, strict=True):
        if cell is None:
            ax.remove()
            continue
        k, i = cell
        if channels == 1:
            heat_map(ax, values[k, i, 0])
        else:
            colours = values[k, i] / (2 * (values[k, i].abs().max().item() or 1.0)) + 0.5
            ax.imshow(colours.permute(1, 2, 0).numpy(), interpolation="nearest")
            hide_ticks(ax)
        if k % columns == 0 and order > 1:
            ax.set_ylabel(labels[i], rotation=0, ha="right", va="center", **text_style(INK, TITLE))
    if channels == 1:
        add_colour_key(figure)
    else:
        text = "colour filters, each scaled to its largest entry; mid-grey is 0"
        figure.text(0.5, 0.22 / figure.get_figheight(), text, ha="center", va="center", **text_style(QUIET))
    return figure


def image_plot(rows: Mapping[str, Sequence[np.ndarray]], captions: Sequence[str]) -> Figure:
    """Rows of images, one for each of their versions, with texts below the last.

    Args:
        rows: a row's name, and its N images (H, W) or (H, W, 3), integers up to 255 or numbers in [0, 1].
        captions: N texts.
    """
    images = [image for row in rows.values() for image in row]
    blank = [""] * len(captions)
    below = [*blank * (len(rows) - 1), *captions]
    left = 0.75 if any(rows) else MARGIN
    figure, axes = sheet([""] * len(images), below, columns=len(captions), cell=1.2, left=left, gap=0.08)
    names = iter(rows)
    for index, (ax, image) in enumerate(zip(axes, images, strict=True)):
        most = 255 if np.issubdtype(image.dtype, np.integer) else 1
        ax.imshow(image, cmap="gray", vmin=0, vmax=most, interpolation="nearest")
        hide_ticks(ax)
        if index % len(captions) == 0:
            ax.set_ylabel(next(names), rotation=0, ha="right", va="center", **text_style(INK, TITLE))
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: float = 200) -> Path:
    """Write a PNG of 256 colours, whole or not at all, and create the folder if need be. Returns the path."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"figures are written as .png, not as {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    image, small = Image.open(buffer).convert("RGB"), io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)  # a third of the size
    write_whole(path, small.getvalue())
    return path


# Tiles of codes


def _montage(maps: Tensor, columns: int) -> Tensor:
    """(F, h, w) to one picture of F tiles, row by row, parted by a line of NaN one pixel wide."""
    count, height, width = maps.shape
    rows = math.ceil(count / columns)
    tiles = torch.full((rows * columns, height + 1, width + 1), torch.nan, dtype=maps.dtype)
    tiles[:count, :height, :width] = maps
    tiles = tiles.view(rows, columns, height + 1, width + 1).transpose(1, 2)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def _label_tiles(ax: Axes, tile: Sequence[int], groups: int, order: int) -> None:
    height, width = tile
    ax.set_yticks(np.arange(groups) * (height + 1) + (height - 1) / 2, [f"$W_{{{k + 1}}}$" for k in range(groups)])
    ax.set_xticks(np.arange(order) * (width + 1) + (width - 1) / 2, [f"$A^{{{i}}}$" for i in range(order)])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=QUIET, labelsize=TEXT)


# What is refused


def _checked(name: str, values: Tensor, shape: str, dims: tuple[int, ...], square: bool = False) -> Tensor:
    """The values as float64 on the CPU, if they have one of the numbers of dimensions."""
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.is_complex():
        raise ValueError(f"{name} must be real, not {tensor.dtype}")
    if tensor.ndim not in dims or tensor.numel() == 0 or (square and tensor.shape[-1] != tensor.shape[-2]):
        raise ValueError(f"{name} of shape {tuple(tensor.shape)}; expected {shape}")
    tensor = tensor.double()
    _expect_finite(name, tensor)
    return tensor


def _matrices(values: Tensor) -> Tensor:
    """(..., d, d) to (N, d, d)."""
    dims = tuple(range(2, 9))
    matrices = _checked("matrices", values, "(..., d, d)", dims, square=True)
    return matrices.reshape(-1, *matrices.shape[-2:])


def _size_of(matrices: Tensor, size: int | None = None) -> int:
    dim = matrices.shape[-1]
    found = math.isqrt(dim) if size is None else size
    if found**2 != dim:
        given = "" if size is None else f" and size={size}"
        raise ValueError(f"matrices are {dim} x {dim}{given}; an action on n x n filters is n² x n²")
    return found


def _expect_pair(matrices: Tensor, size: int, name: str = "basis") -> None:
    if matrices.shape[-1] != size**2:
        dim = matrices.shape[-1]
        raise ValueError(
            f"matrices are {dim} x {dim}, but {name} {size} x {size} need{'s' * (name == 'basis')} {size**2} x {size**2}"
        )


def _expect_order(order: int) -> None:
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order={order!r}; expected a whole number of at least 1")


def _expect_finite(name: str, values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise ValueError(f"{name}: some entries are NaN or infinite")
