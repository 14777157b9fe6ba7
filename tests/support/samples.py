"""Real images for the tests: MNIST and CIFAR-10 from $LGN_HF_DATA where it is set, otherwise scikit-learn's digits."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor


def sample_images(num_channels: int, count: int = 600) -> Tensor:
    """The first `count` grey (1 channel) or colour (3 channels) images, their middle: uint8 (count, C, S, S)."""
    if "LGN_HF_DATA" in os.environ:
        name, column = {1: ("mnist", "image"), 3: ("cifar10", "img")}[num_channels]
        path = next(Path(os.environ["LGN_HF_DATA"], name).rglob("train*.parquet"))
        rows = next(pq.ParquetFile(path).iter_batches(count, columns=[column])).column(0).to_pylist()
        images = torch.from_numpy(np.stack([np.array(Image.open(BytesIO(row["bytes"]))) for row in rows]))
        images = images[:, None] if num_channels == 1 else images.permute(0, 3, 1, 2)
        middle = slice(images.shape[-1] // 2 - 8, images.shape[-1] // 2 + 8)
        return images[:, :, middle, middle].contiguous()
    digits = torch.from_numpy(load_digits().images[:count]).mul(255 / 16).round().to(torch.uint8)
    views = [digits, digits.flip(1), digits.flip(2)]
    return torch.stack(views[:num_channels], 1)
