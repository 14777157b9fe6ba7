"""A cyclic action A = S P S^-1, A^p = I, fitted to filters: which orbits they form, and S.

Two facts make it tractable.

- If the filters are orbits of A, then M = sum of w w^T over all slices w of all filters is the same before and after A.
  So Q = M^(-1/2) A M^(1/2) is orthogonal, and it acts on the whitened slices u = M^(-1/2) w.
- For orbits u_g = Q^g u_0, the Fourier transform along the orbit, sum_g exp(-2 pi i j g / p) u_g, lies in the eigenspace of
  Q for exp(2 pi i j / p). With H_j the second moments of these transforms, the best Q for given orbits maximises
  sum_j tr(V_j* H_j V_j) over orthonormal bases V_j of its eigenspaces, whose dimensions P fixes. V <- polar([H_j V_j])
  never lowers that sum.

The search starts from several actions: rotation, the shift P itself, and those that map filters to filters with the same
Gram matrix of whitened slices, which is the same along an orbit, whatever Q. Each start alternates between orbits
(`matching`) and Q.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..nn import LinearGroup
from .matching import basis_filters, match, orbits_of, relative_residual

CHANNELS = 48  # of the filters in the search; more are replaced by their principal components
FEW_CHANNELS = 12  # when starts are compared
SEEDS = 8  # filters whose nearest neighbours in Gram matrix are tried as an orbit
KEPT = 2  # of the starts, to alternate from
ALTERNATIONS = 6
POLAR_STEPS = 12
LARGE = 64  # pixels, from which on less is tried, for the sake of time
SMALLEST = 1e-4  # eigenvalue of M, relative to the largest, that counts


@dataclass(frozen=True)
class Layer:
    """Filters (N, C, d) in equal blocks that orbits do not cross."""

    filters: Tensor
    blocks: int = 1


def fit_cyclic(layers: list[Layer], order: int, start: Tensor | None, orthogonal: bool) -> Tensor:
    """One S for all layers, whose filters have the same size.

    Args:
        layers: the filters.
        order: p.
        start: an action to try first, such as the rotation, (d, d).
        orthogonal: look for orthogonal S only.

    Returns:
        S, (d, d), float32.
    """
    layers = [Layer(layer.filters / layer.filters.norm().clamp_min(1e-30), layer.blocks) for layer in layers]
    layers = [_fewer_channels(layer, CHANNELS) for layer in layers]
    few = [_fewer_channels(layer, FEW_CHANNELS) for layer in layers]
    best: tuple[float, Tensor] | None = None
    dim = layers[0].filters.shape[2]
    for metric in [torch.eye(dim)] if orthogonal else [_root_of_moments(layers), torch.eye(dim)]:
        whitening = torch.linalg.inv(metric)
        white = [Layer(layer.filters @ whitening.T, layer.blocks) for layer in layers]
        white_few = [Layer(layer.filters @ whitening.T, layer.blocks) for layer in few]
        starts = [eigenspaces(moments, order) for moments in _starts(white_few, order, start, dim)]
        for spaces in sorted(starts, key=lambda spaces: _score(white_few, spaces, order))[:KEPT]:
            for _ in range(ALTERNATIONS if dim <= LARGE else 2):
                basis = metric @ rotation_of(spaces, order)
                elements = elements_of(spaces, order)
                members = [match(layer.filters, elements, layer.blocks, rounds=1) for layer in white]
                residual = _residual(layers, conjugates(basis, order), members)
                if best is None or residual < best[0]:
                    best = (residual, basis)
                spaces = eigenspaces(_moments(white, members, order), order, spaces)
    assert best is not None
    return best[1] * (dim**0.5 / best[1].norm())


def fit_orbit_by_orbit(filters: Tensor, members: Tensor, basis: Tensor, orthogonal: bool) -> Tensor:
    """An S for each orbit by itself, no worse than the `basis` of all: (K, 1, d, d)."""
    orbits = filters[members]  # (K, p, C, d)
    count, order, _, dim = orbits.shape
    candidates = [basis.expand(count, -1, -1)]
    for metric in [torch.eye(dim).expand(count, -1, -1)] + [_root(_second_moments(orbits))] * (not orthogonal):
        white = torch.linalg.solve(metric[:, None], orbits.mT).mT
        own = metric @ rotation_of(eigenspaces(_fourier_moments(white), order), order)
        candidates.append(own * (dim**0.5 / torch.linalg.matrix_norm(own, keepdim=True)))
    residuals = []
    for candidate in candidates:
        elements = conjugates(candidate, order)[:, None]
        fitted = orbits_of(basis_filters(filters, elements, members), elements)
        residuals.append((fitted - orbits).square().sum((1, 2, 3)))
    best = torch.stack(residuals).nan_to_num(nan=float("inf")).argmin(0)
    return torch.stack(candidates)[best, torch.arange(count)][:, None]


# Eigenspaces, as the columns of V = [V_0, ..., V_{p-1}], (..., d, d), unitary


def multiplicities(order: int, dim: int) -> list[int]:
    """The dimensions of the eigenspaces of P: d // p each, and d mod p more for the eigenvalue 1."""
    return [dim // order + (dim % order if j == 0 else 0) for j in range(order)]


def eigenspaces(moments: Tensor, order: int, spaces: Tensor | None = None) -> Tensor:
    """Orthonormal eigenbases V_j that maximise sum_j tr(V_j* H_j V_j), H_j positive. Shapes: H (..., p, d, d) to V (..., d, d)."""
    dim = moments.shape[-1]
    sizes = multiplicities(order, dim)
    moments = moments / moments.abs().amax((-3, -2, -1), keepdim=True).clamp_min(1e-30)
    moments = moments + 1e-3 * torch.eye(dim, dtype=moments.dtype)
    if spaces is None:
        parts: list[Tensor] = []
        for j in range(order):
            if 2 * j > order:
                parts.append(parts[order - j].conj())
                continue
            real = j == 0 or 2 * j == order
            values, vectors = torch.linalg.eigh(moments[..., j, :, :].real if real else moments[..., j, :, :])
            keep = slice(dim - sizes[j], dim)
            parts.append((vectors[..., keep] * values[..., None, keep]).to(moments.dtype))
        noise = _eigenvectors_of_shift(order, dim)
        spaces = _polar(torch.cat(parts, dim=-1) + 1e-3 * noise)
    for _ in range(POLAR_STEPS if dim <= LARGE else 4):
        parts = [moments[..., j, :, :] @ part for j, part in enumerate(spaces.split(sizes, dim=-1))]
        spaces = _polar(torch.cat(parts, dim=-1))
    return spaces


def rotation_of(spaces: Tensor, order: int) -> Tensor:
    """The orthogonal S with Q = S P S^-1. Shapes: V (..., d, d) to (..., d, d), real."""
    shift = _eigenvectors_of_shift(order, spaces.shape[-1])
    return _polar((spaces @ shift.mH).real)


def elements_of(spaces: Tensor, order: int) -> Tensor:
    """The powers of Q: (p, d, d)."""
    return conjugates(rotation_of(spaces, order), order)


def conjugates(basis: Tensor, order: int) -> Tensor:
    """S P^g S^-1 for g < p. Shapes: (..., d, d) to (..., p, d, d)."""
    basis = basis[..., None, :, :]
    return basis @ _shifts(order, basis.shape[-1]) @ torch.linalg.inv(basis)


@lru_cache
def _shifts(order: int, dim: int) -> Tensor:
    """The powers of P: (p, d, d)."""
    return LinearGroup.cyclic(order, dim).elements.float()


@lru_cache
def _eigenvectors_of_shift(order: int, dim: int) -> Tensor:
    """Orthonormal eigenvectors of P as columns, for exp(2 pi i j / p) with j = 0, then 1, ...: (d, d)."""
    blocks = dim // order
    steps = torch.arange(order)
    parts = []
    for j in range(order):
        wave = torch.polar(torch.tensor(order**-0.5), -2 * math.pi * j * steps / order)
        vectors = torch.zeros(dim, blocks, dtype=torch.complex64)
        for block in range(blocks):
            vectors[block * order : (block + 1) * order, block] = wave
        if j == 0:  # coordinates that stay
            vectors = torch.cat([vectors, torch.eye(dim, dtype=torch.complex64)[:, blocks * order :]], dim=1)
        parts.append(vectors)
    return torch.cat(parts, dim=1)


def _polar(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix)
    return left @ right


# Second moments of the Fourier transforms along orbits, H_j, (..., p, d, d)


def _fourier_moments(orbits: Tensor) -> Tensor:
    """Shapes: orbits (..., p, C, d) to (..., p, d, d)."""
    waves = torch.fft.fft(orbits.to(torch.complex64), dim=-3, norm="ortho")
    return torch.einsum("...jci,...jck->...jik", waves, waves.conj())


def _moments(layers: list[Layer], members: list[Tensor], order: int) -> Tensor:
    total = torch.zeros(())
    for layer, orbits in zip(layers, members, strict=True):
        total = total + _fourier_moments(layer.filters[orbits].transpose(0, 1).flatten(1, 2))
    return total


def _moments_of_matrix(matrix: Tensor, order: int) -> Tensor:
    """For a matrix near one with Q^p = I: its projections onto the eigenspaces."""
    powers = [torch.eye(len(matrix))]
    for _ in range(order - 1):
        powers.append(matrix @ powers[-1])
    projections = torch.fft.fft(torch.stack(powers).to(torch.complex64), dim=0) / order
    projections = (projections + projections.mH) / 2
    least = torch.linalg.eigvalsh(projections).min().clamp_max(0)
    return projections - least * torch.eye(len(matrix))


# Where the search starts


def _starts(layers: list[Layer], order: int, start: Tensor | None, dim: int) -> Iterator[Tensor]:
    yield _moments_of_matrix(_shifts(order, dim)[1], order)
    if start is not None:
        yield _moments_of_matrix(start, order)
    for layer in layers[:4] if dim <= LARGE else ():
        for orbit in _likely_orbits(layer.filters, order):
            yield _fourier_moments(layer.filters[orbit])


def _likely_orbits(filters: Tensor, order: int) -> Iterator[Tensor]:
    """Filters whose slices have nearly the same Gram matrix, in the cyclic order that fits best."""
    if order > 5 or len(filters) < order:
        return
    grams = (filters @ filters.mT).flatten(1)
    distances = torch.cdist(grams, grams) / grams.norm(dim=1).clamp_min(1e-30)[:, None]
    near = distances.topk(order, largest=False)
    for seed in near.values[:, -1].argsort(stable=True)[:SEEDS].tolist():
        first, *others = near.indices[seed].tolist()
        # In an orbit u, Qu, Q^2 u, ..., the products of neighbours are the same all along.
        best = min(
            ((first, *rest) for rest in itertools.permutations(others)),
            key=lambda orbit: _unevenness(filters[list(orbit)]),
        )
        yield torch.tensor(best)


def _unevenness(orbit: Tensor) -> float:
    products = orbit.roll(-1, 0) @ orbit.mT  # (p, C, C)
    return float((products - products.mean(0)).square().sum())


def _score(layers: list[Layer], spaces: Tensor, order: int) -> float:
    """The residual after a short alternation."""

    def orbits() -> tuple[Tensor, list[Tensor]]:
        elements = elements_of(spaces, order)
        return elements, [match(layer.filters, elements, layer.blocks, rounds=0) for layer in layers]

    for _ in range(2):
        spaces = eigenspaces(_moments(layers, orbits()[1], order), order, spaces)
    elements, members = orbits()
    return _residual(layers, elements, members)


def _residual(layers: list[Layer], elements: Tensor, members: list[Tensor]) -> float:
    return sum(
        relative_residual(layer.filters, elements, part) ** 2 for layer, part in zip(layers, members, strict=True)
    )


# Smaller problems


def _fewer_channels(layer: Layer, most: int) -> Layer:
    """The principal components of the channels: an action on the pixels commutes with a change of the channels."""
    if layer.filters.shape[1] <= most:
        return layer
    gram = torch.einsum("nci,nei->ce", layer.filters, layer.filters)
    components = torch.linalg.eigh(gram).eigenvectors[:, -most:]
    return Layer(torch.einsum("nci,ce->nei", layer.filters, components), layer.blocks)


def _root_of_moments(layers: list[Layer]) -> Tensor:
    return _root(torch.stack([_second_moments(layer.filters) for layer in layers]).sum(0))


def _second_moments(filters: Tensor) -> Tensor:
    return torch.einsum("...gci,...gcj->...ij", filters, filters)


def _root(moments: Tensor) -> Tensor:
    """M^(1/2), with the mean eigenvalue where M vanishes. Shapes: (..., d, d) to the same."""
    values, vectors = torch.linalg.eigh(moments.double())
    largest = values[..., -1:].clamp_min(1e-30)
    values = torch.where(values < 1e-7 * largest, values.mean(-1, keepdim=True), values)
    values = torch.maximum(values, SMALLEST * largest)
    root = vectors * values.sqrt()[..., None, :] @ vectors.mT
    return root.to(moments.dtype)
