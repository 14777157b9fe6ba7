"""The model card: a page of tested sentences, tables and figures, made from the files of a published model alone.

`card` reads the files and fills in the template. `facts` computes what the card says, `sentences`, `tables`, `limitations`
and `comparison` say it, `figures` has the figures, and `metadata` is for the Hub. These are what the cards of all families
share. What one family has of its own is in `unfolded/` and `convnet/`, files of the same names, and `families` says how a
family registers it.
"""

from ...runs.results import PRECISIONS
from .card import BASELINE_NAME, CARD_NAME, RECIPE_NAME, TEMPLATE, render_card, write_card
from .convnet.equivariance import EQUIVARIANCE_NAME
from .escaping import Code, escaped
from .families import measure
from .figure import DPI, FIGURES_NAME
from .figures import draw_examples, draw_figures, draw_training

__all__ = [
    "BASELINE_NAME",
    "CARD_NAME",
    "DPI",
    "EQUIVARIANCE_NAME",
    "FIGURES_NAME",
    "PRECISIONS",
    "RECIPE_NAME",
    "TEMPLATE",
    "Code",
    "draw_examples",
    "draw_figures",
    "draw_training",
    "escaped",
    "measure",
    "render_card",
    "write_card",
]
