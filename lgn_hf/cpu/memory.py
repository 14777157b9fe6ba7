"""Memory for large tensors that is used again, because fresh memory is slow."""

from __future__ import annotations

import math
import mmap
import threading
import weakref

import numpy as np
import torch
from torch import Tensor


class Pool:
    """Memory that is used again as soon as the last tensor on it is gone.

    With fresh memory from the system at every step, page faults take a third of the step of a small network.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity  # bytes that may stay free
        self.free: dict[int, list[mmap.mmap]] = {}  # by size, the most recently used size last
        self.lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor, as from `torch.empty`."""
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
        # Finalizers run anywhere, even while this thread holds the lock. Then the block goes back to the system.
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
