"""What a card says of ONNX files: the program that runs one, their sizes and how well they classify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...export import ACCURACY_PATH, MODEL_PATH
from ...runs.dataset_name import data_name
from .escaping import Code, markdown
from .words import percent

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


def onnx_sizes(folder: Path) -> dict[str, Any] | None:
    """The sentence and the rows on the ONNX files of a folder, where `write_smaller` has measured them.

    Raises:
        ValueError: `onnx/accuracy.json` is damaged.
    """
    path = folder / ACCURACY_PATH
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
        rows = [
            [
                Code(f"`{Path(file['path']).name}`"),
                str(file["weights"]),
                f"{file['bytes'] / 1e3:,.0f} kB",
                percent(file["accuracy"]),
            ]
            for file in record["files"]
        ]
        images, data = f"{record['images']:,}", data_name(record["data"]).display_name
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not readable ({error}): publish with --quantize again") from None
    sentence = (
        "Weights in fewer bits become float32 as a file is loaded. The accuracy is that on the {} test images of {}."
    )
    return {"sentence": markdown(sentence, images, data), "rows": rows}
