"""The command `lgn-hf`: every subcommand is a call of a function of this package, which its help names.

What a command needs is imported when it runs: nobody waits for transformers to read a help text.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .actions import Distance
    from .runs.trained_model import TrainedModel

OPTIONAL = ("matplotlib", "datasets", "jinja2", "yaml")  # packages of `lgn-hf[hub]`
QUIET = {  # what loads a model or a data set is not the user's concern
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
DATASET_FOLDER = "dataset"


def option(*names: str, **settings: Any) -> Any:
    """An option whose hyphens may be underscores too, as in the training program."""
    twins = [name.replace("-", "_").replace("__", "--", 1) for name in names if "-" in name[2:]]
    return click.option(*names, *twins, names[0].lstrip("-").replace("-", "_"), **settings)


models = click.argument("models", metavar="REPO_OR_DIR...", nargs=-1, required=True)
private = option("--private", is_flag=True, help="Make a new repository private.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Linear Group Networks on the Hub: publish them, and look at the actions that they learned.",
)
def app() -> None:
    pass


def main() -> None:
    """Run the command; whatever goes wrong for a user's reasons ends in one line, and exit code 1.

    `LGN_HF_TRACEBACK=1` shows where instead.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app(prog_name="lgn-hf")
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        if os.environ.get("LGN_HF_TRACEBACK"):
            raise
        package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else None
        if package in OPTIONAL:
            sys.exit(f"lgn-hf: this command needs {package}: pip install 'lgn-hf[hub]'")
        sys.exit(f"lgn-hf: {_plain(error)}")


@app.command()
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.argument("repo_id", metavar="USER/NAME")
@option("--dry-run", is_flag=True, help="Build and check the folder, and show it.")
@option("--folder", type=click.Path(path_type=Path), help="The folder to build; by default OUTPUT_DIR/hub.")
@private
@option("--revision", help="A branch, made if it does not exist.")
@option("--collection", help="A collection to add the model to: its slug, or USER/TITLE.")
@option("--create-pr", is_flag=True, help="Open a pull request.")
@option("--dataset", help="Hub id of the data, where the run had a local folder.")
@option("--dataset-note", help="What a reader must know of the data.")
@option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="A run without groups to compare with: its folder or all_results.json.",
)
@option(
    "--example",
    multiple=True,
    help="An image to publish too, shown on the card with what the model makes of it. Up to 8 of these.",
)
def publish(
    output_dir: Path,
    repo_id: str,
    dry_run: bool,
    folder: Path | None,
    private: bool,
    revision: str | None,
    collection: str | None,
    create_pr: bool,
    dataset: str | None,
    dataset_note: str | None,
    baseline: Path | None,
    example: tuple[str, ...],
) -> None:
    """Publish a trained model in one commit.

    lgn_hf.hub.publication.build makes the repository's folder, validate tries it, lgn_hf.hub.upload.publish uploads it. Doing it again
    is harmless: only what differs is uploaded.
    """
    from .hub import publication
    from .hub import upload as hub

    target = folder or (output_dir if publication.is_built(output_dir) else output_dir / "hub")
    built = publication.build(
        output_dir,
        target,
        repo_id=repo_id,
        dataset=dataset,
        dataset_note=dataset_note,
        baseline=baseline,
        examples=example or None,
    )
    publication.validate(built)
    if dry_run:
        print(_tree(built, publication.contents(built)))
    else:
        print(
            hub.publish(built, repo_id, private=private, revision=revision, collection=collection, create_pr=create_pr)
        )


@app.command()
@click.argument("folder", type=click.Path(path_type=Path))
@option("--repo-id", metavar="USER/NAME", help="The repository it is for.")
def card(folder: Path, repo_id: str | None) -> None:
    """Write the model card of a built folder again.

    By lgn_hf.hub.cards.write_card, from the folder's files alone.
    """
    from .hub.cards import write_card

    print(write_card(folder, repo_id))


