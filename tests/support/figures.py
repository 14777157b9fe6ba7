"""What a figure shows, read from its artists."""

import numpy as np
import torch
from matplotlib.image import AxesImage
from matplotlib.text import Text

SIZE, DIM = 3, 9


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def images(figure) -> list[AxesImage]:
    """The images of all panels, row by row."""
    return [image for ax in figure.axes for image in ax.get_images()]


def values(image) -> np.ndarray:
    return np.asarray(image.get_array())


def written(figure) -> list[Text]:
    """All text that is drawn, which leaves out the labels of ticks beyond the axes."""
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    inside = [*figure.texts, *legends, *(text for ax in figure.axes for text in ax.texts)]
    for axis in (axis for ax in figure.axes if ax.axison for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        inside.append(axis.label)
        places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        inside += [label for place, label in places if low <= place <= high]
    return [text for text in inside if text.get_text()]


def texts(figure) -> list[str]:
    return [text.get_text() for text in written(figure)]


def names(count):
    return [f"name {i}" for i in range(count)]
