"""The unfolded layers on CPUs, several times faster than through torch's convolutions.

What `unfold` computes, and its gradients, here are two compiled functions a layer (unfolding_cpu.cpp): each image passes
through a layer while it is in the processor's cache, batch normalisation is a scale and a shift of what the next layer
reads, and of every layer only its code and its residual are kept. Under bfloat16 autocast their products run on the matrix
units (AMX) of processors that have them, and codes are kept as bfloat16. The C++ compiler of the machine builds the
functions on first use, once; without one, and wherever `suits` says no, `unfold` does the work.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import math
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub.constants import HF_HOME
from torch import Tensor, nn

from ..model.convolutions import is_eager
from ..model.unfolding import unfold

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fopenmp", "-shared", "-fPIC", "-Wno-psabi", "-std=c++17")
CACHE_LINE = 64  # bytes
# Threads take this many images at a time, whoever is free, and every such part has filter gradients of its own: a thread
# that the system holds up does not hold up the others, and results do not depend on the number of threads.
IMAGES_OF_A_PART = 8


class CannotCompile(Exception):
    """Why there is no compiled library."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; or None, after a warning that says why.

    They are kept in $HF_HOME/lgn_hf for the next process, under a name that tells sources, compilers and processors
    apart. LGN_HF_COMPILE=0 turns them off.
    """
    # The repository of a published model has the Python alone.
    if os.environ.get("LGN_HF_COMPILE") == "0" or sys.platform != "linux" or not SOURCE.exists():
        return None
    try:
        return ctypes.CDLL(str(_build()))
    except (CannotCompile, OSError) as error:
        logger.warning(
            "lgn_hf trains slower on this CPU than it could, through torch alone: %s. "
            "LGN_HF_COMPILE=0 silences this line.",
            error,
        )
        return None


def _build() -> Path:
    names = [os.environ.get("CXX"), "g++", "c++", "clang++"]
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        raise CannotCompile("found no C++ compiler (CXX, g++, c++, clang++)")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    processor = [line for line in Path("/proc/cpuinfo").read_bytes().splitlines() if line.startswith(b"flags")][:1]
    identity = b"\0".join([SOURCE.read_bytes(), version, " ".join(FLAGS).encode(), *processor])
    folder = Path(HF_HOME) / "lgn_hf"
    built = folder / f"unfolding_cpu-{hashlib.sha256(identity).hexdigest()[:16]}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("Compiling %s, once.", SOURCE.name)
        with tempfile.TemporaryDirectory(dir=folder) as workshop:
            fresh = Path(workshop, built.name)
            done = subprocess.run(
                [compiler, *FLAGS, str(SOURCE), "-o", str(fresh)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CannotCompile(f"{compiler} failed with: {(done.stderr.strip() or 'no message').splitlines()[0]}")
            os.replace(fresh, built)  # whole or not at all: other processes may be at it too
    return built


def suits(images: Tensor, filters: Tensor, norms: Sequence[nn.Module], padding: int) -> bool:
    """Whether this module can do the work of `unfold`, and does it faster."""
    batch, _, height, width = images.shape
    rows, columns = (side + 2 * padding - filters.shape[-1] + 1 for side in (height, width))
    return (
        images.device.type == filters.device.type == "cpu"
        and images.dtype == filters.dtype
        and images.dtype in (torch.float32, torch.float64)
        and batch * rows * columns > 1
        and 3 * columns > width + 2 * padding  # dense networks are two matrix products a layer, and torch's
        and all(_is_plain(norm, images) for norm in norms)
        and (not torch.is_autocast_enabled("cpu") or _is_mixed(images.dtype))
        and is_eager()
        and library() is not None
    )


def _is_mixed(dtype: torch.dtype) -> bool:
    """Whether autocast wants products in bfloat16, and this processor has matrix units (AMX) for them."""
    return (
        dtype == torch.float32
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and (functions := library()) is not None
        and bool(functions.has_mixed())
    )


def _is_plain(norm: nn.Module, images: Tensor) -> bool:
    """Nothing but batch normalisation happens in this module, and nobody listens to it."""
    return (
        type(norm) is nn.BatchNorm2d
        and norm.affine
        and norm.track_running_stats
        and norm.weight.dtype == images.dtype
        and norm.weight.device == images.device
        and not (norm._forward_hooks or norm._forward_pre_hooks or norm._backward_hooks or norm._backward_pre_hooks)
    )


def unfold_on_cpu(
    images: Tensor,
    filters: Tensor,
    thresholds: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    momentum: Sequence[float],
    step_size: float,
    padding: int,
    *,
    all_codes: bool = True,
) -> list[Tensor]:
    """What `unfold` returns, or its last code alone."""
    weights, biases, means, variances = (
        torch.stack([getattr(norm, name) for norm in norms]) if norms else images.new_empty(0, thresholds.shape[1])
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    recipe = Recipe(
        momentum=(0.0, *momentum[1:]),  # before the first code there is none to accelerate from
        step_size=step_size,
        padding=padding,
        eps=tuple(norm.eps for norm in norms),
        batch_statistics=tuple(norm.training for norm in norms),
        all_codes=all_codes,
        with_gradient=torch.is_grad_enabled()
        and any(tensor.requires_grad for tensor in (images, filters, thresholds, weights, biases)),
    )
    means, variances, *codes = _Unfolding.apply(
        images, filters, thresholds.to(images.dtype), weights, biases, means.detach(), variances.detach(), recipe
    )
    count = codes[-1].numel() // codes[-1].shape[1]
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        if norm.training:
            _update_running_statistics(norm, mean, variance * (count / (count - 1)))
    return codes


@torch.no_grad()
def _update_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None  # _is_plain has seen it
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


class Recipe(NamedTuple):
    """What an unfolding needs beside tensors; see `unfold`."""

    momentum: tuple[float, ...]
    step_size: float
    padding: int
    eps: tuple[float, ...]
    batch_statistics: tuple[bool, ...]
    all_codes: bool
    with_gradient: bool


class _Unfolding(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        images: Tensor,
        filters: Tensor,
        thresholds: Tensor,
        weights: Tensor,
        biases: Tensor,
        means: Tensor,
        variances: Tensor,
        recipe: Recipe,
    ) -> tuple[Tensor, ...]:
        layers, momentum = len(filters), recipe.momentum
        planes = Planes(images, filters, recipe.padding)
        padded, bank, bias = planes.pad(images), filters.contiguous(), -recipe.step_size * thresholds
        means, variances = means.clone(), variances.clone()
        # y_{l+1} = scale u_l + shift; with batch statistics, of a layer's own
        scales = weights * (variances + variances.new_tensor(recipe.eps)[:, None]).rsqrt()
        shifts = biases - scales * means
        if layers > len(weights):
            scales = torch.cat([scales, torch.ones_like(thresholds[len(weights) :])])
            shifts = torch.cat([shifts, torch.zeros_like(thresholds[len(weights) :])])
        codes: list[Tensor] = []
        residuals = [padded]
        outputs: list[Tensor] = []
        for layer in range(layers):
            measured = layer < len(weights) and recipe.batch_statistics[layer]
            moments = images.new_empty(*planes.codes[:2], 2) if measured else None
            code = pool.empty(planes.codes, planes.type.codes)
            residual = images.new_empty(planes.images) if layer else None
            is_output = recipe.all_codes or layer == layers - 1
            unpadded = pool.empty(planes.unpadded_codes, images.dtype) if is_output else None
            planes.forward(
                images=padded,
                filters=bank[layer],
                bias=bias[layer],
                step=recipe.step_size,
                **_code_before(codes, layer, momentum, scales, shifts),
                residuals=residual,
                codes=code,
                next_momentum=momentum[layer],
                moments=moments,
                unpadded=unpadded,
            )
            codes.append(code)
            if residual is not None:
                residuals.append(residual)
            if unpadded is not None:
                outputs.append(unpadded)
            if not recipe.with_gradient:  # the next layer needs two codes, and no residual
                codes[:-2] = [code.new_empty(0)] * len(codes[:-2])
                residuals[1:] = []
            if moments is not None:
                means[layer], variances[layer] = _combine(moments, planes.code_pixels)
                scales[layer] = weights[layer] * (variances[layer] + recipe.eps[layer]).rsqrt()
                shifts[layer] = biases[layer] - scales[layer] * means[layer]
        if recipe.with_gradient:
            ctx.planes, ctx.recipe = planes, recipe
            inputs = (images, filters, thresholds, weights, biases)
            ctx.save_for_backward(*inputs, means, variances, scales, shifts, *codes, *residuals)
            ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(means, variances)
        return (means, variances, *outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        images, filters, thresholds, weights, biases, means, variances, scales, shifts, *kept = ctx.saved_tensors
        planes, recipe, layers = ctx.planes, ctx.recipe, len(filters)
        outer: list[Tensor | None] = [None] * (layers - len(grads[2:]))
        outer += [None if grad is None else grad.contiguous() for grad in grads[2:]]
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (images, filters, thresholds, weights, biases)
            return (*_differentiable_gradients(inputs, (means, variances), outer, recipe), None, None, None)

        momentum, codes, residuals = (*recipe.momentum[:-1], 0.0), kept[:layers], kept[layers:]
        batch, count, bank = len(images), len(images) * planes.code_pixels, filters.contiguous()
        deviations = (variances + variances.new_tensor(recipe.eps)[:, None]).rsqrt()
        image_gradient = images.new_zeros(planes.images) if ctx.needs_input_grad[0] else None
        filter_gradient = bank.new_empty(layers, planes.parts, *bank.shape[1:])
        sums = bank.new_zeros(layers, batch, thresholds.shape[1], 3)
        flow: dict[str, Tensor] = {}  # dL/dy_{l+1} and how it becomes dL/du_l
        later_flow = None
        for layer in reversed(range(layers)):
            before = layer - 1
            normalised = 0 <= before < len(weights)
            previous_flow = pool.empty(planes.codes, planes.type.codes) if layer else None
            later = later_flow if layer + 1 < layers and momentum[layer + 1] else None
            planes.backward(
                residuals=residuals[layer],
                codes=codes[layer],
                filters=bank[layer],
                step=recipe.step_size,
                **_code_before(codes, layer, momentum, scales, shifts),
                mean=means[before] if normalised else None,
                deviation=deviations[before] if normalised else None,
                next_momentum=momentum[layer],
                **flow,
                later_flow=later,
                later_momentum=momentum[layer + 1] if later is not None else 0.0,
                gradient=outer[layer],
                previous_flow=previous_flow,
                image_gradient=image_gradient,
                filter_gradient=filter_gradient[layer],
                sums=sums[layer],
            )
            later_flow = flow.get("flow")
            if previous_flow is not None:
                flow = {"flow": previous_flow, "flow_scale": scales[before]}
            if normalised and recipe.batch_statistics[before]:
                _, plain, normal = sums[layer].sum(0).unbind(-1)
                slope = -scales[before] * deviations[before] * normal / count
                shift = -scales[before] * plain / count - slope * means[before]
                flow |= {"flow_slope": slope, "flow_shift": shift}
        relu, plain, normal = sums.sum(1).unbind(-1)
        return (
            None if image_gradient is None else planes.inside(image_gradient),
            filter_gradient.sum(1),
            -recipe.step_size * relu,
            normal[1 : len(weights) + 1],
            plain[1 : len(weights) + 1],
            None,
            None,
            None,
        )


def _code_before(
    codes: list[Tensor], layer: int, momentum: Sequence[float], scales: Tensor, shifts: Tensor
) -> dict[str, Any]:
    """What a layer reads of those before it: y_l = scale u_{l-1} + shift, u_{l-1} = z_{l-1} + beta (z_{l-1} - z_{l-2})."""
    if layer == 0:
        return {}
    has_momentum = layer > 1 and momentum[layer - 1] != 0
    return {
        "previous": codes[layer - 1],
        "before": codes[layer - 2] if has_momentum else None,
        "momentum": momentum[layer - 1] if has_momentum else 0.0,
        "scale": scales[layer - 1],
        "shift": shifts[layer - 1],
    }


def _combine(moments: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of all images from those of each: (B, F, 2), mean and centred sum of squares, to (F,), (F,)."""
    means, squares = moments.double().unbind(-1)
    mean = means.mean(0)
    variance = (squares / count + (means - mean).square()).mean(0)
    return mean.to(moments.dtype), variance.to(moments.dtype)


