"""The command `lgn-hf export`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import option, output_dir, split_revision

FORMATS = ("onnx", "torch")
STORED = ("float16", "int8")


@click.command()
@click.argument("model", metavar="REPO_OR_DIR")
@option("--format", type=click.Choice(FORMATS), default="onnx", show_default=True, help="What to write.")
@output_dir("A folder that is new, empty, or of an earlier export. By default exported/NAME.")
@option(
    "--quantize",
    multiple=True,
    type=click.Choice(STORED),
    help="Also write an ONNX file with weights in fewer bits, if its test accuracy stays within 0.1 points.",
)
@option(
    "--test-data", metavar="DATASET", help="For --quantize: a folder or USER/NAME with labelled images, split test."
)
def export(model: str, format: str, output_dir: Path | None, quantize: tuple[str, ...], test_data: str | None) -> None:
    """Write a classifier as a file that runs without this package.

    onnx writes onnx/model.onnx, for onnxruntime and transformers.js; torch writes torch/model.pt2, for torch.export.load.
    Its input is images with values from 0 to 1. Standardising and whitening are inside, and filters are constants. The file
    must answer as the model does, else it is not written.

    lgn_hf.export.open_classifier reads the model, lgn_hf.export.export writes the folder, and lgn_hf.export.write_stored
    writes weights in fewer bits.
    """
    from ..repository import check_name

    name, revision = split_revision(model)
    check_name(name)
    if quantize and (format != "onnx" or test_data is None):
        raise ValueError("--quantize needs --format onnx, and --test-data to measure the accuracy on")
    folder = output_dir or Path("exported", Path(name).resolve().name if Path(name).is_dir() else name.split("/")[-1])

    from .. import export as room

    room.OUTPUT.check(folder)  # before the model is read
    classifier = room.open_classifier(name, revision)
    path = room.export(classifier, folder, format)
    print(path)
    if not quantize or test_data is None:
        return
    images, labels = room.read_test_images(test_data, classifier)
    for kind in dict.fromkeys(quantize):
        target = folder / room.stored_path(kind)
        found = room.write_stored(path, target, kind, images, labels)
        print(
            f"{target} ({found['bytes'] / found['bytes_float32']:.0%} of the size; test accuracy {found['accuracy']:.2%}, "
            f"with float32 weights {found['accuracy_float32']:.2%}, {len(images):,} images)"
        )
