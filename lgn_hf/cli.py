"""The command `lgn-hf`: every subcommand calls a function of this package, which its help names.

A command imports what it needs when it runs: nobody should wait for transformers to read a help text.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .commands.discover import discover
from .commands.export import export
from .commands.options import check_test_data, lab_link, option, output_dir, quantize, split_revision, test_data
from .terminal import print_table, tree
from .texts import full_traceback, one_line

if TYPE_CHECKING:
    from .actions import Distance
    from .runs.trained_model import TrainedModel

OPTIONAL = {  # packages, and the extra that brings them
    **dict.fromkeys(("matplotlib", "datasets", "jinja2", "yaml"), "hub"),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "export"),
    **dict.fromkeys(("accelerate", "sklearn", "tqdm"), "train"),
}
QUIET = {  # users need not see how models and data sets are loaded
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
DATASET_FOLDER = "dataset"


REVISION = "A repository is USER/NAME, or USER/NAME@REVISION for a branch, tag or commit."

models = click.argument("models", metavar="REPO_OR_DIR...", nargs=-1, required=True)
private = option("--private", is_flag=True, help="Make a new repository private.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Linear Group Networks on the Hub: publish them, and look at the actions that they learned.\n\n" + REVISION,
)
def app() -> None:
    pass


app.add_command(discover)
app.add_command(export)


def main() -> None:
    """Run the command. An error that the user can mend ends it with one line and exit code 1.

    `LGN_HF_TRACEBACK=1` shows the traceback instead, with the errors behind the error.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app(prog_name="lgn-hf")
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        if os.environ.get("LGN_HF_TRACEBACK"):
            sys.exit(full_traceback(error))
        package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else None
        if package in OPTIONAL:
            sys.exit(f"lgn-hf: this command needs {package}: pip install 'lgn-hf[{OPTIONAL[package]}]'")
        sys.exit(f"lgn-hf: {one_line(error, None)}")


@app.command()
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
    from .image_files import check_image

    for image in example:
        check_image(image)
    _check_names([], repo_id, lab)
    check_test_data(quantize, test_data, onnx, "--onnx")

    if not dry_run:
        _check_can_publish(repo_id, private=private)

    from .hub import publication, upload

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


@app.command()
@click.argument("folder", type=click.Path(path_type=Path))
@option("--repo-id", metavar="USER/NAME", help="The repository it is for.")
def card(folder: Path, repo_id: str | None) -> None:
    """Write the model card of a model folder again.

    lgn_hf.hub.cards.write_card writes it, from the other files of FOLDER.
    """
    from .hub.cards import write_card

    print(write_card(folder, repo_id))


@app.command()
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
    _check_names(models, push, lab)
    if lab is not None and push is None:
        raise ValueError("--lab needs --push: the card of the data set links to the lab")

    from .hub.extraction import check_output_dir, extract, most_structured

    if output_dir is not None:
        check_output_dir(output_dir, DATASET_FOLDER)
    if push is not None:
        from .hub.action_dataset import push_actions_dataset

        _check_can_publish(push, "dataset", private=private)
    sources = _open(models)
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
            f"{row['structure'].replace('_', ' ')} {_number(row['z'])}",
            f"{row['nearest'].replace('_', ' ')} {row['nearest_correlation']:+.2f}" if row["nearest"] else "",
            _number(row["condition_number"], "singular"),
        ]
        for row in most_structured(sources, top)
    ]
    columns = ["model", "action", "label", "structure, z", "nearest, correlation", "condition"]
    print_table("the most structured actions (layer, group, channel)", columns, rows)
    if output_dir is not None:
        print(f"written to {output_dir}")
    if push is not None:
        import tempfile

        from .hub.action_dataset import push_actions_dataset

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if output_dir is None else output_dir / DATASET_FOLDER
            print(push_actions_dataset(sources, folder, push, private=private, lab=lab))


