"""Figures of what a network learned: actions, orbits, effects, spectra, codes and filters; and of symmetries that were found.

One file per kind of figure. Each function returns a matplotlib `Figure` and leaves pyplot alone; `save_figure` writes
it as PNG. Every figure has a light card as its background, so that it reads the same on a white and on a dark page, and
is laid out in inches for a column 800 pixels wide.

Signed values have diverging colours: blue below zero, white at zero, red above, which colour-blind readers can tell
apart. Each image is scaled to its largest entry, because the powers of an action may fade or grow by orders of
magnitude.

Shapes: d = n*n. Matrices may have any leading dimensions; (..., d, d) is read in order as (N, d, d). Tensors may be on
any device and of any real type.
"""

from .atoms import atom_gallery, matched_atom_plot
from .codes import code_plot
from .effects import effect_plot
from .filters import filter_plot
from .found_actions import found_action_plot
from .fourier import dft_plot
from .gallery import action_gallery
from .images import image_plot
from .learning_curve import learning_curve
from .null_histogram import null_plot
from .orbits import orbit_plot
from .overview import AXES, STRUCTURES, action_figures, action_summary, median_of
from .page import arrow_at, axes_at, blank_figure, text_at
from .panels import add_legend, colour_image, heat_map, magnitudes
from .png import save_figure
from .singular_values import singular_value_plot
from .spectra import spectrum_plot
from .style import (
    CARD,
    INK,
    MARGIN,
    MARK,
    PALETTE,
    QUIET,
    RULE,
    SIGNED,
    TEXT,
    TITLE,
    WIDTH,
    hide_ticks,
    text_style,
    tick_style,
)
from .text import SUPERSCRIPTS, number_text, power_name
from .thumbnails import MOST_POWERS, matrix_thumbnail, orbit_thumbnail

__all__ = [
    "AXES",
    "CARD",
    "INK",
    "MARGIN",
    "MARK",
    "MOST_POWERS",
    "PALETTE",
    "QUIET",
    "RULE",
    "SIGNED",
    "STRUCTURES",
    "SUPERSCRIPTS",
    "TEXT",
    "TITLE",
    "WIDTH",
    "action_figures",
    "action_gallery",
    "action_summary",
    "add_legend",
    "arrow_at",
    "atom_gallery",
    "axes_at",
    "blank_figure",
    "code_plot",
    "colour_image",
    "dft_plot",
    "effect_plot",
    "filter_plot",
    "found_action_plot",
    "heat_map",
    "hide_ticks",
    "image_plot",
    "learning_curve",
    "magnitudes",
    "matched_atom_plot",
    "matrix_thumbnail",
    "median_of",
    "null_plot",
    "number_text",
    "orbit_plot",
    "orbit_thumbnail",
    "power_name",
    "save_figure",
    "singular_value_plot",
    "spectrum_plot",
    "text_at",
    "text_style",
    "tick_style",
]