def _differentiable_gradients(
    inputs: tuple[Tensor, ...], statistics: tuple[Tensor, Tensor], outer: list[Tensor | None], recipe: Recipe
) -> tuple[Tensor | None, ...]:
    """The gradients by `unfold`, which can be differentiated again."""
    images, filters, thresholds, weights, biases = inputs
    norms = [
        functools.partial(
            F.batch_norm, running_mean=None, running_var=None, weight=weight, bias=bias, training=True, eps=eps
        )
        if measured
        else functools.partial(
            F.batch_norm, running_mean=mean, running_var=variance, weight=weight, bias=bias, training=False, eps=eps
        )
        for weight, bias, mean, variance, eps, measured in zip(
            weights, biases, *statistics, recipe.eps, recipe.batch_statistics, strict=True
        )
    ]
    codes = unfold(images, filters, thresholds, norms, recipe.momentum, recipe.step_size, recipe.padding)
    reached = [(code, grad) for code, grad in zip(codes, outer, strict=True) if grad is not None]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    gradients = iter(
        torch.autograd.grad(
            [code for code, _ in reached],
            wanted,
            [grad for _, grad in reached],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(gradients) if tensor.requires_grad else None for tensor in inputs)


class Pool:
    """Memory for large tensors, used again as soon as the last tensor on it is gone.

    A process that asks the system for fresh memory at every step spends a third of a small network's step on page faults.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity  # bytes that may lie free
        self.free: dict[int, list[mmap.mmap]] = {}  # by size, the size used last at the end
        self.lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        size = math.prod(shape) * dtype.itemsize
        with self.lock:
            blocks = self.free.get(size)
            block = blocks.pop() if blocks else None
        if block is None:
            block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        view = np.frombuffer(block, np.uint8)
        weakref.finalize(view, self._take_back, block).atexit = False
        return torch.from_numpy(view).view(dtype).view(shape)

    def _take_back(self, block: mmap.mmap) -> None:
        # Finalizers run anywhere, even while this thread holds the lock: then the block goes back to the system.
        if not self.lock.acquire(blocking=False):
            return
        try:
            self.free[len(block)] = [*self.free.pop(len(block), []), block]
            while sum(size * len(blocks) for size, blocks in self.free.items()) > self.capacity:
                oldest = next(iter(self.free))
                self.free[oldest].pop()
                if not self.free[oldest]:
                    del self.free[oldest]
        finally:
            self.lock.release()


pool = Pool(capacity=1 << 30)


class Planes:
    """Sizes and layout of padded images and codes, and the calls of the compiled functions on them.

    An image is (C, plane), rows of H or W + 2*padding pixels one after the other; a code is (F, plane), at the same pitch.
    Planes are an odd number of cache lines, so that those of an image do not fall on one another in the cache.
    """

    def __init__(self, images: Tensor, filters: Tensor, padding: int):
        batch, channels, height, width = images.shape
        _, count, _, n, m = filters.shape
        self.type = _TYPES["mixed" if _is_mixed(images.dtype) else str(images.dtype)]
        self.padding, threads = padding, torch.get_num_threads()
        self.parts = -(-batch // IMAGES_OF_A_PART)
        self.rows, self.pitch = height + 2 * padding, width + 2 * padding
        code_rows, code_columns = self.rows - n + 1, self.pitch - m + 1
        self.code_pixels = code_rows * code_columns
        block, lanes = self._call("block"), self._call("lanes")
        positions = -(-code_rows * self.pitch // block) * block
        line = CACHE_LINE // images.element_size()
        code_plane = (-(-positions // line) | 1) * line
        image_plane = (-(-(positions + (n - 1) * self.pitch + m + 2 * lanes) // line) | 1) * line
        self.codes, self.images = (batch, count, code_plane), (batch, channels, image_plane)
        self.unpadded_codes = (batch, count, code_rows, code_columns)

        self.code_mask = _mask(code_plane, (code_rows, code_columns), self.pitch, 0, self.type.mask)
        self.image_mask = _mask(image_plane, (height, width), self.pitch, padding, self.type.mask)
        self.shape = _Shape(
            *(batch, channels, count, n, m, code_rows, code_columns, self.pitch, positions, code_plane, image_plane),
            *(threads, IMAGES_OF_A_PART, self.code_mask.data_ptr(), self.image_mask.data_ptr()),
        )
        self.scratch = images.new_empty(threads * self._call("scratch", ctypes.byref(self.shape)))

    def inside(self, padded: Tensor) -> Tensor:
        """The view of (..., image plane) without its padding: (..., H, W)."""
        border = self.padding
        grid = padded[..., : self.rows * self.pitch].unflatten(-1, (self.rows, self.pitch))
        return grid[..., border : self.rows - border, border : self.pitch - border]

    def pad(self, images: Tensor) -> Tensor:
        padded = images.new_zeros(self.images)
        self.inside(padded).copy_(images)
        return padded

    def forward(self, **fields: Tensor | float | None) -> None:
        self._call("forward", ctypes.byref(self.shape), self._pack(self.type.forward, fields))

    def backward(self, **fields: Tensor | float | None) -> None:
        self._call("backward", ctypes.byref(self.shape), self._pack(self.type.backward, fields))

    def _pack(self, structure: type[ctypes.Structure], fields: dict[str, Tensor | float | None]):
        given = {name: value for name, value in fields.items() if value is not None}
        values = {name: v.data_ptr() if isinstance(v, Tensor) else v for name, v in given.items()}
        return ctypes.byref(structure(scratch=self.scratch.data_ptr(), **values))

    def _call(self, name: str, *arguments: Any) -> int:
        function = getattr(library(), f"{name}_{self.type.name}")
        function.restype = ctypes.c_int64
        return function(*arguments)


@functools.lru_cache(maxsize=64)
def _mask(plane: int, shape: tuple[int, int], pitch: int, border: int, dtype: torch.dtype) -> Tensor:
    """All bits set where a plane has pixels."""
    rows, columns = shape
    with torch.inference_mode(False):
        mask = torch.zeros(plane, dtype=dtype)
        grid = mask[: (rows + 2 * border) * pitch].view(-1, pitch)
        grid[border : border + rows, border : border + columns] = -1
    return mask


def _structure(name: str, number: Any, fields: str) -> type[ctypes.Structure]:
    """A structure of unfolding_cpu.cpp; names that end in * are pointers, the others numbers."""
    members = [(field.rstrip("*"), ctypes.c_void_p if field.endswith("*") else number) for field in fields.split()]
    return type(name, (ctypes.Structure,), {"_fields_": members})


_Shape = _structure(
    "Shape",
    ctypes.c_int64,
    "batch channels filters height width rows columns pitch positions code_plane image_plane threads part "
    "code_mask* image_mask*",
)
_FORWARD = (
    "scratch* images* filters* bias* step previous* before* momentum scale* shift* residuals* codes* next_momentum "
    "moments* unpadded*"
)
_BACKWARD = (
    "scratch* residuals* codes* filters* step previous* before* momentum scale* shift* mean* deviation* next_momentum "
    "flow* flow_scale* flow_slope* flow_shift* later_flow* later_momentum gradient* previous_flow* image_gradient* "
    "filter_gradient* sums*"
)


class _Type(NamedTuple):
    name: str
    mask: torch.dtype
    codes: torch.dtype
    forward: type[ctypes.Structure]
    backward: type[ctypes.Structure]


_TYPES = {
    kind: _Type(name, mask, codes, _structure("Forward", number, _FORWARD), _structure("Backward", number, _BACKWARD))
    for kind, name, mask, codes, number in (
        ("torch.float32", "float", torch.int32, torch.float32, ctypes.c_float),
        ("torch.float64", "double", torch.int64, torch.float64, ctypes.c_double),
        ("mixed", "mixed", torch.int32, torch.bfloat16, ctypes.c_float),  # all but codes and products is float32
    )
}
