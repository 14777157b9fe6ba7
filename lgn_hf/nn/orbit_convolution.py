"""Convolutions whose filters are orbits of a linear group.

Maps are laid out orbit by orbit: map index = orbit * |G| + element, and element 0 is the identity.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..model.convolutions import channels_last, is_eager, is_faster_in_float32
from .learned_groups import GroupModule
from .linear_group import LinearGroup
from .memory_layout import prefers_channels_last

Kind = Literal["lifting", "regular", "orbits"]
KINDS = {  # what a convolution makes of a transformed input
    "lifting": ("image", "orbits"),
    "regular": ("orbits", "orbits"),
    "orbits": ("image", "orbits"),
}


class _OrbitFilters(_ConvNd):
    """The part that all orbit convolutions share: from basis filters to the weight of an ordinary convolution.

    With rho(g) the matrices of the group, W[k, c] the filter of orbit k for input map c, and (j, h) element h of input
    orbit j, the full filters are

    - lifting and orbits: F[(k, g), c] = rho(g) W[k, c]
      ("Learning Linear Groups in Neural Networks", eq. 9);
    - regular: F[(k, g), (j, h)] = rho(g) W[k, (j, g^-1 h)]
      (Cohen and Welling, "Group Equivariant Convolutional Networks", eq. 11, for any linear group).
    """

    matrices: Tensor  # rho(g) on pixels in the order of memory, (|G|, d, d); of groups that are not learned

    def _init_orbits(self, group: LinearGroup | GroupModule, kind: Kind, bias: bool, device: Any, dtype: Any) -> None:
        self.kind = kind
        self.group = group
        self._check()
        order = group.order
        if self.transposed:
            shape = (self.in_channels, self.out_channels // order // self.groups)
        else:
            shape = (self.out_channels // order, self.in_channels // self.groups)
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(*shape, *self.kernel_size, **factory))
        biases = self.out_channels if kind == "orbits" else self.out_channels // order
        self.bias = nn.Parameter(torch.empty(biases, **factory)) if bias else None
        for name in ("matrices", "_shifted"):
            self.register_buffer(name, None, persistent=False)
        self.restore_group()
        self._filters: tuple[tuple, Tensor] | None = None  # kept in eval mode, with what they were built from
        self.reset_parameters()

    def _check(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r}: must be one of {', '.join(KINDS)}")
        order, pixels = self.group.order, torch.Size(self.kernel_size).numel()
        counts = {"out_channels": self.out_channels}
        if self.kind == "regular":
            counts["in_channels"] = self.in_channels
        for field, count in counts.items():
            if count % order:
                raise ValueError(
                    f"{field}={count}: must be a multiple of |G| = {order} for kind={self.kind!r} and {self.group.name}"
                )
            spans_groups = self.kind == "orbits" and not self.transposed  # an orbit may span groups of the convolution
            if count // order % self.groups and not spans_groups:
                raise ValueError(f"groups={self.groups}: must divide the {count // order} orbits of {field}={count}")
        if pixels not in (1, self.group.dim):
            raise ValueError(
                f"kernel_size={self.kernel_size}: the group acts on filters of {self.group.dim} pixels, "
                f"so the kernel must have {self.group.dim} or 1 (see LinearGroup.resized)"
            )
        batch = getattr(self.group, "batch_shape", ())
        if batch and self.kind != "orbits":
            raise ValueError(f"a batch of actions {batch} needs kind='orbits', not {self.kind!r}")

    @property
    def _is_learned(self) -> bool:
        # Not by class: remote code may have loaded the group with another copy of its module.
        return isinstance(self.group, nn.Module)

    def restore_group(self) -> None:
        """Compute the constants of the group anew, in the dtype of the weight but float32 at least.

        They are not saved. Casts and loaders that leave them empty need this.
        """
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        device = self.weight.device
        if not self._is_learned:
            self.matrices = self._row_major(self.group.elements).to(device, dtype)
        if self.kind == "regular":
            # F[(k, g), (j, h)] reads rho(g) W[k, (j, g^-1 h)]: where that is among the pairs (h, g), for each pair (g, h)
            order, read = self.group.order, self.group.table[self.group.inverses]
            self._shifted = (read * order + torch.arange(order, device=read.device)[:, None]).flatten().to(device)

    def _row_major(self, elements: Tensor) -> Tensor:
        """Matrices on vec(W), which is column-major, as matrices on the pixels in the order of memory."""
        if torch.Size(self.kernel_size).numel() == 1:
            return elements.new_ones(*elements.shape[:-2], 1, 1)
        if len(self.kernel_size) == 1:
            return elements
        rows, columns = self.kernel_size
        order = torch.arange(rows * columns, device=elements.device).view(columns, rows).T.flatten()
        return elements[..., order[:, None], order]

    def _apply(self, fn: Any, recurse: bool = True) -> _OrbitFilters:
        super()._apply(fn, recurse)
        self.restore_group()  # a cast alone would keep the rounding of the old dtype
        self._filters = None
        return self

    def train(self, mode: bool = True) -> _OrbitFilters:
        self._filters = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_filters": None}

    def filters(self) -> Tensor:
        """The full filters, shaped as the weight of the ordinary convolution: (out, in / groups, ...).

        In eval mode they are kept until a parameter changes. (A change through `parameter.data` escapes torch's count
        of changes; call `eval()` again after one.)
        """
        parameters = [self.weight, *(self.group.parameters() if isinstance(self.group, nn.Module) else ())]
        if (
            self.training
            or not is_eager()
            or (torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters))
            or any(parameter.is_inference() for parameter in parameters)
        ):
            return self._build_filters()
        key = tuple((id(parameter), parameter._version, parameter.data_ptr()) for parameter in parameters)
        if self._filters is None or self._filters[0] != key:
            self._filters = (key, self._build_filters())
        return self._filters[1]

    def _build_filters(self) -> Tensor:
        if self.weight.is_meta:  # a device that autocast does not know
            return self._assemble()
        with torch.autocast(self.weight.device.type, enabled=False):
            return self._assemble()

    def _assemble(self) -> Tensor:
        weight, order = self.weight, self.group.order
        matrices = self._row_major(self.group.elements) if self._is_learned else self.matrices
        matrices = matrices.to(weight.dtype)
        if self.transposed:  # (in, K / groups) to (K, in / groups)
            weight = weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        count, channels = weight.shape[:2]
        pixels = weight.flatten(2)  # (K, C, d)
        if matrices.dim() > 3:
            matrices = matrices.reshape(count, -1, *matrices.shape[-3:]).expand(-1, channels, -1, -1, -1)
            bank = torch.einsum("kcgij,kcj->kgci", matrices, pixels)
        else:
            moved = nn.functional.linear(pixels, matrices.flatten(0, 1))  # (K, C, g i)
            if self.kind == "regular":
                moved = moved.view(count, -1, order * order, pixels.shape[-1])  # (K, J, h g, i)
                moved = moved.index_select(2, self._shifted)  # (K, J, g h, i)
                bank = moved.view(count, -1, order, order, pixels.shape[-1]).transpose(1, 2)  # (K, g, J, h, i)
            else:
                bank = moved.view(count, channels, order, -1).transpose(1, 2)  # (K, g, C, i)
        if self._channels_last:
            bank = bank.movedim(-1, 2).reshape(count * order, *self.kernel_size, channels)
            bank = channels_last(bank.permute(0, 3, 1, 2))
        else:
            bank = bank.reshape(count * order, channels, *self.kernel_size)
        if self.transposed:
            bank = bank.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        return bank

    @property
    def _channels_last(self) -> bool:
        """Whether filters are built in channels-last order. torch then brings the input into it, and answers in it."""
        plain = self.transposed or self.kind == "orbits" or len(self.kernel_size) != 2
        return not plain and prefers_channels_last(self.weight, self.out_channels, self.groups)

    def full_bias(self) -> Tensor | None:
        """One number per map: (out_channels,)."""
        if self.bias is None or len(self.bias) == self.out_channels:
            return self.bias
        return self.bias[:, None].expand(-1, self.group.order).flatten()

    @property
    def transforms(self) -> tuple[str, str]:
        """How input and output transform with the group: `"image"`, `"orbits"`."""
        return KINDS[self.kind]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group={self.group.name}, kind={self.kind!r}"


class _OrbitConvolution(_OrbitFilters):
    """The constructor and the forward pass of `OrbitConv1d` and `OrbitConv2d`, in front of those of torch."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        group: LinearGroup | GroupModule,
        kind: Kind = "lifting",
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        plain: Any = super().__init__  # of nn.Conv1d or nn.Conv2d
        plain(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, "meta")
        self._init_orbits(group, kind, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        filters, bias = self.filters(), self.full_bias()
        if is_faster_in_float32(input) and filters.dtype == input.dtype:
            wide_bias = None if bias is None else bias.float()
            return self._conv_forward(input.float(), filters.float(), wide_bias).to(input.dtype)
        return self._conv_forward(input, filters, bias)


class OrbitConv2d(_OrbitConvolution, nn.Conv2d):
    """An `nn.Conv2d` whose filters are orbits W, rho(g) W, ... of a linear group.

    Where the matrices are symmetries of the pixel grid (`extends_to_image`), the kinds `"lifting"` and `"regular"` are
    equivariant: to a transformed input, they answer with the transformed output, its group index shifted. This
    holds for every padding that is the same on all sides, every padding mode and dilation, and for strides s
    where H + 2 padding - dilation (n - 1) - 1 is a multiple of s. It does not hold for padding `"same"` with an
    even n, which pads one side more, nor for learned or found matrices that are not symmetries of the grid.
    `equivariance_error` measures it.

    On CPUs, the kinds `"lifting"` and `"regular"` answer in channels-last order of memory where torch convolves faster in it
    (`memory_layout`). The numbers are the same, but a following `view` that joins maps and pixels must be a `reshape`.

    Args:
        in_channels: maps of the input, as in `nn.Conv2d`; for kind `"regular"` a multiple of |G|.
        out_channels: maps of the output, a multiple of |G|.
        kernel_size: as many pixels as the group's matrices act on, or a single one, on which nothing moves.
        group: a `LinearGroup`, or a `LearnedGroup` or `LearnedMatrices`, whose parameters this module then shares.
        kind: `"lifting"` makes orbits of an image. `"regular"` makes orbits of orbits: the action on the pixels together
            with a shift of the group index. `"orbits"` is the first paper's form: the output maps are orbits of
            basis filters, the input is any, and every map has a bias of its own.
        stride, padding, dilation, groups, bias, padding_mode, device, dtype: as in torch.

    Attributes:
        weight: basis filters, (orbits, in_channels / groups, *kernel_size).
        bias: one number per orbit; for kind `"orbits"` per map.

    Raises:
        ValueError: the numbers of maps or pixels do not fit the group.

    Shapes: (B, in_channels, H, W) to (B, out_channels, H', W'), as in `nn.Conv2d`.

    Example:
        >>> group = LinearGroup.rotations(filter_size=3)
        >>> lifting = OrbitConv2d(3, 8, 3, group, padding=1)
        >>> regular = OrbitConv2d(8, 16, 3, group, kind="regular", padding=1)
        >>> regular(lifting(torch.zeros(1, 3, 28, 28))).shape
        torch.Size([1, 16, 28, 28])
    """


class OrbitConv1d(_OrbitConvolution, nn.Conv1d):
    """An `nn.Conv1d` whose filters are orbits of a linear group on vectors of kernel_size numbers.

    Arguments and errors are those of `OrbitConv2d`.

    Shapes: (B, in_channels, T) to (B, out_channels, T'), as in `nn.Conv1d`.
    """


class OrbitConvTranspose2d(_OrbitFilters, nn.ConvTranspose2d):
    """An `nn.ConvTranspose2d` whose filters are orbits of a linear group.

    Arguments and errors are those of `OrbitConv2d`, in the order of `nn.ConvTranspose2d`. The basis filters `weight`
    have shape (in_channels, orbits / groups, *kernel_size).

    Shapes: (B, in_channels, H, W) to (B, out_channels, H', W'), as in `nn.ConvTranspose2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        group: LinearGroup | GroupModule,
        kind: Kind = "lifting",
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: Literal["zeros"] = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        nn.ConvTranspose2d.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            padding_mode,
            "meta",
        )
        self._init_orbits(group, kind, bias, device, dtype)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        padding = self._output_padding(
            input,
            output_size,
            self.stride,  # pyrefly: ignore[bad-argument-type]
            self.padding,  # pyrefly: ignore[bad-argument-type]
            self.kernel_size,  # pyrefly: ignore[bad-argument-type]
            2,
            self.dilation,  # pyrefly: ignore[bad-argument-type]
        )
        return nn.functional.conv_transpose2d(
            input,
            self.filters(),
            self.full_bias(),
            self.stride,
            self.padding,  # pyrefly: ignore[bad-argument-type]
            padding,
            self.groups,
            self.dilation,
        )
