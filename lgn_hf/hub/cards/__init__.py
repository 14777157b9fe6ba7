"""The model card: a page of tested sentences, tables and figures, made from the files of a published model alone.

`card` reads the files and fills in the template. `facts` computes what the card says, `sentences`, `tables` and
`comparison` say it, `figures` has every figure of a card, and `metadata` is for the Hub.
"""

from ...runs.results import PRECISIONS
from .card import BASELINE_NAME, CARD_NAME, RECIPE_NAME, TEMPLATE, render_card, write_card
from .escaping import Code, escaped
from .figures import DPI, FIGURES_NAME, draw_examples, draw_figures, draw_training

__all__ = [
    "BASELINE_NAME",
    "CARD_NAME",
    "DPI",
    "FIGURES_NAME",
    "PRECISIONS",
    "RECIPE_NAME",
    "TEMPLATE",
    "Code",
    "draw_examples",
    "draw_figures",
    "draw_training",
    "escaped",
    "render_card",
    "write_card",
]
