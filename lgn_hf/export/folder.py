"""The folder of an exported model, as optimum and transformers.js lay it out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..files import Output, write_whole
from .classifier import Classifier
from .onnx_graph import MODEL_PATH, write_onnx
from .torch_archive import ARCHIVE_PATH, write_archive

CONFIG_NAME, PROCESSOR_NAME = "config.json", "preprocessor_config.json"
FORMATS = {"onnx": (MODEL_PATH, write_onnx), "torch": (ARCHIVE_PATH, write_archive)}
SIGNATURE = '"exported_by": "lgn-hf export"'
OUTPUT = Output((CONFIG_NAME, PROCESSOR_NAME, "onnx/*", "torch/*"), PROCESSOR_NAME, SIGNATURE)


def export(classifier: Classifier, folder: str | os.PathLike, format: str = "onnx") -> Path:
    """Write `onnx/model.onnx` or `torch/model.pt2`, and beside it the two files that say how to use it.

    `config.json` names the classes. `preprocessor_config.json` is that of the graph: resize, and divide by 255.

    Args:
        classifier: the model.
        folder: new, empty, or of an earlier export.
        format: `"onnx"` or `"torch"`.

    Returns:
        The path of the graph.

    Raises:
        ValueError: the format is unknown, the folder holds something else, or the graph does not answer as the network.
        ImportError: a package for ONNX is missing.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r}: must be one of {', '.join(FORMATS)}")
    folder = Path(folder)
    OUTPUT.check(folder)
    place, write = FORMATS[format]
    path = write(classifier, folder / place)
    write_whole(folder / CONFIG_NAME, _json(_config(classifier)))
    write_whole(folder / PROCESSOR_NAME, _json(_processor(classifier)))
    return path


def _config(classifier: Classifier) -> dict[str, Any]:
    config = classifier.network.config.to_dict()
    return {name: value for name, value in config.items() if name != "auto_map"}  # no code lies beside it


def add_preparation(classifier: Classifier, path: str | os.PathLike) -> None:
    """Tell transformers.js what to do to the images of a repository, in its `preprocessor_config.json`.

    `LGNImageProcessor` does not read these fields: in Python, it prepares the images itself.
    """
    own = json.loads(Path(path).read_bytes())
    write_whole(Path(path), _json({**own, **_preparation(classifier)}))


def _processor(classifier: Classifier) -> dict[str, Any]:
    return {
        "exported_by": "lgn-hf export",
        "image_processor_type": "ViTImageProcessor",
        **_preparation(classifier),
    }


def _preparation(classifier: Classifier) -> dict[str, Any]:
    """The preparation outside the graph, in the names that image processors of transformers and transformers.js share."""
    channels, height, width = classifier.image_shape
    return {
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
        "do_convert_rgb": channels == 3,
        "do_convert_grayscale": channels == 1,
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
