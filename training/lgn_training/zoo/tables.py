"""The tables of the records.

All runs are in `model_cards/README.md`, the networks that matter most in `docs/results.md`, a few of these in `README.md`.
`docs/group_networks.md` has the tables of `group_tables.py`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from lgn_hf.files import write_whole
from lgn_hf.hub.cards import PRECISIONS
from lgn_hf.runs.family import read_config
from lgn_hf.texts import group_title
from lgn_training.engine.output_folder import RESULTS_FILE
from lgn_training.zoo import group_tables
from lgn_training.zoo.records import ON, Key, Row, locked, read, read_results, row_of

BEGIN, END = "<!-- {}: python training/records.py -->", "<!-- /{} -->"  # around the table of this name
PAPER = {  # "Learning unfolded networks with a cyclic group structure", tables 1 and 2
    "baseline-mnist": "99.21 %", "r90-mnist": "99.12 %", "r60-mnist": "98.77 %",
    "baseline-rotmnist": "85.48 %", "r90-rotmnist": "86.62 %", "r60-rotmnist": "80.07 %",
    "baseline-cifar10": "71.87 %", "r90-cifar10": "72.20 %", "r60-cifar10": "73.14 %",
    "dense-baseline-mnist": "97.75 %", "dense-r90-mnist": "98.04 %", "dense-r60-mnist": "97.73 %",
    "dense-baseline-mnist_on_rotated:mnist": "36.89 %", "dense-r90-mnist_on_rotated:mnist": "37.02 %",
    "dense-r60-mnist_on_rotated:mnist": "37.4 %",
    "lgn-cifar10": "about 65 %",  # from the authors' published code
}  # fmt: skip
NETWORKS = {  # model -> what it is
    "lgn-{}": "LGN: learned actions",
    "cyclic-{}": "the same, cyclic by construction",
    "free-{}": "free filters, as many",
    "r90-{}": "rotations by multiples of 90 degrees",
    "r60-{}": "rotations by multiples of 60 degrees",
    "baseline-{}": "free filters, as many as of R_90",
    "lgn-{}-plus": "**LGN plus**: one cyclic action for the whole network",
    "free-{}-plus": "the same with free filters, as many",
    "few-{}-plus": "the same with free filters, as many parameters",
    "convnet-{}-c4": "**LGN ConvNet**: a residual network over C₄, told",
    "convnet-{}-mirror": "the same over the mirror image, told",
    "convnet-{}-wide": "the same over the mirror image, with a million parameters",
    "convnet-{}-d4": "the same over D₄, told",
    "convnet-{}-snapped": "the same over the D₄ that was found, moved to the pixel grid",
    "convnet-{}-discovered": "the same over D₄ as it was found in the images",
    "convnet-{}-discovered-c4": "the same over C₄ as it was found in the images",
    "convnet-{}-learned": "the same, the group learned by gradient",
    "convnet-{}-shift": "the same over cyclic shifts of pixels, which are symmetries of nothing",
    "convnet-{}-free": "the same with free filters",
}
FEW = (  # of these, on the front page
    "lgn-{}",
    "free-{}",
    "r90-{}",
    "convnet-{}-c4",
    "convnet-{}-discovered-c4",
    "convnet-{}-wide",
    "convnet-{}-free",
)
OTHERS = {  # networks of others: Cohen and Welling, "Group equivariant convolutional networks" (2016), table 1
    "P4CNN (others), over C₄": {"rotmnist": "97.72 %"},
    "Z2CNN (others), free filters": {"rotmnist": "94.97 %"},
}
SHOWN = {"classification": ("test_accuracy", " %"), "reconstruction": ("test_relative_error", " % missed")}
DATA = {"mnist": "MNIST", "rotmnist": "rot-MNIST", "cifar10": "CIFAR-10"}
NO_FOLDERS: Mapping[str, Key] = {}


def key_of(row: Row) -> Key:
    """What runs that differ in their seed alone have in common."""
    names = ("dataset", "task", "model", "whitening", "mixed_precision", "max_train_samples", "epochs")
    return tuple("" if row.get(name) is None else str(row[name]) for name in names)


def grouped(rows: list[dict[str, str]]) -> dict[Key, list[dict[str, str]]]:
    """Runs that differ in their seed alone."""
    groups: dict[Key, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[key_of(row)].append(row)
    return groups


def headlines(
    rows: list[dict[str, str]],
    published: Mapping[str, Key] = NO_FOLDERS,
    *,
    networks: Collection[str] = NETWORKS,
    cards: str = "model_cards",
) -> str:
    """The table of NETWORKS by data sets: test accuracies, the papers' accuracies, and links to published models.

    A cell has the mean over seeds of the longest training. Of several that are as long, it is the published one, else one
    with a whitening that published models have.

    Args:
        networks: those of NETWORKS to show, by their accuracy alone. The table of all also has seeds, epochs, the
            papers' numbers, and their best in the last row.
        cards: the path from the page to the folder of model cards.
    """
    lines = ["| |" + "".join(f" {name} |" for name in DATA.values()), "|---|" + "--:|" * len(DATA)]
    groups, common = grouped(rows), {key[3] for key in published.values()}

    def cell(model: str) -> str:
        found = {key: runs for key, runs in groups.items() if (key[2], key[5]) == (model, "")}
        if not found:
            return ""
        key = max(
            found, key=lambda key: (float(key[-1]), published.get(model) == key, key[3] in common, len(found[key]))
        )
        runs, epochs = found[key], key[-1]
        mean = statistics.mean(100 * float(run["test_accuracy"]) for run in runs)
        seeds = f"{len(runs)} seeds, " if len(runs) > 1 else ""
        paper = f"; paper {PAPER[model]}" if model in PAPER else ""
        text = f"[{mean:.2f} %]({cards}/{model}/README.md)" if published.get(model) == key else f"{mean:.2f} %"
        return f"{text} ({seeds}{epochs} epochs{paper})" if networks is NETWORKS else text

    for pattern, words in NETWORKS.items():
        cells = [cell(pattern.format(data)) for data in DATA] if pattern in networks else []
        if any(cells):
            lines.append(f"| {words} | " + " | ".join(cells) + " |")
    lines += [
        f"| {words} | " + " | ".join(found.get(data, "") for data in DATA) + " |" for words, found in OTHERS.items()
    ]
    if networks is not NETWORKS:
        return "\n".join(lines) + "\n"
    best = [max(PAPER[f"{network}-{data}"] for network in ("baseline", "r90", "r60")) for data in DATA]
    lines.append("| the papers' best | " + " | ".join(best) + " |")
    return "\n".join(lines) + "\n"


def render(rows: list[dict[str, str]], published: Mapping[str, Key] = NO_FOLDERS) -> str:
    """The table of all runs: the mean, smallest and largest over seeds, the papers' numbers, and links to published models."""
    groups = grouped(rows)
    lines = [
        "| data | model | whitening | trained in | epochs | seeds | parameters | with free filters | test | papers |",
        "|---|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for key, runs in sorted(groups.items(), key=lambda item: (*item[0][:-1], float(item[0][-1]))):
        dataset, task, model, whitening, mixed, limit, epochs = key
        name = f"[`{model}`]({model}/README.md)" if published.get(model) == key else f"`{model}`"
        if runs[0].get("group_name"):
            origin = runs[0]["group_origin"]
            name += " (free filters)" if origin == "free" else f" ({group_title(runs[0]['group_name'])}, {origin})"
        metric, unit = SHOWN[task]
        parameters, free = (f"{int(runs[0][name]):,}" for name in ("parameters", "parameters_of_free_filters"))
        for column in sorted(name for name in runs[0] if name == metric or name.startswith(metric + ON)):
            values = [100 * float(run[column]) for run in runs if run.get(column)]
            if not values:
                continue
            on = column.removeprefix(metric)
            data = f"{dataset}, tested on {on.removeprefix(ON)}" if on else dataset
            data = data.replace("rot-mnist:mnist", "rot-mnist").replace(":", " ")
            data += f", {int(limit):,} training images" if limit else ""
            spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
            lines.append(
                f"| {data} | {name} | {whitening} | {PRECISIONS[mixed]} | {epochs} | {len(values)} | {parameters} | {free} "
                f"| {statistics.mean(values):.2f}{unit}{spread} | {PAPER.get(model + on, '')} |"
            )
    return "\n".join(lines) + "\n"


def insert(page: str, name: str, table: str) -> str:
    """The page with the table of this name between its BEGIN and END.

    Raises:
        ValueError: the page does not have both.
    """
    begin, end = BEGIN.format(name), END.format(name)
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"the page lacks {begin} or {end}")
    return f"{before}{begin}\n{table}{end}{after}"


Table = Callable[[list[dict[str, str]], Mapping[str, Key]], str]
PAGES: Mapping[str, Mapping[str, Table]] = {  # page, from the folder of the records -> its tables
    "README.md": {"results": render},
    "../README.md": {"results": partial(headlines, networks=FEW)},
    "../docs/results.md": {"results": partial(headlines, cards="../model_cards")},
    "../docs/group_networks.md": group_tables.TABLES,
}


def update(records: Path) -> None:
    """Render the tables of PAGES, where these pages exist."""
    with locked(records):
        rows, published = read(records), find_published(records.parent)
        for name, tables in PAGES.items():
            if (page := records.parent / name).is_file():
                text = page.read_text()
                for title, table in tables.items():
                    text = insert(text, title, table(rows, published))
                write_whole(page, text)


def find_published(cards: Path) -> dict[str, Key]:
    """The models that have a folder, each with the `key_of` its run."""
    folders = [path.parent for path in cards.glob(f"*/{RESULTS_FILE}")]
    return {folder.name: key_of(row_of(read_results(folder), read_config(folder), folder.name)) for folder in folders}
