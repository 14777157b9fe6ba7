"""The command `lgn-hf predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..terminal import print_table
from ..texts import one_line
from .models import check_names, split_revision
from .options import option


@click.command()
@click.argument("model", metavar="REPO_OR_DIR")
@click.argument("images", metavar="IMAGE_OR_DIR...", nargs=-1, required=True)
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Labels per image.")
@option("--output", type=click.Path(path_type=Path), help="Write a .json or .csv file in place of a table.")
def predict(model: str, images: tuple[str, ...], top: int, output: Path | None) -> None:
    """Classify images, those in folders included.

    An image that cannot be read is named, and the others are classified; then the exit code is 1.

    lgn_hf.prediction.predict does it, lgn_hf.prediction.write_predictions writes the file.
    """
    from ..image_files import check_image, find_images
    from ..repository import find_folder

    if output is not None:
        _check_output(output)
    found = find_images(images)
    errors: dict[str, str] = {}

    def refuse(image: str, error: ValueError) -> None:
        errors[image] = str(error)
        print(f"lgn-hf: {one_line(error, None)}", file=sys.stderr)

    if len(found) == 1:
        check_image(found[0])
    check_names([model])
    name, revision = split_revision(model)
    find_folder(name, revision)  # before torch and transformers are imported

    from .. import prediction

    answers = prediction.predict(name, found, top=top, revision=revision, on_error=refuse)
    if output is not None:
        prediction.write_predictions(output, found, answers, errors)
        print(output)
    elif any(answers):
        rows = [
            ["" if rank else image, prediction.label, f"{prediction.probability:.2%}"]
            for image, predictions in zip(found, answers, strict=True)
            for rank, prediction in enumerate(predictions)
        ]
        print_table(None, ["image", "label", "probability"], rows)
    if errors:
        sys.exit(1)


def _check_output(path: Path) -> None:
    """Refuse a file of predictions that cannot be written, or would replace something else."""
    from ..files import check_output_file

    starts = {".json": '[\n  {\n    "image": ', ".csv": "image,rank,label,probability,error\n"}
    start = starts.get(path.suffix.lower())
    if start is None:
        raise ValueError(f"--output {path} must end with .json or .csv")
    if not path.parent.is_dir():
        raise ValueError(f"--output {path}: the folder {path.parent} does not exist")
    check_output_file(path, start)
