"""Find a symmetry that is in the data: learn a dictionary without groups, then search for what permutes its atoms."""

from .dictionary import Dictionary, learn_dictionary, load_dictionary
from .patches import patches

__all__ = [
    "Dictionary",
    "learn_dictionary",
    "load_dictionary",
    "patches",
]
