"""Experiment `dft`: how nearly the Fourier basis makes an action diagonal (appendix D)."""

from __future__ import annotations

import argparse
import statistics

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lgn_hf.actions import scores
from lgn_hf.plotting import dft_plot
from lgn_training.data.seeds import seeded_generator
from lgn_training.experiments.given_models import flat_actions, model_facts, open_models
from lgn_training.experiments.linear_maps import SIZE
from lgn_training.experiments.registry import experiment, save
from lgn_training.texts import Row


@experiment(
    "dft",
    "How nearly does the Fourier basis make A diagonal (appendix D)? Share of the energy of F A F^-1 on its diagonal",
    options=("source",),
)
def fourier_diagonality(args: argparse.Namespace) -> Row:
    generator, dim = seeded_generator(args.seed), SIZE**2
    first = torch.randn(dim, dtype=torch.float64, generator=generator)
    band = torch.randn(2 * dim - 1, dtype=torch.float64, generator=generator)
    offsets = torch.arange(dim)[:, None] - torch.arange(dim)
    shown = {
        "circulant": first[offsets % dim],
        "Toeplitz": band[offsets + dim - 1],
        "random": torch.randn(dim, dim, dtype=torch.float64, generator=generator),
    }
    references, found = len(shown), open_models(args)
    for name, source in found.items():
        best = flat_actions(source)[scores(flat_actions(source))["toeplitz"].argmax()]  # figure 11: that of figure 1b
        shown[f"{name}, most Toeplitz"] = best.double()
    rows = [{"matrix": name, **dft_shares(matrix)} for name, matrix in shown.items()]
    for name, source in found.items():
        shares = [dft_shares(matrix) for matrix in flat_actions(source).double()]
        means = {key: statistics.mean(share[key] for share in shares) for key in shares[0]}
        rows.append({"matrix": f"{name}, mean of {len(shares)}", **means})
    drawn = [save(args, "dft", _dft_figure(shown, slice(references)))]
    if found:
        drawn.append(save(args, "dft-learned", _dft_figure(shown, slice(references, None))))
    return {"rows": rows, "data": model_facts(found), "figures": drawn}


def dft_shares(matrix: Tensor) -> dict[str, float]:
    """Of the energy of F A F^-1: what is on the diagonal, and what is in the d largest of its d^2 entries."""
    dim = len(matrix)
    fourier = torch.fft.fft(torch.eye(dim, dtype=torch.complex128), norm="ortho")
    energy = (fourier @ matrix.to(fourier.dtype) @ fourier.mH).abs().square()
    largest = energy.flatten().topk(dim).values
    return {
        "on the diagonal": float(energy.diagonal().sum() / energy.sum()),
        "in the d largest": float(largest.sum() / energy.sum()),
    }


def _dft_figure(shown: dict[str, Tensor], which: slice) -> Figure:
    return dft_plot(torch.stack([*shown.values()][which]), [*shown][which])
