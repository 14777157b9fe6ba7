"""The command `lgn-hf export`."""

from __future__ import annotations

from pathlib import Path

import click

from .models import split_revision
from .options import check_test_data, option, output_dir, quantize, test_data

FORMATS = ("onnx", "torch")


@click.command()
@click.argument("model", metavar="REPO_OR_DIR")
@option("--format", type=click.Choice(FORMATS), default="onnx", show_default=True, help="What to write.")
@output_dir("A folder that is new, empty, or of an earlier export. By default exported/NAME.")
@quantize
@test_data
def export(model: str, format: str, output_dir: Path | None, quantize: tuple[str, ...], test_data: str | None) -> None:
    """Write a classifier as a file that runs without this package.

    onnx writes onnx/model.onnx, for onnxruntime and transformers.js; torch writes torch/model.pt2, for torch.export.load.
    Its input is images with values from 0 to 1. Standardising and whitening are inside, and filters are constants. The file
    must answer as the model does, else it is not written.

    lgn_hf.export.open_classifier reads the model, lgn_hf.export.export writes the folder, and lgn_hf.export.write_smaller
    writes weights in fewer bits.
    """
    from ..repository import check_name

    name, revision = split_revision(model)
    check_name(name)
    check_test_data(quantize, test_data, format == "onnx", "--format onnx")
    folder = output_dir or Path("exported", Path(name).resolve().name if Path(name).is_dir() else name.split("/")[-1])

    from .. import export as room

    room.OUTPUT.check(folder)  # before the model is read
    classifier = room.open_classifier(name, revision)
    path = room.export(classifier, folder, format)
    print(path)
    if quantize and test_data is not None:
        found = room.write_smaller(classifier, folder, quantize, test_data)
        largest = found["files"][0]["bytes"]
        for file in found["files"]:
            print(
                f"{folder / file['path']}: {file['bytes'] / largest:.0%} of the size, test accuracy {file['accuracy']:.2%} "
                f"on {found['images']:,} images"
            )
