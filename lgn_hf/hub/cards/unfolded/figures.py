"""The figures of the card of an unfolded network."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from ....plotting import action_gallery, code_plot, effect_plot, filter_plot, image_plot, spectrum_plot
from ..answers import Answers
from ..escaping import Markdown, joined, markdown
from ..figure import ACTIONS, EXAMPLES, FILTERS, CardFigure
from ..words import SUBSCRIPTS, percent, square
from .facts import ActionFacts, UnfoldedFacts
from .subject import ActionSubject


def _draw_reconstructions(answers: Answers) -> Figure | None:
    if answers.is_classification:
        return None
    return image_plot(answers.reconstruction_rows(), [percent(share) for share in answers.missed_energy()])


def _reconstructions_caption(facts: UnfoldedFacts) -> Markdown:
    if facts.results.whitening == "none":
        return Markdown(
            "The images in `examples/` and their reconstructions. Below each: the share of its energy that is missed."
        )
    return Markdown(
        "The images in `examples/`, the same images whitened, as the model sees them, their reconstructions, and the "
        "reconstructions turned back into images. Below each: the share of its energy that is missed."
    )


def _draw_codes(answers: Answers) -> Figure:
    order = answers.model.config.group_order
    codes = [code[0] for code in answers.outputs["hidden_states"]]
    return code_plot(answers.pixels[0], codes, order if order > 1 else None)


def _codes_caption(facts: UnfoldedFacts) -> Markdown:
    layers = facts.config.num_layers
    codes = "code z₁" if layers == 1 else f"codes z₁ to z{str(layers).translate(SUBSCRIPTS)}"
    tiles = markdown("The {} of the first image. Each tile shows where one filter is active.", codes)
    return joined(
        " ", [tiles, "Each row is one group; its columns are the powers of the action." if facts.actions else ""]
    )


def _draw_gallery(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return action_gallery(subject.rotations, subject.angles, size=subject.actions.size)
    return subject.of_learned_actions.get("gallery")


def _gallery_alt(facts: UnfoldedFacts) -> str:
    actions, config = _actions(facts), facts.config
    dim, size = square(config.filter_dim), square(config.filter_size)
    colours = "Blue is negative, white zero, red positive."
    if facts.is_fixed:
        return f"Heat maps of the {config.group_order} powers of the action, {dim} matrices ruled into {size} blocks. {colours}"
    if actions.count == 1:
        return f"Heat map of the action, a {dim} matrix ruled into {size} blocks, with its label below. {colours}"
    return (
        f"Heat maps of {_portrayed(actions)}, {dim} matrices ruled into {size} blocks, layer by layer, each with its "
        f"label below. {colours}"
    )


def _gallery_caption(facts: UnfoldedFacts) -> Markdown:
    actions, dim = _actions(facts), square(facts.config.filter_dim)
    block = f"Each {square(facts.config.filter_size)} block maps one column of the filter to another."
    if facts.is_fixed:
        return markdown("The elements of the group as {} matrices. {}", dim, block)
    if actions.count == 1:
        return markdown("The action as a {} matrix. {}", dim, block)
    what = _portrayed(actions)
    return markdown(
        "{}{} as {} matrices. {} Layers, groups and channels count from 0.", what[0].upper(), what[1:], dim, block
    )


def _orbits_alt(facts: UnfoldedFacts) -> str:
    which = "Basis filters" if _actions(facts).are_few else "Four basis filters"
    return f"{which} and what the powers of their action make of them, each with its norm and its cosine with the basis filter."


def _orbits_caption(facts: UnfoldedFacts) -> Markdown:
    if facts.is_shared_by_groups:
        which = "The orbits of the basis filters of the first group."
    elif _actions(facts).are_few:
        which = "The orbits of the basis filters of each action."
    else:
        which = (
            "The orbits of four basis filters. Compared with chance, their actions are the most skew-symmetric, Toeplitz, "
            "multi-scale and block-concentrated ones."
        )
    return markdown("{} The network uses the first {} filters of each orbit.", which, facts.config.group_order)


def _draw_effects(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return effect_plot(subject.rotations, titles=subject.angles)
    return subject.of_learned_actions.get("effects")


def _effects_alt(facts: UnfoldedFacts) -> str:
    which = "each power of the action makes" if facts.is_fixed else "each action makes"
    if not (facts.is_fixed or _actions(facts).are_few):
        which = "the most structured actions make"
    return f"The {square(facts.config.filter_size)} identity matrix as a patch, and what {which} of it."


def _effects_caption(facts: UnfoldedFacts) -> Markdown:
    which = "the same actions"
    if facts.is_fixed:
        which = "the elements of the group"
    elif _actions(facts).are_few:
        which = "the action" if _actions(facts).count == 1 else "each action"
    return markdown("The identity matrix as a patch, under {}.", which)


def _draw_spectra(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return spectrum_plot(subject.rotations[1], subject.actions.order, subject.angles[1:2])
    return subject.of_learned_actions.get("spectra")


def _spectra_alt(facts: UnfoldedFacts) -> str:
    actions = _actions(facts)
    which = "the action" if facts.is_fixed or actions.count == 1 else _portrayed(actions)
    return f"Eigenvalues of {which} on the complex plane, with the unit circle and the {facts.config.group_order} roots of unity."


def _spectra_caption(facts: UnfoldedFacts) -> Markdown:
    return markdown(
        "The eigenvalues of A. Those of a generator of a cyclic group of order {} lie on the circled roots of unity.",
        facts.config.group_order,
    )


def _filters(layer: int) -> CardFigure:
    """The filters of one layer."""

    def draw(subject: ActionSubject) -> Figure | None:
        if layer not in subject.filter_banks:
            return None
        is_rotation = subject.actions.rotation_angle is not None
        return filter_plot(subject.filter_banks[layer], subject.angles if is_rotation else None)

    def alt(facts: UnfoldedFacts) -> str:
        if facts.actions is None:
            return f"The {facts.config.num_groups} free filters of layer {layer}, each a small image."
        return f"The filters of layer {layer}. Each column is one group: its basis filter on top, its images below."

    def caption(facts: UnfoldedFacts) -> Markdown:
        return markdown("The filters of layer {}{}.", layer, "; each column is one group" if facts.actions else "")

    return CardFigure(f"filters-{layer}", FILTERS, draw, alt, caption)


def _actions(facts: UnfoldedFacts) -> ActionFacts:
    if facts.actions is None:
        raise ValueError("a network without groups has no figures of actions")
    return facts.actions


def _portrayed(actions: ActionFacts) -> str:
    """The actions that the gallery shows."""
    if actions.portrayed == actions.count:
        return f"all {actions.count} actions"
    return f"the {actions.portrayed} most structured of {actions.count} actions"


FIGURES = (
    CardFigure(
        "reconstructions",
        EXAMPLES,
        _draw_reconstructions,
        lambda facts: (
            "Small images above and what the model reconstructs below, with the share of energy that is missed."
        ),
        _reconstructions_caption,
    ),
    CardFigure(
        "codes",
        EXAMPLES,
        _draw_codes,
        lambda facts: (
            "The first of these images and its codes after every layer: each tile shows where a filter is active, white is zero."
        ),
        _codes_caption,
    ),
    CardFigure("gallery", ACTIONS, _draw_gallery, _gallery_alt, _gallery_caption),
    CardFigure(
        "orbits", ACTIONS, lambda subject: subject.of_learned_actions.get("orbits"), _orbits_alt, _orbits_caption
    ),
    CardFigure("effects", ACTIONS, _draw_effects, _effects_alt, _effects_caption),
    CardFigure("spectra", ACTIONS, _draw_spectra, _spectra_alt, _spectra_caption),
)


def figures(layers: Sequence[int]) -> tuple[CardFigure, ...]:
    """The figures of a network with these layers."""
    return (*FIGURES, *map(_filters, layers))
