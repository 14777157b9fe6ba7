"""The command `lgn-hf actions`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ..terminal import number, print_table
from .models import check_names, open_models
from .options import lab_link, models, option, output_dir, private

DATASET_FOLDER = "dataset"


@click.command()
@models
@output_dir("Write one folder per model here; it must be new, empty or of an earlier run.")
@option("--push", metavar="USER/NAME", help="Publish them all as one data set.")
@lab_link
@private
@option("--top", type=click.IntRange(1), default=10, show_default=True, help="Rows of the table.")
def actions(
    models: tuple[str, ...], output_dir: Path | None, push: str | None, lab: str | None, private: bool, top: int
) -> None:
    """Extract, diagnose and draw the actions of models.

    z: standard deviations above the score of random matrices. nearest: the known operation that an action is most like,
    and the cosine between the two. condition: the largest singular value divided by the smallest.

    lgn_hf.hub.extraction.extract writes one folder per model, lgn_hf.hub.extraction.most_structured makes the table,
    and lgn_hf.hub.action_dataset.push_actions_dataset publishes the actions of all models as a data set.
    """
    check_names(models, push, lab)
    if lab is not None and push is None:
        raise ValueError("--lab needs --push: the card of the data set links to the lab")

    from ..hub.extraction import check_output_dir, extract, most_structured

    if output_dir is not None:
        check_output_dir(output_dir, DATASET_FOLDER)
    if push is not None:
        from ..hub import action_dataset  # noqa: F401  (needs a package that may be missing, which should be said first)
        from ..hub.permission import check_can_publish

        check_can_publish(push, "dataset", private=private)
    sources = open_models(models)
    folders = [source.name.replace("/", "--") for source in sources]
    taken = next((name for i, name in enumerate(folders) if name in [*folders[:i], DATASET_FOLDER]), None)
    if taken is not None:
        raise ValueError(
            f"{taken} is the name of two models, or of the data set's folder: rename the folder of a model"
        )
    if output_dir is not None:
        for source, name in zip(sources, folders, strict=True):
            extract(source, output_dir / name)
    rows = [
        [
            row["model"],
            f"{row['layer']}, {row['group']}, {row['channel']}",
            row["label"] or "",
            f"{row['structure'].replace('_', ' ')} {number(row['z'])}",
            f"{row['nearest'].replace('_', ' ')} {row['nearest_correlation']:+.2f}" if row["nearest"] else "",
            number(row["condition_number"], "singular"),
        ]
        for row in most_structured(sources, top)
    ]
    columns = ["model", "action", "label", "structure, z", "nearest, correlation", "condition"]
    print_table("the most structured actions (layer, group, channel)", columns, rows)
    if output_dir is not None:
        print(f"written to {output_dir}")
    if push is not None:
        from ..hub.action_dataset import push_actions_dataset

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if output_dir is None else output_dir / DATASET_FOLDER
            print(push_actions_dataset(sources, folder, push, private=private, lab=lab))
