"""Numbers and powers as text."""

from __future__ import annotations

import numpy as np
from torch import Tensor

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_name(power: int) -> str:
    """An image of the basis filter W, in matplotlib's mathematics.

    Example:
        >>> [power_name(i) for i in range(3)]
        ['$W$', '$AW$', '$A^{2}W$']
    """
    return "$W$" if power == 0 else "$AW$" if power == 1 else f"$A^{{{power}}}W$"


def number_text(value: Tensor | float, signed: bool = False) -> str:
    """A number in few characters: two digits, or with its sign and two decimals.

    Example:
        >>> number_text(0.25), number_text(1234), number_text(0.5, signed=True)
        ('0.25', '1234', '+0.50')
    """
    value = float(value)
    if signed:
        return f"{value:+.2f}".replace("-", MINUS)
    if value == 0:
        return "0"
    if value < 1e-2 or value >= 1e4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}{TIMES}10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def span_text(values: np.ndarray) -> str:
    """The smallest and the largest of some numbers, once if they read the same."""
    low, high = number_text(values.min()), number_text(values.max())
    return low if low == high else f"{low} to {high}"
