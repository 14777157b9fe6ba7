"""The layout of images and codes in memory, and the calls of the compiled functions on them."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from .compilation import is_mixed, library
from .memory import pool
from .structures import NUMBER_TYPES, Shape

CACHE_LINE = 64  # bytes
# A thread that is free takes the next part of this many images. Each part has filter gradients of its own.
# So no thread waits for another, and results do not depend on the number of threads.
IMAGES_PER_PART = 8


class Planes:
    """Sizes and layout of padded images and codes, and the calls of the compiled functions on them.

    An image is (C, plane). A plane holds H + 2*padding rows of pixels, one after the other. The zeros on the left of a
    row are those on the right of the row before. A code is (F, plane), with rows at the same distance, the pitch.
    Planes begin at cache lines.
    """

    def __init__(self, images: Tensor, filters: Tensor, padding: int):
        batch, channels, height, width = images.shape
        _, count, _, n, m = filters.shape
        self.type = NUMBER_TYPES["mixed" if is_mixed(images.dtype) else str(images.dtype)]
        self.padding, threads = padding, torch.get_num_threads()
        self.parts = -(-batch // IMAGES_PER_PART)
        self.image_shape = (height, width)
        code_rows, code_columns = height + 2 * padding - n + 1, width + 2 * padding - m + 1
        self.pitch = max(width + padding, code_columns)
        self.code_shape = (code_rows, code_columns)
        self.code_pixels = code_rows * code_columns
        block, lanes = self._call("block"), self._call("lanes")
        positions = -(-code_rows * self.pitch // block) * block
        line = CACHE_LINE // images.element_size()
        code_plane = -(-positions // line) * line
        image_plane = -(-(positions + (n - 1) * self.pitch + m + 2 * lanes) // line) * line
        self.codes, self.images = (batch, count, code_plane), (batch, channels, image_plane)

        self.code_mask = _mask(code_plane, self.code_shape, self.pitch, 0, self.type.mask)
        self.image_mask = _mask(image_plane, self.image_shape, self.pitch, padding, self.type.mask)
        self.shape = Shape(
            *(batch, channels, count, n, m, code_rows, code_columns, self.pitch, positions, code_plane, image_plane),
            *(threads, IMAGES_PER_PART, self.code_mask.data_ptr(), self.image_mask.data_ptr()),
        )
        self.scratch = images.new_empty(threads * self._call("scratch", ctypes.byref(self.shape)))

    def pad_images(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) with a border of zeros: (B, C, plane)."""
        planes = images.new_zeros(self.images)
        self.image_view(planes).copy_(images)
        return planes

    def image_view(self, planes: Tensor) -> Tensor:
        """The images in planes, (B, C, H, W)."""
        (height, width), border = self.image_shape, self.padding
        grid = planes[..., : (height + 2 * border) * self.pitch].unflatten(-1, (-1, self.pitch))
        return grid[..., border : border + height, border : border + width]

    def pad_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of codes, (B, F, rows, columns), in planes.

        What lies between the pixels stays as it is: ReLU lets no gradient through there.
        """
        planes = pool.empty(self.codes, gradient.dtype)
        self.code_view(planes).copy_(gradient)
        return planes

    def copy_codes(self, planes: Tensor, dtype: torch.dtype) -> Tensor:
        """The codes in planes as a tensor of their own, (B, F, rows, columns)."""
        return pool.empty((*self.codes[:2], *self.code_shape), dtype).copy_(self.code_view(planes))

    def code_view(self, planes: Tensor) -> Tensor:
        rows, columns = self.code_shape
        return planes[..., : rows * self.pitch].unflatten(-1, (-1, self.pitch))[..., :columns]

    def forward(self, **fields: Tensor | float | None) -> None:
        """One layer; `fields` are those of `Forward` in arguments.h."""
        self._call("forward", ctypes.byref(self.shape), self._pack(self.type.forward, fields))

    def backward(self, **fields: Tensor | float | None) -> None:
        """The gradients of one layer; `fields` are those of `Backward` in arguments.h."""
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
    """A plane with all bits set where it has pixels."""
    rows, columns = shape
    with torch.inference_mode(False):
        mask = torch.zeros(plane, dtype=dtype)
        grid = mask[: (rows + 2 * border) * pitch].view(-1, pitch)
        grid[border : border + rows, border : border + columns] = -1
    return mask
