"""The README's picture of a trained network: `python training/picture.py MODEL_FOLDER IMAGE OUT.png`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

import lgn_hf  # noqa: F401  (registers the Auto classes)

INK = "#444444"


def show(ax: Axes, values: Tensor, title: str = "", *, grid: int = 0) -> None:
    """A matrix in diverging colours centred at zero, or an RGB picture (3, n, n) scaled to its range."""
    array = values.detach().numpy()
    reach = np.abs(array).max() or 1.0
    if array.ndim == 3 and len(array) == 3:
        ax.imshow(np.moveaxis(array / reach, 0, -1) / 2 + 0.5, interpolation="nearest")
    else:
        ax.imshow(array.squeeze(), cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    for line in range(grid, array.shape[-1], grid or array.shape[-1]):
        ax.axhline(line - 0.5, color=INK, lw=0.3)
        ax.axvline(line - 0.5, color=INK, lw=0.3)
    ax.set_title(title, fontsize=9, color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("#999999")


def write(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, color=INK)


def draw(model_folder: str, image_file: str, out: str) -> None:
    """Above, an image and its codes layer by layer; below, the orbits and one action of three groups of layer 1."""
    model = AutoModelForImageClassification.from_pretrained(model_folder)
    image = Image.open(image_file)
    pixel_values = AutoImageProcessor.from_pretrained(model_folder)(image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        outputs = model(pixel_values, output_hidden_states=True)
        bank, actions = model.filter_bank()[0], model.group_actions()[0]
    groups, order = min(3, bank.shape[0]), bank.shape[1]
    columns = max(order + 2, len(outputs.hidden_states) + 2)
    figure, axes = plt.subplots(1 + groups, columns, figsize=(1.35 * columns, 1.5 * (1 + groups)), dpi=160)
    for ax in axes.flat:
        ax.axis("off")

    def cell(row: int, column: int) -> Axes:
        axes[row, column].axis("on")
        return axes[row, column]

    cell(0, 0).imshow(image, cmap="gray" if image.mode == "L" else None, interpolation="nearest")
    axes[0, 0].set_axis_off()
    axes[0, 0].set_title("image $x$", fontsize=9, color=INK)
    for layer, code in enumerate(outputs.hidden_states):
        show(cell(0, layer + 1), code[0].norm(dim=0), f"code $|z_{layer + 1}|$")
    label = model.config.id2label[int(outputs.logits.argmax())]
    write(axes[0, len(outputs.hidden_states) + 1], f"classifier:\n{label}")
    for group in range(groups):
        show(cell(group + 1, 0), actions[group, 0], "action $A$", grid=model.config.filter_size)
        for power in range(order):
            name = "W" if power == 0 else "AW" if power == 1 else f"A^{power}W"
            show(cell(group + 1, power + 1), bank[group, power], f"${name}$")
        write(axes[group + 1, order + 1], f"layer 1\ngroup {group + 1}")
    figure.patch.set_facecolor("white")
    figure.tight_layout()
    figure.savefig(out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    draw(*sys.argv[1:])
