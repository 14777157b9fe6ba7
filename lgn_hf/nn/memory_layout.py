"""Which order of memory a convolution is given."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.convolutions import is_eager

SMALL_KERNEL = 9  # pixels
SLOW_BLOCK = 32  # maps that oneDNN computes at once where they divide the number of maps; otherwise it takes 24
LARGEST = 3000  # pixels times output maps
HAS_ONEDNN = torch.backends.mkldnn.is_available()


def prefers_channels_last(weight: Tensor, out_channels: int, groups: int) -> bool:
    """Whether torch convolves faster on a CPU if the maps of a pixel are neighbours in memory.

    Measured for float32 on a processor with AVX2 (`benchmark.py --parts orbit_convolutions`): channels-last takes 0.7 to 1.0
    of the time, but 1.2 to 1.4 times as long for 160 maps and filters of 5 x 5. What was not measured keeps the order of its
    input: other devices and dtypes, grouped convolutions, and compiled, exported or transformed networks.

    Args:
        weight: filters, (..., n, m).
    """
    pixels = weight.shape[-2:].numel()
    return (
        is_eager()
        and HAS_ONEDNN
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and groups == 1
        and pixels > 1
        and (pixels <= SMALL_KERNEL or (out_channels % SLOW_BLOCK != 0 and pixels * out_channels <= LARGEST))
    )