@app.command()
@models
@option("--output-dir", type=click.Path(path_type=Path), help="Where each model gets a folder.")
@option("--push", metavar="USER/NAME", help="Publish them all as one data set.")
@private
@option("--top", type=click.IntRange(1), default=10, show_default=True, help="Rows of the table.")
def actions(models: tuple[str, ...], output_dir: Path | None, push: str | None, private: bool, top: int) -> None:
    """Extract, diagnose and draw the actions of models.

    lgn_hf.hub.extraction.extract writes a folder for each model, most_structured makes the table, and
    lgn_hf.hub.action_dataset.push_actions_dataset publishes the actions of all models as a data set.
    """
    from .hub.extraction import extract, most_structured

    sources = _open(models)
    folders = [source.name.replace("/", "--") for source in sources]
    taken = next((name for i, name in enumerate(folders) if name in [*folders[:i], DATASET_FOLDER]), None)
    if taken is not None:
        raise ValueError(f"{taken} is the name of two models, or of the data set's folder: rename a model's folder")
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
    _print_table("the most structured actions (layer, group, channel)", columns, rows)
    if output_dir is not None:
        print(f"written to {output_dir}")
    if push is not None:
        import tempfile

        from .hub.action_dataset import push_actions_dataset

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if output_dir is None else output_dir / DATASET_FOLDER
            print(push_actions_dataset(sources, folder, push, private=private))


@app.command()
@click.argument("model", metavar="REPO_OR_DIR")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Labels of each image.")
def predict(model: str, images: tuple[str, ...], top: int) -> None:
    """Classify images.

    By lgn_hf.prediction.predict.
    """
    from .prediction import predict

    found = predict(model, images, top=top)
    rows = [
        ["" if rank else image, prediction.label, f"{prediction.probability:.2%}"]
        for image, predictions in zip(images, found, strict=True)
        for rank, prediction in enumerate(predictions)
    ]
    _print_table(None, ["image", "label", "probability"], rows)


@app.command()
@click.argument("a")
@click.argument("b")
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Pairs of actions to show.")
def compare(a: str, b: str, top: int) -> None:
    """Compare the actions of two models.

    By lgn_hf.actions.compare. A distance is 0 for the same actions; chance is that of unrelated actions with the same singular values. The most
    similar pairs of actions come with their cosine.
    """
    from .actions import compare
    from .runs.trained_model import open_trained_model

    first, second = open_trained_model(a), open_trained_model(b)
    found = compare(first.actions, second.actions)

    def row(name: str, distance: Distance) -> list[str]:
        return [
            name,
            f"{distance.value:.3f}",
            f"{distance.chance:.3f} ± {distance.deviation:.3f}",
            _number(distance.z),
        ]

    rows = [row("all", found.whole), *(row(f"layer {layer}", part) for layer, part in found.layers.items())]
    _print_table(f"{first.name} and {second.name}", ["actions", "distance", "chance", "z"], rows)
    pairs = [[pair.a, pair.b, f"{pair.cosine:+.2f}"] for pair in found.pairs[:top]]
    _print_table("the most similar actions", [first.name, second.name, "cosine"], pairs)


@app.command()
@click.argument("out_dir", type=click.Path(path_type=Path))
@models
@option("--push", metavar="USER/NAME", help="Publish it as a static Space.")
@private
def atlas(out_dir: Path, models: tuple[str, ...], push: str | None, private: bool) -> None:
    """Make one page on which to look at the actions of models.

    lgn_hf.hub.atlas.build_atlas writes it, lgn_hf.hub.upload.upload publishes it.
    """
    from .hub.atlas import CARD_NAME, PAGE_NAME, build_atlas

    folder = build_atlas(_open(models), out_dir)
    print(folder / PAGE_NAME)
    if push is not None:
        from .hub.upload import upload

        print(upload(folder, [PAGE_NAME, CARD_NAME], push, "space", private=private))


def _open(models: tuple[str, ...]) -> list[TrainedModel]:
    from .runs.trained_model import open_trained_model

    return [open_trained_model(model) for model in models]


def _tree(folder: Path, contents: dict[str, int]) -> str:
    """The files of a folder with their sizes, as a tree."""
    lines, shown = [f"{folder}/"], set()
    width = max(map(len, contents)) + 4
    for path, size in contents.items():
        *parents, name = path.split("/")
        for depth in range(1, len(parents) + 1):
            if (parent := tuple(parents[:depth])) not in shown:
                shown.add(parent)
                lines.append(f"{'  ' * depth}{parents[depth - 1]}/")
        lines.append(f"{'  ' * (len(parents) + 1)}{name}".ljust(width) + f"{size:>12,}")
    lines.append("  total".ljust(width) + f"{sum(contents.values()):>12,} bytes")
    return "\n".join(lines)


def _print_table(title: str | None, columns: list[str], rows: list[list[str]]) -> None:
    """A table on the terminal, whose texts are never markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None if title is None else Text(_plain(title)))
    for column in columns:
        table.add_column(Text(_plain(column)))
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    Console().print(table)


def _number(value: float | None, missing: str = "") -> str:
    return missing if value is None else f"{value:.3g}"


def _plain(value: Any) -> str:
    """A text on one line, without the characters that control a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
