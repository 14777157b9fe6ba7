"""The command `lgn-hf publish`."""

from __future__ import annotations

from pathlib import Path

import click

from ..terminal import tree
from .models import check_names
from .options import check_test_data, lab_link, option, private, quantize, test_data


@click.command()
@click.argument("source", metavar="FOLDER", type=click.Path(path_type=Path))
@click.argument("repo_id", metavar="USER/NAME")
@option("--dry-run", is_flag=True, help="Build and check the repository, show its files, and stop.")
@option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where to build the repository. By default FOLDER/hub for a run, and build/NAME for a model folder.",
)
@private
@option("--revision", help="A branch, made if it does not exist.")
@option("--collection", help="A collection to add the model to: its slug, or USER/TITLE.")
@option("--create-pr", is_flag=True, help="Open a pull request.")
@option("--dataset", help="Hub id of the data, for a run whose data was a local folder.")
@option("--dataset-note", help="What a reader must know of the data.")
@option("--onnx", is_flag=True, help="Add onnx/model.onnx, which runs without torch.")
@quantize
@test_data
@lab_link
@option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="A run without groups to compare with: its folder or all_results.json.",
)
@option(
    "--example",
    multiple=True,
    help="An image that the card shows with what the model makes of it. Up to 8 of these.",
)
def publish(
    source: Path,
    repo_id: str,
    dry_run: bool,
    folder: Path | None,
    private: bool,
    revision: str | None,
    collection: str | None,
    create_pr: bool,
    dataset: str | None,
    dataset_note: str | None,
    onnx: bool,
    quantize: tuple[str, ...],
    test_data: str | None,
    lab: str | None,
    baseline: Path | None,
    example: tuple[str, ...],
) -> None:
    """Publish a trained model in one commit.

    FOLDER is the output_dir of a training run, or a model folder such as model_cards/lgn-mnist. Its own files stay as
    they are. A model that was trained elsewhere is first measured by training/evaluate_model.py --record. Publishing again is harmless: only what differs is uploaded.

    lgn_hf.hub.publication.prepare builds the repository, lgn_hf.hub.publication.validate tries it, and
    lgn_hf.hub.upload.publish uploads it.
    """
    from ..image_files import check_image

    for image in example:
        check_image(image)
    check_names([], repo_id, lab)
    check_test_data(quantize, test_data, onnx, "--onnx")

    if not dry_run:
        from ..hub.permission import check_can_publish

        check_can_publish(repo_id, "model", private=private)

    from ..hub import publication, upload

    built = publication.prepare(
        source,
        repo_id,
        folder,
        dataset=dataset,
        dataset_note=dataset_note,
        baseline=baseline,
        examples=example or None,
        onnx=onnx or None,
        quantize=quantize or None,
        test_data=test_data,
        lab=lab,
    )
    publication.validate(built)
    if dry_run:
        print(tree(built, publication.contents(built)))
        return
    url = upload.publish(
        built, repo_id, private=private, revision=revision, collection=collection, create_pr=create_pr
    )
    print(url)
