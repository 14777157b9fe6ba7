"""Trained classifiers as graphs that run without this package: ONNX files and archives of `torch.export`.

A graph takes images in [0, 1] and gives logits. Standardising and whitening are inside it, and every convolution is an ordinary
one. Import from here, not from the files of this room.
"""

from .checks import TOLERANCE, GraphError, check_graph
from .classifier import Classifier, open_classifier
from .folder import FORMATS, OUTPUT, add_preparation, export
from .labelled_images import read_test_images
from .onnx_graph import MODEL_PATH, OPSET, onnx_session, write_onnx
from .plain_network import PlainNetwork
from .smaller_files import ACCURACY_PATH, write_smaller
from .torch_archive import ARCHIVE_PATH, write_archive
from .weight_storage import AccuracyError, stored_path, write_stored

__all__ = [
    "ACCURACY_PATH",
    "ARCHIVE_PATH",
    "FORMATS",
    "MODEL_PATH",
    "OPSET",
    "OUTPUT",
    "TOLERANCE",
    "AccuracyError",
    "Classifier",
    "GraphError",
    "PlainNetwork",
    "add_preparation",
    "check_graph",
    "export",
    "onnx_session",
    "open_classifier",
    "read_test_images",
    "stored_path",
    "write_archive",
    "write_onnx",
    "write_smaller",
    "write_stored",
]
