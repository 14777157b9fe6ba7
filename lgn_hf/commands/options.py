"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def option(*names: str, **settings: Any) -> Any:
    """An option that may be written with underscores in place of hyphens, as in the training program."""
    twins = [name.replace("-", "_").replace("__", "--", 1) for name in names if "-" in name[2:]]
    return click.option(*names, *twins, names[0].lstrip("-").replace("-", "_"), **settings)


def output_dir(help: str, default: str | None = None) -> Any:
    """The option `--output-dir`, a folder."""
    kind = click.Path(path_type=Path)
    if default is None:
        return option("--output-dir", type=kind, help=help)
    return option("--output-dir", type=kind, default=Path(default), show_default=True, help=help)


models = click.argument("models", metavar="REPO_OR_DIR...", nargs=-1, required=True)
private = option("--private", is_flag=True, help="Make a new repository private.")

STORED = ("float16", "int8")  # kinds of weights of ONNX files, beside float32
quantize = option(
    "--quantize",
    multiple=True,
    type=click.Choice(STORED),
    help="Also write an ONNX file with weights in fewer bits, if its test accuracy stays within 0.1 points.",
)
test_data = option(
    "--test-data",
    metavar="DATASET",
    help="For --quantize: labelled images to measure the accuracy on, as training/run.py takes a data set.",
)
lab_link = option("--lab", metavar="USER/NAME", help="A Space of `lgn-hf atlas --lab`, to which the card links.")


def check_test_data(quantize: tuple[str, ...], test_data: str | None, writes_onnx: bool, needed: str) -> None:
    """Refuse `--quantize` without what it needs; `needed` is the option that writes an ONNX file."""
    if quantize and not (writes_onnx and test_data):
        raise ValueError(f"--quantize needs {needed}, and --test-data to measure the accuracy on")
