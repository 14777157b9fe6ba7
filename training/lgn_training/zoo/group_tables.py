"""The tables of the networks over one group, in `docs/group_networks.md`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from lgn_training.zoo.records import ON

Rows = list[dict[str, str]]
GROUPS = {  # networks over one group on rot-MNIST -> the group
    "c4": "C₄, told",
    "discovered-c4": "C₄, as it was found in the training images",
    "d4": "D₄, told",
    "discovered": "D₄, as it was found",
    "snapped": "D₄, found and moved to the pixel grid",
    "learned": "C₄, learned by gradient from a shift of pixels",
    "shift": "C₄, a shift of pixels that is a symmetry of nothing",
    "free": "none: free filters",
}
TRAINED_ON = ("12000", "1000", "100")  # images, none of them held out
UPRIGHT = {  # networks over one group on upright MNIST -> the group
    "c4": GROUPS["c4"],
    "discovered-c4": "C₄, as it was found in rotated digits",
    "snapped-c4": "C₄, found there and moved to the pixel grid",
    "free": GROUPS["free"],
}
ROTATED = "rotated:mnist"
PARTS = {  # networks over C₄ on rot-MNIST -> what differs
    "c4": "as published",
    "c4-own-norms": "each map has statistics and a scale of its own",
    "c4-mean-over-orbits": "the mean over the orbit in place of its maximum",
    "c4-no-orbit-pooling": "no pooling over the orbit: the classifier sees all maps",
}
MIRRORED = {  # networks on CIFAR-10 -> what they are; trained on images as they are, and on randomly mirrored ones
    ("small-mirror", None): "the mirror group, told",
    ("small-free", "small-free-flips"): "free filters, as many maps",
    ("small-narrow", "small-narrow-flips"): "free filters, as many parameters",
    ("mirror", None): "the mirror group, told; wider, 25 epochs",
    (None, "free"): "free filters, as many maps; wider, 25 epochs",
    ("wide", None): "the mirror group, told; still wider, 14 epochs, squares cut out",
}
NEVER_CHANGES = "the same: mirrored images have the same logits"


def group_gains(rows: Rows, published: Collection[str] = ()) -> str:
    """Accuracy on rot-MNIST of GROUPS, by the number of training images."""
    lines = []
    for name, words in GROUPS.items():
        model = f"convnet-rotmnist-{name}"
        cells = [mean_and_range(accuracies(rows, model, train)) for train in TRAINED_ON]
        lines.append((_link(words, model, published), *cells))
    return _table(("group", "12,000 images", "1,000", "100"), lines)


def mirror_gains(rows: Rows, published: Collection[str] = ()) -> str:
    """Accuracy on CIFAR-10 of MIRRORED, with the numbers of their parameters."""
    lines = []
    for names, words in MIRRORED.items():
        models = [f"convnet-cifar10-{name}" if name else "" for name in names]
        found = [row for row in rows if row["model"] in models]
        if not found:
            continue
        cells = [mean_and_range(accuracies(rows, model)) for model in models]
        if found[0]["group"] == "reflection":
            cells[1] = NEVER_CHANGES
        title = _link(words, next(filter(None, models)), published)
        lines.append((title, f"{int(found[0]['parameters']):,}", *cells))
    return _table(("group", "parameters", "trained on images as they are", "and mirrored at random"), lines)


def unseen_rotations(rows: Rows, published: Collection[str] = ()) -> str:
    """Accuracy of UPRIGHT, trained on upright digits alone, on upright and on rotated ones."""
    columns = ("test_accuracy", f"test_accuracy{ON}{ROTATED}")
    lines = []
    for name, words in UPRIGHT.items():
        model = f"convnet-mnist-{name}"
        cells = [mean_and_range(accuracies(rows, model, column=column)) for column in columns]
        lines.append((_link(words, model, published), *cells))
    return _table(("group", "upright digits", "rotated digits"), lines)


def gains_of_parts(rows: Rows, published: Collection[str] = ()) -> str:
    """Accuracy on rot-MNIST of PARTS, trained on all images."""
    lines = []
    for name, words in PARTS.items():
        model = f"convnet-rotmnist-{name}"
        if values := accuracies(rows, model, TRAINED_ON[0]):
            parameters = next(int(row["parameters"]) for row in rows if row["model"] == model)
            lines.append((_link(words, model, published), f"{parameters:,}", mean_and_range(values)))
    return _table(("network over C₄", "parameters", "test"), lines)


TABLES: Mapping[str, Callable[..., str]] = {
    "results": group_gains,
    "mirror": mirror_gains,
    "unseen rotations": unseen_rotations,
    "parts": gains_of_parts,
}


def accuracies(rows: Rows, model: str, train: str | None = None, column: str = "test_accuracy") -> list[float]:
    """Test accuracies of the longest training, one per seed, in percent. With `train`, of those on so many images."""
    found = [row for row in rows if row["model"] == model and train in (None, row["train"])]
    longest = max((float(row["epochs"]) for row in found), default=0)
    return [100 * float(row[column]) for row in found if float(row["epochs"]) == longest]


def mean_and_range(values: list[float]) -> str:
    """The mean, the smallest and the largest of the values, and their number."""
    if not values:
        return ""
    spread = f" ({min(values):.2f} to {max(values):.2f}, {len(values)} seeds)" if len(values) > 1 else " (1 seed)"
    return f"{statistics.mean(values):.2f} %{spread}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """The lines that have a number, below their head."""
    rules = ["---"] + ["--:"] * (len(head) - 1)
    kept = [line for line in lines if any(line[1:])]
    return f"| {' | '.join(head)} |\n|{'|'.join(rules)}|\n" + "".join(f"| {' | '.join(line)} |\n" for line in kept)


def _link(words: str, model: str, published: Collection[str]) -> str:
    return f"[{words}](../model_cards/{model}/README.md)" if model in published else words
