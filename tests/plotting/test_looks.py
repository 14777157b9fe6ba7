"""Every figure on a page: nothing overlaps, and all text is large and dark enough. Looks are checked by looking."""

import pytest
from matplotlib.colors import to_rgb

import lgn_hf.plotting as plots
from tests.support.figures import DIM, SIZE, images, names, random, written

FIGURES = {
    "gallery": lambda: plots.action_gallery(random(7, DIM, DIM), ["layer 1, group 1, channel 1"] * 7, ["a label"] * 7),
    "one action": lambda: plots.action_gallery(random(DIM, DIM), ["A"]),
    "orbit": lambda: plots.orbit_plot(random(2, SIZE, SIZE), random(DIM, DIM), 6, titles=names(2)),
    "short orbit": lambda: plots.orbit_plot(random(SIZE, SIZE), random(DIM, DIM), 1),
    "effect": lambda: plots.effect_plot(random(4, DIM, DIM)),
    "spectrum": lambda: plots.spectrum_plot(random(6, DIM, DIM), 4, names(6)),
    "one spectrum": lambda: plots.spectrum_plot(100 * random(DIM, DIM), 4, remove_scale=False),
    "singular values": lambda: plots.singular_value_plot(
        random(7, DIM, DIM), [f"layer {i} of the net" for i in range(7)]
    ),
    "transform": lambda: plots.dft_plot(random(1, DIM, DIM), names(1)),
    "codes": lambda: plots.code_plot(random(8, 8), [random(8, 5, 5).relu()] * 4, 4),
    "filters": lambda: plots.filter_plot(random(10, 2, 1, SIZE, SIZE)),
    "found actions": lambda: plots.found_action_plot(
        random(3, DIM, DIM),
        [random(DIM, DIM)] * 2 + [None],
        ["1: order 2"] * 3,
        ["rotation by 180 degrees, +0.98"] * 3,
    ),
    "atoms": lambda: plots.atom_gallery(random(45, DIM), "45 atoms, the most used first"),
    "matched atoms": lambda: plots.matched_atom_plot(
        random(20, DIM), random(DIM, DIM), range(20), range(10), "under action 1"
    ),
    "one matched atom": lambda: plots.matched_atom_plot(random(20, 3 * DIM), random(3 * DIM, 3 * DIM), range(20), [0]),
    "null": lambda: plots.null_plot(
        {p: random(20).tolist() for p in (2, 3, 4, 5)}, {2: [-3.0, -2.5]}, {2: -3.0, 3: -1.0}
    ),
    "few filters": lambda: plots.filter_plot(random(1, 1, 3, SIZE, SIZE)),
}


@pytest.fixture(scope="module", params=FIGURES)
def figure(request):
    figure = FIGURES[request.param]()
    figure.canvas.draw()
    return figure


def test_all_text_is_on_the_card_and_none_overlaps(figure):
    boxes = [(text.get_text(), text.get_window_extent()) for text in written(figure)]
    for i, (text, box) in enumerate(boxes):
        assert box.x0 >= 0 <= box.y0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
        for other, taken in boxes[:i]:
            across = min(box.x1, taken.x1) - max(box.x0, taken.x0)
            along = min(box.y1, taken.y1) - max(box.y0, taken.y0)
            assert min(across, along) < 1, (text, other)


def test_no_text_runs_over_a_picture(figure):
    for text in figure.texts:
        box = text.get_window_extent()
        for image in images(figure):
            panel = image.axes.get_window_extent()
            across = min(box.x1, panel.x1) - max(box.x0, panel.x0)
            along = min(box.y1, panel.y1) - max(box.y0, panel.y0)
            assert min(across, along) < 1, text


def test_figures_fit_a_page_of_800_pixels_with_text_large_enough(figure):
    assert figure.get_figwidth() <= plots.WIDTH + 1e-9
    scale = 800 / plots.WIDTH / 72
    assert min(text.get_fontsize() for text in written(figure)) * scale > 11


def contrast(first, second):
    """The contrast ratio of two colours (WCAG 2)."""

    def luminance(colour):
        channels = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))

    high, low = sorted([luminance(first), luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_figures_bring_their_own_card_on_which_all_text_has_contrast(figure):
    card = figure.get_facecolor()
    assert card[3] == 1  # opaque: the page behind does not matter
    assert min(contrast(text.get_color(), card) for text in written(figure)) > 4.5
