"""Numbers and names as a card writes them."""

from __future__ import annotations

from collections.abc import Sequence

from ...plotting import SUPERSCRIPTS

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def plural(count: float, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "epoch"), plural(2.5, "epoch"), plural(2000, "class")
        ('1 epoch', '2.5 epochs', '2,000 classes')
    """
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def listing(texts: Sequence[str]) -> str:
    """Texts in one sentence.

    Example:
        >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    return " and ".join(part for part in [", ".join(texts[:-1]), *texts[-1:]] if part)


def percent(share: float, digits: int = 2) -> str:
    """A share in percent, with a fixed number of digits.

    Example:
        >>> percent(0.75292)
        '75.29 %'
    """
    return f"{100 * share:.{digits}f} %"


def share_text(share: float) -> str:
    """A share in percent, with three digits at most.

    Example:
        >>> share_text(0.5), share_text(1 / 3)
        ('50 %', '33.3 %')
    """
    return f"{100 * share:.3g} %"


def duration(seconds: float) -> str:
    """A time.

    Example:
        >>> duration(3725.2), duration(0.3)
        ('1 h 2 min 5 s', 'less than a second')
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "min": minutes, "s": whole}
    return " ".join(f"{value} {unit}" for unit, value in parts.items() if value) or "less than a second"


def element_name(number: int) -> str:
    """The name of an element of a group.

    Example:
        >>> element_name(12)
        'g₁₂'
    """
    return "g" + str(number).translate(SUBSCRIPTS)


def square(side: int) -> str:
    """The shape of a square.

    Example:
        >>> square(6)
        '6 × 6'
    """
    return f"{side} × {side}"  # noqa: RUF001


def orbit(order: int) -> list[str]:
    """The filters of an orbit; of a long one, the first, the second and the last.

    Example:
        >>> orbit(3), orbit(6)
        (['W', 'AW', 'A²W'], ['W', 'AW', '…', 'A⁵W'])
    """
    names = ["W", "AW", *(f"A{str(i).translate(SUPERSCRIPTS)}W" for i in range(2, order))][:order]
    return names if order <= 4 else [*names[:2], "…", names[-1]]


def elements(order: int) -> list[str]:
    """The powers of A that make an orbit.

    Example:
        >>> elements(3)
        ['I', 'A', 'A²']
    """
    return ["I", *(name.removesuffix("W") for name in orbit(order)[1:])]


def some_actions(number: int, count: int) -> str:
    """The beginning of a sentence about a number of the actions of a model.

    Example:
        >>> some_actions(3, 5), some_actions(5, 5), some_actions(0, 5)
        ('3 of the 5 actions', 'All 5 actions', 'None of the 5 actions')
    """
    return f"All {count} actions" if number == count else f"{number or 'None'} of the {count} actions"


def has(count: int) -> str:
    """The verb that goes with so many actions."""
    return "has" if count <= 1 else "have"