@app.command()
@click.argument("model", metavar="REPO_OR_DIR")
@click.argument("images", metavar="IMAGE_OR_DIR...", nargs=-1, required=True)
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Labels per image.")
@option("--output", type=click.Path(path_type=Path), help="Write a .json or .csv file in place of a table.")
def predict(model: str, images: tuple[str, ...], top: int, output: Path | None) -> None:
    """Classify images, those in folders included.

    An image that cannot be read is named, and the others are classified; then the exit code is 1.

    lgn_hf.prediction.predict does it, lgn_hf.prediction.write_predictions writes the file.
    """
    from .image_files import check_image, find_images
    from .repository import find_folder

    if output is not None:
        _check_output(output)
    found = find_images(images)
    errors: dict[str, str] = {}

    def refuse(image: str, error: ValueError) -> None:
        errors[image] = str(error)
        print(f"lgn-hf: {one_line(error, None)}", file=sys.stderr)

    if len(found) == 1:
        check_image(found[0])
    _check_names([model])
    name, revision = split_revision(model)
    find_folder(name, revision)  # before torch and transformers are imported

    from . import prediction

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
    starts = {".json": b'[\n  {\n    "image": ', ".csv": b"image,rank,label,probability,error\n"}
    start = starts.get(path.suffix.lower())
    if start is None:
        raise ValueError(f"--output {path} must end with .json or .csv")
    if not path.parent.is_dir():
        raise ValueError(f"--output {path}: the folder {path.parent} does not exist")
    if path.is_dir() or (path.exists() and not path.read_bytes().startswith(start)):
        raise ValueError(f"--output {path} holds something else than earlier predictions: choose another name")


@app.command()
@click.argument("a")
@click.argument("b")
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Pairs of actions to show.")
def compare(a: str, b: str, top: int) -> None:
    """Compare the actions of two models.

    lgn_hf.actions.compare does it. The distance of a model from itself is 0. Chance is the distance of unrelated
    actions that have the same singular values. The most similar pairs of actions are shown with their cosine.
    """
    _check_names((a, b))

    from .actions import compare

    first, second = _open((a, b))
    found = compare(first.actions, second.actions)

    def row(name: str, distance: Distance) -> list[str]:
        return [
            name,
            f"{distance.value:.3f}",
            f"{distance.chance:.3f} ± {distance.deviation:.3f}",
            _number(distance.z),
        ]

    rows = [row("all", found.whole), *(row(f"layer {layer}", part) for layer, part in found.layers.items())]
    print_table(f"{first.name} and {second.name}", ["actions", "distance", "chance", "z"], rows)
    pairs = [[pair.a, pair.b, f"{pair.cosine:+.2f}"] for pair in found.pairs[:top]]
    print_table("the most similar actions", [first.name, second.name, "cosine"], pairs)


@app.command()
@models
@output_dir("Where to write the pages: a folder that is new, empty, or holds an earlier atlas.", "atlas")
@option(
    "--lab", is_flag=True, help="Also write lab.html, a page on which the networks run. npm fetches what runs them."
)
@option(
    "--runtime",
    type=click.Path(path_type=Path),
    help="The unpacked npm package onnxruntime-web for the lab. By default, npm fetches it once.",
)
@option(
    "--found",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Also write found.html, a page of what `lgn-hf discover` wrote to this folder. May be given several times.",
)
@option("--push", metavar="USER/NAME", help="Publish it as a static Space.")
@private
def atlas(
    models: tuple[str, ...],
    output_dir: Path,
    lab: bool,
    runtime: Path | None,
    found: tuple[Path, ...],
    push: str | None,
    private: bool,
) -> None:
    """Write a page that shows the actions of models, and with --lab one on which visitors try them.

    lgn_hf.hub.space.build_space writes them, lgn_hf.hub.upload.upload publishes them.
    """
    _check_names(models, push)

    if push is not None:
        _check_can_publish(push, "space", private=private)

    from .hub.space import OUTPUT, build_space

    OUTPUT.check(output_dir)  # before the models are read
    engine = None
    if lab or runtime is not None:
        from .hub.lab import find_runtime

        engine = find_runtime(runtime)
    space = build_space([split_revision(model) for model in models], output_dir, engine, found, push)
    for page in space.pages:
        print(output_dir / page)
    if push is not None:
        from .hub.upload import upload

        print(upload(output_dir, space.files, push, "space", private=private))


def _open(models: Sequence[str]) -> list[TrainedModel]:
    from .runs.trained_model import open_trained_model

    return [open_trained_model(*split_revision(model)) for model in models]


def _check_names(models: Sequence[str], *repo_ids: str | None) -> None:
    """Refuse what cannot name a model or a repository, before torch and transformers are imported."""
    from .repository import check_name
    from .runs.dataset_name import check_repo_id

    for model in models:
        check_name(split_revision(model)[0])
    for repo_id in repo_ids:
        if repo_id is not None:
            check_repo_id(repo_id)


def _check_can_publish(repo_id: str, repo_type: str = "model", *, private: bool) -> None:
    """Ask the Hub before any work, and before torch and transformers are imported."""
    from .hub.permission import check_can_publish

    check_can_publish(repo_id, repo_type, private=private)


def _number(value: float | None, missing: str = "") -> str:
    return missing if value is None else f"{value:.3g}"
