"""The two convolutions of a sparse-coding layer: analysis W^T r, and its adjoint, synthesis W y.

`torch.nn.functional` has both, but on CPUs its `conv_transpose2d`, and with it the gradient of `conv2d`, is slow
for the one or three channels of images. There, synthesis is an ordinary convolution instead. Its output channels
are the pixels of a block of BLOCK x BLOCK, its filters are zero-padded, shifted copies of the flipped dictionary,
and its stride is the side of the block. A pixel shuffle then puts the blocks in place.

In dense networks, whose filters are as large as the image, both are matrix products.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# The functions of torch.cpu that say whether the CPU has them.
MATRIX_UNITS = {torch.bfloat16: "_is_amx_tile_supported", torch.float16: "_is_amx_fp16_supported"}
BLOCK = 4  # pixels; a larger block wastes arithmetic on padding, a smaller one has too few output channels


def analysis(residual: Tensor, filters: Tensor, padding: int, bias: Tensor | None = None) -> Tensor:
    """W^T r plus a bias per filter: correlate a residual with every filter.

    Source: "Learning Linear Groups in Neural Networks", eq. 10.

    Shapes: (B, C, H, W), (K*p, C, n, m) and (K*p,) to a code
    (B, K*p, H + 2*padding - n + 1, W + 2*padding - m + 1).
    """
    if padding == 0 and residual.shape[1:] == filters.shape[1:]:
        return F.linear(residual.flatten(1), filters.flatten(1), bias)[:, :, None, None]
    if _is_fast(residual, filters, padding):
        return _Analysis.apply(residual, filters, padding, bias)
    return F.conv2d(residual, filters, bias, padding=padding)


def synthesis(code: Tensor, filters: Tensor, padding: int) -> Tensor:
    """W y: the image that a code stands for, the adjoint of `analysis` (eq. 10).

    Shapes: (B, K*p, H', W') and (K*p, C, n, m) to (B, C, H' - 2*padding + n - 1, W' - 2*padding + m - 1).
    """
    if padding == 0 and code.shape[2:] == (1, 1):
        return (code.flatten(1) @ filters.flatten(1)).unflatten(1, filters.shape[1:])
    if _is_fast(code, filters, padding):
        return _Synthesis.apply(code, filters, padding)
    return F.conv_transpose2d(code, filters, padding=padding)


def is_eager() -> bool:
    """Whether operations run as they are called, and are not compiled, traced or transformed."""
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active())


def is_onnx_export() -> bool:
    """Whether the operations become an ONNX graph, which is for inference and lacks linear algebra."""
    return not is_eager() and torch.onnx.is_in_onnx_export()


def is_faster_in_float32(images: Tensor) -> bool:
    """Whether torch convolves images in 16 bits more slowly than in float32: on a CPU without matrix units, ten times and more."""
    return (
        is_eager()
        and images.dtype in MATRIX_UNITS
        and images.device.type == "cpu"
        and not has_matrix_units(images.dtype)
        and not torch.is_autocast_enabled("cpu")
    )


def has_matrix_units(dtype: torch.dtype) -> bool:
    """Whether the CPU multiplies matrices of 16-bit numbers in hardware. True if torch cannot tell, as on ARM."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return bool(getattr(torch.cpu, MATRIX_UNITS[dtype], lambda: True)())


def _is_fast(images: Tensor, filters: Tensor, padding: int) -> bool:
    return (
        images.device.type == "cpu"
        and filters.shape[1] <= 4
        and padding < min(filters.shape[2:])
        and not torch.is_autocast_enabled("cpu")
        and is_eager()
    )


class _Analysis(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, residual: Tensor, filters: Tensor, padding: int, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(residual, filters)
        ctx.padding = padding
        return F.conv2d(channels_last(residual), channels_last(filters), bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, Tensor | None]:
        residual, filters = ctx.saved_tensors
        to_residual, to_filters, _, to_bias = ctx.needs_input_grad
        return (
            synthesis(grads[0], filters, ctx.padding) if to_residual else None,
            _filter_gradient(residual, grads[0], filters, ctx.padding) if to_filters else None,
            None,
            grads[0].sum((0, 2, 3)) if to_bias else None,
        )


class _Synthesis(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, code: Tensor, filters: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(code, filters)
        ctx.padding = padding
        n, m = filters.shape[2:]
        height, width = code.shape[2] + n - 1 - 2 * padding, code.shape[3] + m - 1 - 2 * padding
        if height % BLOCK or width % BLOCK:
            code = F.pad(code, (0, -width % BLOCK, 0, -height % BLOCK))
        blocks = F.conv2d(
            channels_last(code),
            channels_last(_block_filters(filters)),
            stride=BLOCK,
            padding=(n - 1 - padding, m - 1 - padding),
        )
        return F.pixel_shuffle(blocks, BLOCK)[:, :, :height, :width]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        code, filters = ctx.saved_tensors
        to_code, to_filters = ctx.needs_input_grad[:2]
        return (
            analysis(grads[0], filters, ctx.padding) if to_code else None,
            _filter_gradient(grads[0], code, filters, ctx.padding) if to_filters else None,
            None,
        )


def _filter_gradient(images: Tensor, codes: Tensor, filters: Tensor, padding: int) -> Tensor:
    """The gradient of <codes, analysis(images, filters)> in the filters."""
    return torch.ops.aten.convolution_backward(
        channels_last(codes),
        channels_last(images),
        filters,
        None,
        [1, 1],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        1,
        [False, True, False],
    )[1]


def _block_filters(filters: Tensor) -> Tensor:
    """The flipped filters, shifted to every pixel of a block.

    Shapes: (K*p, C, n, m) to (C * BLOCK^2, K*p, n + BLOCK - 1, m + BLOCK - 1).
    """
    count, channels, n, m = filters.shape
    blocks = filters.new_zeros(channels, BLOCK, BLOCK, count, n + BLOCK - 1, m + BLOCK - 1)
    c, down, right, k, row, column = blocks.stride()
    shifted = blocks.as_strided((channels, BLOCK, BLOCK, count, n, m), (c, down + row, right + column, k, row, column))
    shifted.copy_(filters.flip(2, 3).transpose(0, 1)[:, None, None])
    return blocks.flatten(0, 2)


def channels_last(tensor: Tensor) -> Tensor:
    """The same tensor with channels innermost.

    With one channel, both orders are the same in memory, and only the strides tell the convolution which one to use.
    """
    if tensor.shape[1] == 1:
        _, _, height, width = tensor.shape
        return tensor.contiguous().as_strided(tensor.shape, (height * width, 1, width, 1))
    return tensor.contiguous(memory_format=torch.channels_last)
