"""The program on a card that runs the ONNX file."""

from __future__ import annotations

from ...export import MODEL_PATH
from .escaping import Code

PROGRAM = """\
import numpy as np
import onnxruntime
from PIL import Image

image = Image.open("image.png").convert("{mode}").resize(({side}, {side}))
pixel_values = np.float32(image){layout} / 255
session = onnxruntime.InferenceSession("{path}")
logits = session.run(["logits"], {{"pixel_values": pixel_values}})[0]"""
LAYOUTS = {1: ("L", "[None, None]"), 3: ("RGB", ".transpose(2, 0, 1)[None]")}  # by number of channels


def onnx_program(channels: int, side: int) -> Code:
    """The program for images of this many channels and pixels on a side."""
    mode, layout = LAYOUTS[channels]
    return Code(PROGRAM.format(mode=mode, side=side, layout=layout, path=MODEL_PATH))
