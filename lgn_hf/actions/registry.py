"""The registry of scores: each diagnostic that gives an action a number is described here once, beside its function.

To add a diagnostic, write a function in `structures.py` or `cyclicity.py` and decorate it:

    @register_score(threshold=0.5, label="persymmetric")
    def persymmetry(matrices: Tensor) -> Tensor:
        ...

Nothing else has to change. `scores`, `diagnose`, the null, the labels, `Actions.table`, the cards,
the atlas and the data set of actions all read `SCORES`. Files that were written before, or by a
later version, still load: a score that a record lacks counts as nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

NEAREST = "nearest"  # stands among the names of scores for the nearest known operation

Record = dict[str, Any]  # one record of `actions.json`


@dataclass(frozen=True)
class Score:
    """One diagnostic: a function of a matrix, and all that the package says about its values.

    Attributes:
        name: its name in `actions.json`.
        function: maps finite matrices (..., d, d) to values (...) in [0, 1]. The value is 1 for
            matrices that have the structure exactly, 0 for the zero matrix, and does not depend on
            the scale of the matrix.
        threshold: the value above which it may name an action.
        label: the name that it gives to an action. A function of the record, which may return None,
            if that depends on more than the score. None if the score never names an action.
        precedence: of the scores that may name an action, the one with the lowest precedence does.
        special_case_of: the score of a more general structure, if there is one. The score names an
            action only if its value is above `labels.NESTED` times the value of the general score.
        null: the random matrices that its z-score compares with, a key of `chance.NULLS`.
        title: its name in a sentence, as a card writes it.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    threshold: float
    label: str | Callable[[Record], str | None] | None
    precedence: int
    special_case_of: str | None
    null: Literal["spectral", "gaussian"]
    title: str

    def __call__(self, matrices: Tensor) -> Tensor:
        """The values of the matrices. Shapes: (..., d, d) to (...)."""
        return self.function(matrices)


SCORES: dict[str, Score] = {}
"""Every registered score by its name, in the order of `actions.json`."""


def register_score(
    *,
    threshold: float = 0.5,
    label: str | Callable[[Record], str | None] | None = None,
    precedence: int = 100,
    special_case_of: str | None = None,
    null: Literal["spectral", "gaussian"] = "spectral",
    title: str | None = None,
) -> Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]:
    """Enter the decorated function in `SCORES` under its own name. The arguments are the fields of `Score`.

    The default title is the name with spaces in place of underscores.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        name = function.__name__
        if name in SCORES or name == NEAREST:
            raise ValueError(f"a score named {name!r} is registered already: scores need different names")
        words = title or name.replace("_", " ")
        SCORES[name] = Score(name, function, threshold, label, precedence, special_case_of, null, words)
        return function

    return register


def score_title(name: str) -> str:
    """The name of a score in a sentence; for a score that this version does not know, its name with spaces.

    Example:
        >>> score_title("block_toeplitz"), score_title("self_similarity")
        ('block Toeplitz', 'self similarity')
    """
    return SCORES[name].title if name in SCORES else name.replace("_", " ")
