"""The card of an unfolded network, the first family."""

from .card import CARD

__all__ = ["CARD"]
