"""The command `lgn-hf`: every subcommand is a call of a function of this package, which its help names.

What a command needs is imported when it runs: nobody waits for transformers to read a help text.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
except ModuleNotFoundError as error:
    sys.exit(f"lgn-hf: the command needs {error.name}: pip install 'lgn-hf[hub]'")

if TYPE_CHECKING:
    from .comparison import Distance
    from .sources import Source

OPTIONAL = ("matplotlib", "datasets", "jinja2", "yaml", "rich", "typer")  # packages of `lgn-hf[hub]`
QUIET = {  # what loads a model or a data set is not the user's concern
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
DATASET_FOLDER = "dataset"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Linear Group Networks on the Hub: publish them, and look at the actions that they learned.",
)

Models = Annotated[list[str], typer.Argument(metavar="REPO_OR_DIR", help="repositories, or folders of models")]
Model = Annotated[str, typer.Argument(metavar="REPO_OR_DIR", help="a repository, or the folder of a model")]
RepoId = Annotated[str, typer.Argument(metavar="USER/NAME", help="the repository")]
Private = Annotated[bool, typer.Option("--private", help="make a new repository private")]


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
def publish(
    output_dir: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="what training/run.py left")],
    repo_id: RepoId,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--dry_run", help="build and check the folder, show it")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="the folder to build; by default OUTPUT_DIR/hub")] = None,
    private: Private = False,
    revision: Annotated[str | None, typer.Option(help="a branch, made if it does not exist")] = None,
    collection: Annotated[
        str | None, typer.Option(help="a collection to add the model to, its slug or USER/TITLE")
    ] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", "--create_pr", help="open a pull request")] = False,
    dataset: Annotated[str | None, typer.Option(help="Hub id of the data, where the run had a local folder")] = None,
    dataset_note: Annotated[
        str | None, typer.Option("--dataset-note", "--dataset_note", help="what a reader must know of the data")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="a run without groups to compare with: its folder or all_results.json")
    ] = None,
) -> None:
    """Publish a trained model in one commit.

    The repository's folder is built, checked and uploaded by build, validate and publish of lgn_hf.hub. Doing it again
    is harmless: only what differs is uploaded.
    """
    from . import hub

    target = folder or (output_dir if hub.is_built(output_dir) else output_dir / "hub")
    built = hub.build(
        output_dir, target, repo_id=repo_id, dataset=dataset, dataset_note=dataset_note, baseline=baseline
    )
    hub.validate(built)
    if dry_run:
        print(_tree(built, hub.contents(built)))
    else:
        print(
            hub.publish(built, repo_id, private=private, revision=revision, collection=collection, create_pr=create_pr)
        )


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="what `lgn-hf publish` built")],
    repo_id: Annotated[
        str | None, typer.Option("--repo-id", "--repo_id", metavar="USER/NAME", help="the repository it is for")
    ] = None,
) -> None:
    """Write the model card of a built folder again.

    By lgn_hf.cards.write_card, from the folder's files alone.
    """
    from .cards import write_card

    print(write_card(folder, repo_id))


@app.command()
def actions(
    models: Models,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "--output_dir", help="where each model gets a folder")
    ] = None,
    push: Annotated[str | None, typer.Option(metavar="USER/NAME", help="publish them all as one data set")] = None,
    private: Private = False,
    top: Annotated[int, typer.Option(min=1, help="rows of the table")] = 10,
) -> None:
    """Extract, diagnose and draw the actions of models.

    lgn_hf.extraction.extract writes a folder for each model, most_structured makes the table, and
    lgn_hf.action_dataset.push_actions_dataset publishes the actions of all models as a data set.
    """
    from .extraction import extract, most_structured

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

        from .action_dataset import push_actions_dataset

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if output_dir is None else output_dir / DATASET_FOLDER
            print(push_actions_dataset(sources, folder, push, private=private))


@app.command()
def predict(
    model: Model,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="files, or addresses")],
    top: Annotated[int, typer.Option(min=1, help="labels of each image")] = 5,
) -> None:
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
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="a repository, or the folder of a model")],
    b: Annotated[str, typer.Argument(metavar="B", help="another")],
    top: Annotated[int, typer.Option(min=1, help="pairs of actions to show")] = 5,
) -> None:
    """Compare the actions of two models.

    By lgn_hf.comparison.compare. A distance is 0 for the same actions; chance is that of unrelated actions with the same singular values. The most
    similar pairs of actions come with their cosine.
    """
    from .comparison import compare
    from .sources import open_source

    first, second = open_source(a), open_source(b)
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
def atlas(
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="where the page is written")],
    models: Models,
    push: Annotated[str | None, typer.Option(metavar="USER/NAME", help="publish it as a static Space")] = None,
    private: Private = False,
) -> None:
    """Make one page on which to look at the actions of models.

    lgn_hf.atlas.build_atlas writes it, lgn_hf.uploads.upload publishes it.
    """
    from .atlas import CARD_NAME, PAGE_NAME, build_atlas

    folder = build_atlas(_open(models), out_dir)
    print(folder / PAGE_NAME)
    if push is not None:
        from .uploads import upload

        print(upload(folder, [PAGE_NAME, CARD_NAME], push, "space", private=private))


def _open(models: list[str]) -> list[Source]:
    from .sources import open_source

    return [open_source(model) for model in models]


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
