"""The card of a residual network over a linear group, the second family."""

from .card import CARD

__all__ = ["CARD"]
