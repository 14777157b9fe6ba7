"""Find a symmetry that is in the data: learn a dictionary without groups, then search for what permutes its atoms."""

from .dictionary import Dictionary, learn_dictionary, load_dictionary
from .discover import discover
from .patches import patches
from .planting import plant
from .result import Discovery, FoundAction, Power

__all__ = [
    "Dictionary",
    "Discovery",
    "FoundAction",
    "Power",
    "discover",
    "learn_dictionary",
    "load_dictionary",
    "patches",
    "plant",
]
