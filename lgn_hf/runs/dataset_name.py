"""What a data set is called: in recipes, in results and on cards, wherever it lay on the machine that was trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

# What may precede the name of a data set in a recipe, and how a card writes it.
DATASET_KINDS = {"rot-mnist": "rot-", "rotated": "rotated "}
# How a card writes the names of these data sets; others are written as they are.
DISPLAY_NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "scikit-learn's digits"}
# `data/mnist` looks like USER/NAME but is a folder.
NO_USERS = ("data", "datasets")


@dataclass(frozen=True)
class DataName:
    """The name of a data set, without where it lay on the machine that was trained on.

    Attributes:
        kind: `rot-mnist:`, `rotated:` or nothing.
        name: its id on the Hub, `digits`, or the last part of the path of a local folder.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return self.kind + self.name

    @property
    def id(self) -> str | None:
        """Its id on the Hub; None for other data."""
        return self.name if "/" in self.name else None

    @property
    def last(self) -> str:
        """The name without the user."""
        return self.name.rpartition("/")[2]

    @property
    def display_name(self) -> str:
        """The name as a card writes it.

        Example:
            >>> data_name("rotated:ylecun/mnist").display_name
            'rotated MNIST'
        """
        return DATASET_KINDS.get(self.kind.rstrip(":"), "") + DISPLAY_NAMES.get(self.last, self.last)


def data_name(recorded: str) -> DataName:
    """The name of a data set that a run recorded as it was given.

    The text alone decides, so the name is the same wherever it is read. USER/NAME is an id on the Hub, unless USER is
    one of `NO_USERS`; everything else is a path.

    Example:
        >>> [str(data_name(given)) for given in ("rotated:ylecun/mnist", "../shared/mnist", "data/mnist")]
        ['rotated:ylecun/mnist', 'mnist', 'mnist']
    """
    kind, place = kind_and_place(recorded)
    user, slash, _ = place.partition("/")
    if slash and user not in NO_USERS and place.isascii() and is_repo_id(place):
        return DataName(kind, place)
    parts = [part for part in re.split(r"[/\\]", place) if part not in ("", ".", "..", "~")]
    return DataName(kind, parts[-1] if parts else "data")


def kind_and_place(dataset: str) -> tuple[str, str]:
    """Split a data set of a recipe into its kind (`rot-mnist:`, `rotated:` or nothing) and the rest."""
    kind = next((f"{kind}:" for kind in DATASET_KINDS if dataset.startswith(f"{kind}:")), "")
    return kind, dataset.removeprefix(kind)


def is_repo_id(name: str) -> bool:
    """Whether a repository of the Hub can have this name: USER/NAME, or NAME."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def check_repo_id(repo_id: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        ValueError: it is neither USER/NAME nor NAME.
    """
    if not is_repo_id(repo_id):
        raise ValueError(f"repo_id={repo_id!r}: must be USER/NAME, of letters, digits, '-', '_' and '.'")
