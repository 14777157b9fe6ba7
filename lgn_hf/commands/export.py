"""The command `lgn-hf export`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import option, split_revision

FORMATS = ("onnx", "torch")


@click.command()
@click.argument("model", metavar="REPO_OR_DIR")
@option("--format", type=click.Choice(FORMATS), default="onnx", show_default=True, help="What to write.")
@option(
    "--output-dir",
    type=click.Path(path_type=Path),
    help="A folder that is new, empty, or of an earlier export. By default exported/NAME.",
)
def export(model: str, format: str, output_dir: Path | None) -> None:
    """Write a classifier as a file that runs without this package.

    onnx writes onnx/model.onnx, for onnxruntime and transformers.js; torch writes torch/model.pt2, for torch.export.load.
    Its input is images with values from 0 to 1. Standardising and whitening are inside, and filters are constants. The file
    must answer as the model does, else it is not written.

    lgn_hf.export.open_classifier reads the model, lgn_hf.export.export writes the folder.
    """
    from ..repository import check_name

    name, revision = split_revision(model)
    check_name(name)
    folder = output_dir or Path("exported", Path(name).resolve().name if Path(name).is_dir() else name.split("/")[-1])

    from .. import export as room

    room.OUTPUT.check(folder)  # before the model is read
    print(room.export(room.open_classifier(name, revision), folder, format))
