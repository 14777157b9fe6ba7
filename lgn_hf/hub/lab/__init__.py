"""The lab: a page on which a visitor draws a digit, turns it, and watches networks answer. They run in the browser."""

from .address import LAB_PAGE, lab_address
from .onnxruntime_web import VERSION, cached_runtime, fetch_runtime, find_runtime
from .page import build_lab

__all__ = ["LAB_PAGE", "VERSION", "build_lab", "cached_runtime", "fetch_runtime", "find_runtime", "lab_address"]
