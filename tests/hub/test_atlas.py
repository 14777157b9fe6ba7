"""The atlas: the files that are written, and the page as a visitor in Chromium uses it."""

import itertools
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from huggingface_hub import SpaceCard
from torch import Tensor

from lgn_hf import Actions
from lgn_hf.actions import known_operations
from lgn_hf.hub import atlas
from lgn_hf.hub.atlas import build_atlas
from lgn_hf.hub.atlas_document import atlas_document, atlas_title, model_facts
from lgn_hf.model.filters import rotation_matrix
from lgn_hf.runs.trained_model import TrainedModel

pytestmark = pytest.mark.slow  # a real browser


def source(
    name: str,
    layers: int = 1,
    groups: int = 2,
    channels: int = 1,
    size: int = 3,
    order: int = 3,
    dataset: str | None = None,
    basis: bool = True,
    shared: bool = False,
    rotation: float | None = None,
    **results,
) -> TrainedModel:
    """A model with actions drawn at random, or with fixed rotations."""
    generator = torch.Generator().manual_seed(len(name))
    matrices = torch.randn(layers, groups, 1 if shared else channels, size**2, size**2, generator=generator) / size
    config = {"action": "learned"}
    if rotation is not None:
        matrices = rotation_matrix(size, rotation).expand_as(matrices)
        config = {"action": "rotation", "rotation_angle": rotation}
    filters = torch.randn(layers, groups, channels, size, size, generator=generator) if basis else None
    actions = Actions(matrices, order, basis=filters, name=name, config=config)
    if dataset:
        results["recipe"] = {"dataset": dataset, "task": "classification"}
    return TrainedModel(name, actions, results, Path(name))


def planted() -> TrainedModel:
    """Two actions that have a name, a quarter turn and a half turn, among six that have none."""
    found = source("planted", layers=2, groups=3, size=4, dataset="me/squares", test_accuracy=0.9876)
    known = {str(op.parameters): op.matrix for op in known_operations(4) if op.name == "rotation"}
    found.actions.matrices[0, 1, 0] = known["{'degrees': 90}"]
    found.actions.matrices[1, 2, 0] = known["{'degrees': 180}"]
    return found


SOURCES = [
    planted(),
    source("colour", channels=3, order=4, dataset="../shared/data/cifar10"),
    source("turning", layers=2, groups=1, size=4, order=6, rotation=60.0, dataset="rot-mnist:../data/mnist"),
    source("user/sharing", channels=2, size=2, order=2, shared=True),
    source("bare", size=2, order=1, basis=False),
]
BY_NAME = {source.name: source.actions for source in SOURCES}


def basis(name: str) -> Tensor:
    """The basis filters of one of the models."""
    filters = BY_NAME[name].basis
    assert filters is not None
    return filters


# The files


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return build_atlas(SOURCES, tmp_path_factory.mktemp("atlas") / "new" / "space")


def test_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one model"):
        build_atlas([], tmp_path)


def test_a_page_that_no_browser_opens_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(atlas, "MAX_MEGABYTES", 0.01)
    with pytest.raises(ValueError, match=r"1 model would have .* at most 0.01 MB"):
        build_atlas(SOURCES[:1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_models_make_the_same_bytes_and_nothing_else_is_left(folder, tmp_path):
    build_atlas(SOURCES, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "index.html"]
    for name in ("README.md", "index.html"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_models_of_one_name_are_numbered(tmp_path):
    text = (build_atlas([SOURCES[1]] * 3, tmp_path) / "README.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("- `")] == [
        "- `colour`",
        "- `colour (2)`",
        "- `colour (3)`",
    ]


def test_the_title_names_one_model_and_counts_several():
    assert atlas_title(SOURCES[:1]) == "Learned actions of planted"
    assert atlas_title(SOURCES) == "Atlas of learned actions: 5 models"


def test_the_card_is_that_of_a_static_space_and_links_the_models_that_are_repositories(folder):
    card = SpaceCard.load(folder / "README.md").data.to_dict()
    assert (card["sdk"], card["app_file"], card["license"]) == ("static", "index.html", "apache-2.0")
    assert card["title"] == "Atlas of learned actions: 5 models"
    assert card["models"] == ["user/sharing"]
    assert {"emoji", "colorFrom", "colorTo", "tags"} <= card.keys()
    assert len(card["short_description"]) <= 60  # the Hub's limit


def test_the_page_is_small_and_loads_nothing(folder):
    assert len(atlas.PAGE_TEMPLATE.read_bytes()) < 2**20 / 8
    page = (folder / "index.html").read_text()
    for attribute in re.findall(r"""\s(?:src|href)=["']?([^"'\s>]+)""", page):
        assert attribute.startswith("data:")
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML|outerHTML|document\.write|\beval\(", page)


def test_where_the_data_lay_on_the_trainers_machine_is_not_told(folder):
    page = (folder / "index.html").read_text()
    assert "shared/data" not in page
    assert "../data" not in page
    for name in ("me/squares", '"cifar10"', "rot-mnist:mnist"):
        assert name in page


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [("data/mnist", "mnist"), ("rotated:~/mnist/", "rotated:mnist"), ("user/mnist", "user/mnist"), (None, None)],
)
def test_data_have_the_name_that_they_have_everywhere(recorded, shown):
    facts = dict(model_facts(source("model", dataset=recorded)))
    assert facts.get("Data set") == shown


def test_matrices_that_are_the_same_are_stored_once(folder):
    document = atlas_document(SOURCES)
    sizes = {model["name"]: len(model["matrices"]) for model in document["models"]}
    assert sizes["turning"] == pytest.approx(4 / 3 * 4 * 4**4, rel=0.01)  # base64 of one float32 matrix for two layers
    assert sizes["planted"] == pytest.approx(6 * sizes["turning"], rel=0.01)


def other_scores() -> TrainedModel:
    """A model whose files lack a score, and have one that this version does not know."""
    found = source("other", groups=2)
    for record in found.actions.diagnose():
        del record["scores"]["toeplitz"]
    found.actions.diagnose()[1]["scores"]["newer_score"] = {"value": 0.25, "z": 7.5}
    return found


def test_an_action_without_a_score_has_none_in_its_place():
    document = atlas_document([SOURCES[1], other_scores()])
    toeplitz, newer = (document["scores"].index(name) for name in ("toeplitz", "newer_score"))
    complete, other = (model["actions"] for model in document["models"])
    assert all(action["scores"][toeplitz] is not None and action["scores"][newer] is None for action in complete)
    assert [action["scores"][toeplitz] for action in other] == [None, None]
    assert [action["scores"][newer] for action in other] == [None, [0.25, 7.5]]


# The page in a browser


class Visitor:
    """Someone in front of the page."""

    def __init__(self, page, path: Path):
        self.page, self.path = page, path

    def visit(self, selection: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{self.path.as_uri()}{selection}")

    def card(self, part: str, side: str = "a"):
        return self.page.locator(f"[data-part={part}] > [data-side={side}]")

    def choose(self, field: str, text: str, side: str = "a") -> None:
        self.card("choose", side).locator(f"[data-field={field}]").select_option(label=text)

    def readout(self, part: str) -> str:
        return self.card(part).locator("output").first.inner_text()

    def power(self, number: int) -> None:
        self.page.get_by_label("Power of A").fill(str(number))

    def values(self, side: str = "a") -> Tensor:
        """The values of the shown power, as the page's table of values has them."""
        details = self.card("act", side).locator("details")
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        details.locator("tbody td").first.wait_for()
        rows = details.locator("tbody tr").all()
        return torch.tensor([[float(x) for x in row.locator("td").all_inner_texts()] for row in rows]).double()

    def orbit(self, count: int, side: str = "a") -> Tensor:
        images = []
        for power in range(count):
            self.power(power)
            images.append(self.values(side))
        return torch.stack(images)

    def column(self, title: str) -> list[str]:
        titles = self.page.locator(".all thead th").all_inner_texts()
        at = [title.strip() for title in titles].index(title)
        return self.page.locator(f".all tbody tr td:nth-child({at + 3})").all_inner_texts()

    def places(self) -> list[str]:
        return self.page.locator(".all tbody .go").all_inner_texts()

    def tab_to(self, locator) -> None:
        """Press Tab until the element has the focus."""
        for _ in range(250):
            if locator.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {locator}")

    def settled_address(self) -> str:
        self.page.wait_for_timeout(400)
        return self.page.evaluate("decodeURIComponent(location.hash)")


@pytest.fixture
def open_page(browser):
    """Opens a page; in the end nothing may have been loaded, nor an error logged."""
    contexts, wrong = [], []

    def open_page(folder: Path, selection: str = "", **options) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        visitor = Visitor(page, folder / "index.html")
        visitor.visit(selection)
        return visitor

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def visitor(open_page, folder) -> Visitor:
    return open_page(folder)


def assert_equal(shown: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(shown, expected.double(), rtol=2e-6, atol=2e-6 * expected.abs().max().item())


def number(text: str) -> float:
    """A number as the page writes it."""
    text = text.replace("\N{MINUS SIGN}", "-").replace("∞", "inf").replace("\N{MULTIPLICATION SIGN}10", "e")
    return float(text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))


# Choosing


def test_the_first_model_is_shown_with_the_action_that_is_furthest_from_chance(visitor):
    assert visitor.page.title() == "Atlas of learned actions: 5 models"
    assert visitor.card("matrix").locator(".label").inner_text() == "rotation by 90 degrees"
    assert "98.76 %" in visitor.card("choose").inner_text()


def test_a_model_layer_group_and_channel_are_chosen(visitor):
    visitor.choose("model", "colour")
    visitor.choose("group", "1")
    visitor.choose("channel", "2")
    assert visitor.card("matrix").locator(".summary").inner_text() == "colour, layer 0, group 1, channel 2"
    assert "a=0.1.2@colour" in visitor.settled_address()
    visitor.choose("model", "planted")  # which has other layers, groups and channels
    assert visitor.card("choose").locator("[data-field=layer] option").all_inner_texts() == ["0", "1"]
    assert visitor.card("choose").locator("[data-field=channel]").is_disabled()


def test_an_action_is_chosen_on_the_map(visitor):
    visitor.card("choose").get_by_role("radio", name="layer 0, group 1: rotation by 90 degrees").click()
    assert visitor.card("matrix").locator(".label").inner_text() == "rotation by 90 degrees"
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.keyboard.press("ArrowLeft")
    assert visitor.card("matrix").locator(".summary").inner_text() == "planted, layer 1, group 0"
    focused = visitor.page.evaluate("document.activeElement.ariaLabel")
    assert focused == "layer 1, group 0: unstructured"


def test_the_diagnostics_are_those_of_the_action(visitor):
    visitor.visit("#a=1.2.0@planted")
    record = BY_NAME["planted"].diagnose()[5]
    card = visitor.card("matrix")
    for name, score in record["scores"].items():
        row = card.get_by_role("row", name=name.replace("_", " "), exact=False).filter(
            has=visitor.page.get_by_role("rowheader", name=name.replace("_", " "), exact=True)
        )
        value, z = (number(text) for text in row.locator("td:not(.bar)").all_inner_texts())
        assert value == pytest.approx(score["value"], abs=0.006)
        assert z == pytest.approx(score["z"], rel=0.05, abs=0.06)
    nearest = card.locator(".near tbody tr").all_inner_texts()
    assert nearest[0].split("\t")[:2] == ["rotation by 180 degrees", "+1.00"]
    assert len(nearest) == len(record["nearest"])


def test_scores_that_only_some_actions_have_are_shown_where_they_are(open_page, tmp_path):
    visitor = open_page(build_atlas([SOURCES[1], other_scores()], tmp_path), "#a=0.1.0@other")

    def rows() -> list[str]:
        return visitor.card("matrix").locator("table.scores:not(.near) tbody th").all_inner_texts()

    assert "newer score" in rows()
    assert "toeplitz" not in rows()
    visitor.choose("model", "colour")
    assert "toeplitz" in rows()
    assert "newer score" not in rows()
    shown = dict(zip(visitor.places(), visitor.column("newer score"), strict=True))
    assert sorted(text for text in shown.values() if any(c.isdigit() for c in text)) == ["7.5"]


# The matrix


def test_a_cell_of_the_heat_map_is_read_with_the_pointer_and_with_the_arrow_keys(visitor):
    visitor.visit("#a=0.0.0@planted")
    matrix = BY_NAME["planted"][0, 0, 0].matrix
    canvas = visitor.card("matrix").locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    visitor.page.mouse.move(box["x"] + 5.5 / 16 * box["width"], box["y"] + 9.5 / 16 * box["height"])
    text = visitor.readout("matrix")
    assert text.endswith("what pixel (1, 1) adds to pixel (1, 2)")  # columns of 4: 5 and 9 are the second ones of two
    assert number(text.split("= ")[1].split(":")[0]) == pytest.approx(matrix[9, 5].item(), abs=1e-4)
    visitor.page.mouse.move(0, 0)

    canvas.focus()
    for key in ["Home", "PageUp", "PageUp", "PageUp", "ArrowDown", "ArrowRight", "ArrowRight"]:
        visitor.page.keyboard.press(key)
    text = visitor.readout("matrix")
    assert text.startswith("A[1, 2] = ")  # three blocks up from row 9 the matrix has ended: row 0, and down
    assert number(text.split("= ")[1].split(":")[0]) == pytest.approx(matrix[1, 2].item(), abs=1e-4)
    assert visitor.page.locator("#live").inner_text() == text


@pytest.mark.parametrize("scale", [1, 3])
def test_the_heat_map_is_red_above_zero_and_blue_below_and_sharp_on_every_screen(open_page, folder, scale):
    visitor = open_page(folder, "#a=0.0.0@planted", device_scale_factor=scale)
    canvas = visitor.card("matrix").locator("canvas")
    width, shown = canvas.evaluate("canvas => [canvas.width, canvas.clientWidth]")
    assert width == pytest.approx(scale * shown, abs=1)
    # Every pixel is one of the cells' colours or a rule: none is a mixture.
    colours = canvas.evaluate("""canvas => {
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, side = 16;
        const at = (x, y) => Array.from(data.slice(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3));
        return Array.from({length: side * side}, (_, i) => {
            const cell = canvas.width / side, x = (i % side) * cell, y = Math.floor(i / side) * cell;
            return [at(Math.floor(x + .5 * cell), Math.floor(y + .5 * cell)), at(Math.ceil(x) + 2, Math.ceil(y) + 2),
                at(Math.floor(x + cell) - 2, Math.floor(y + cell) - 2)];
        });
    }""")
    matrix = BY_NAME["planted"][0, 0, 0].matrix.flatten()
    for value, (middle, first, last) in zip(matrix.tolist(), colours, strict=True):
        assert middle == first == last
        red, _, blue = middle
        assert abs(value) < 0.02 or (red > blue) == (value > 0)


# Acting
@pytest.mark.parametrize("name", ["planted", "colour", "turning", "user/sharing"])
def test_the_orbit_that_is_shown_is_the_orbit(visitor, name):
    actions = BY_NAME[name]
    layer, group = actions.matrices.shape[0] - 1, actions.matrices.shape[1] - 1
    channel = basis(name).shape[2] - 1
    visitor.visit(f"#a={layer}.{group}.{channel}@{name}")
    powers = range(max(2 * actions.order, 4))
    expected = actions[layer, group, min(channel, actions.matrices.shape[2] - 1)].orbit(
        basis(name)[layer, group, channel], powers
    )
    assert_equal(visitor.orbit(len(powers)), expected)


def test_a_model_without_basis_filters_acts_on_the_identity_matrix(visitor):
    visitor.visit("#a=0.1.0@bare")
    assert_equal(visitor.orbit(4), BY_NAME["bare"][0, 1, 0].orbit(torch.eye(2), range(4)))
    assert "came without its basis filters" in visitor.card("act").inner_text()


def test_a_painted_patch_goes_through_the_powers(visitor):
    visitor.visit("#a=0.2.0@planted")
    page = visitor.page
    page.get_by_role("button", name="Clear").click()
    canvas = page.locator("#painter canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    cell = box["width"] / 4
    page.mouse.move(box["x"] + 0.5 * cell, box["y"] + 1.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 2.5 * cell, box["y"] + 1.5 * cell, steps=12)  # along row 1, with the brush +1
    page.mouse.move(box["x"] + 2.5 * cell, box["y"] - 3 * cell, steps=12)  # up, and out
    page.mouse.up()
    canvas.press("1")  # the brush −1
    for key in ["Home", "ArrowDown", "ArrowDown", "ArrowDown", " "]:
        page.keyboard.press(key)

    patch = torch.zeros(4, 4)
    patch[1, :3] = patch[0, 2] = 1
    patch[3, 0] = -1
    assert page.get_by_role("combobox", name="Filter", exact=True).input_value() == "painted"
    assert_equal(visitor.orbit(6), BY_NAME["planted"][0, 2, 0].orbit(patch, range(6)))
    visitor.visit(visitor.settled_address())
    assert_equal(visitor.values(), BY_NAME["planted"][0, 2, 0].apply(patch, 5))


def test_painting_goes_on_from_the_filter_that_is_shown(visitor):
    visitor.page.get_by_role("combobox", name="Filter", exact=True).select_option(label="vertical edge")
    canvas = visitor.page.locator("#painter canvas")
    canvas.press("3")
    canvas.press("Enter")  # zero in the corner
    visitor.power(0)
    assert_equal(visitor.values()[:2], torch.tensor([[0, -1, 1, 1], [-1, -1, 1, 1]]))


def test_the_end_of_the_group_is_marked_and_the_powers_go_on(visitor):
    visitor.visit("#a=0.0.0@turning")
    orbit = visitor.card("act").locator(".orbit > li")
    assert orbit.count() == 12
    assert [i for i in range(12) if "end" in (orbit.nth(i).get_attribute("class") or "")] == [6]
    assert [i for i in range(12) if "past" in (orbit.nth(i).get_attribute("class") or "")] == [6, 7, 8, 9, 10, 11]
    orbit.nth(5).get_by_role("button").click()
    assert visitor.page.locator("#where").inner_text().endswith("300°: element 5 of the group, which has 6")
    visitor.page.get_by_role("button", name="One power further").click()
    assert "end, p = 6. Were the group cyclic" in visitor.page.locator("#where").inner_text()
    assert visitor.card("act").locator("figcaption").inner_text() == "A⁶W: norm {}, cosine with W +1.00".format(
        f"{basis('turning')[0, 0, 0].norm():.3f}"
    )
    for _ in range(6):
        visitor.page.get_by_role("button", name="One power further").click()
    assert orbit.nth(0).get_by_role("button").get_attribute("aria-current") == "step"  # and around


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_powers_play_and_pause_and_never_by_themselves(open_page, folder, motion):
    visitor = open_page(folder, "#a=0.0.0@planted&power=0", reduced_motion=motion)
    power = visitor.page.get_by_label("Power of A")
    visitor.page.wait_for_timeout(1200)
    assert power.input_value() == "0"
    visitor.page.get_by_role("button", name="Play the powers").click()
    visitor.page.wait_for_function("document.getElementById('power').value === '1'")
    # In between, the image fades; for those who do not like motion it is at once what it will be.
    halfway = visitor.card("act").locator("figure canvas").evaluate("canvas => canvas.toDataURL()")
    visitor.page.wait_for_timeout(450)
    after = visitor.card("act").locator("figure canvas").evaluate("canvas => canvas.toDataURL()")
    if motion == "reduce":
        assert halfway == after
    visitor.page.get_by_role("button", name="Pause the powers").click()
    now = power.input_value()
    visitor.page.wait_for_timeout(1200)
    assert power.input_value() == now


def test_one_colour_scale_shows_how_the_powers_fade(visitor):
    low = visitor.card("act").locator(".low")
    visitor.visit("#a=0.0.0@planted")
    visitor.power(5)
    alone = low.inner_text()
    visitor.page.get_by_label("one colour scale for all powers").check()
    largest = BY_NAME["planted"][0, 0, 0].orbit(powers=range(6)).abs().max().item()
    assert number(low.inner_text()) == pytest.approx(-largest, abs=1e-3)
    assert low.inner_text() != alone


# The spectrum


def test_the_spectrum_has_its_scale_removed_and_its_points_are_read_with_the_arrow_keys(visitor):
    visitor.visit("#a=0.0.0@planted")
    record = BY_NAME["planted"].diagnose()[0]
    eigenvalues = torch.view_as_complex(torch.tensor(record["eigenvalues"], dtype=torch.float64))
    card = visitor.card("spectrum")
    assert card.locator(".plane .eigenvalue, .plane .beyond").count() == 16
    assert card.locator(".plane .root").count() == 3
    plane = card.locator(".plane")
    plane.focus()
    moduli = []
    for i in range(16):
        text = card.locator("output").first.inner_text()
        assert text.startswith(f"eigenvalue {i + 1} of 16: ")
        moduli.append(number(text.split("modulus ")[1].split(",")[0]))
        visitor.page.keyboard.press("ArrowRight")
    scaled = eigenvalues.abs() / eigenvalues.abs().quantile(0.5)
    assert moduli == pytest.approx(scaled.tolist(), abs=2e-3)
    card.locator(".decay").focus()
    assert number(card.locator("output").last.inner_text().split(": ")[1]) == pytest.approx(
        record["singular_values"][0], rel=1e-3
    )


# The table


def test_the_table_has_all_actions_of_all_models(visitor):
    assert len(visitor.places()) == sum(len(source.actions) for source in SOURCES)
    assert visitor.page.locator("#count").inner_text() == "18 actions"


def test_the_table_is_sorted_by_every_diagnostic_in_both_directions(visitor):
    columns = [title.strip() for title in visitor.page.locator(".all thead th[data-key]").all_inner_texts()]
    assert {"skew symmetry", "cyclicity", "condition number", "its z", "separation"} <= set(columns)
    for title in columns:
        header = visitor.page.locator(".all thead").get_by_role("button", name=title, exact=True)
        directions = []
        for _ in range(2):
            header.click()
            directions.append(visitor.page.locator(".all thead [aria-sort]").get_attribute("aria-sort"))
            shown = [text for text in visitor.column(title) if text != "\N{EN DASH}"]
            words = title in ("Model", "Label", "with operation")
            # "2 degrees" before "10 degrees", and signs before digits
            key = (
                (lambda text: re.sub(r"\d+", lambda digits: "~" + digits[0].zfill(6), text.lower()))
                if words
                else number
            )
            assert shown == sorted(shown, key=key, reverse=directions[-1] == "descending"), title
        assert sorted(directions) == ["ascending", "descending"]


def test_the_order_is_that_of_the_exact_numbers_and_can_be_chosen_by_value_or_z(visitor):
    visitor.page.get_by_role("combobox", name="Show scores as", exact=True).select_option("value")
    visitor.page.get_by_role("combobox", name="Sort by", exact=True).select_option(label="toeplitz")
    visitor.page.get_by_role("combobox", name="Order", exact=True).select_option("descending")
    rows = sorted(
        ((r["scores"]["toeplitz"]["value"], s.name) for s in SOURCES for r in s.actions.diagnose()), reverse=True
    )
    assert visitor.column("Model") == [name for _, name in rows]
    assert "sort=score toeplitz" in visitor.settled_address()


def test_the_table_is_filtered_by_words_model_data_and_z(visitor):
    page, count = visitor.page, visitor.page.locator("#count")
    page.get_by_label("Label, operation or place").fill("ROTATION 90")
    assert visitor.places() == ["layer 0, group 1"]
    assert count.inner_text() == "1 of 18 actions"
    page.get_by_label("Label, operation or place").fill("")
    page.get_by_role("combobox", name="Data set", exact=True).select_option("cifar10")
    assert set(visitor.column("Model")) == {"colour"}
    page.get_by_role("combobox", name="Data set", exact=True).select_option("")
    page.locator("#filters [name=only]").select_option("planted")
    assert count.inner_text() == "6 of 18 actions"
    page.get_by_role("combobox", name="With z of", exact=True).select_option(label="cyclicity")
    page.get_by_label("above").fill("2.5")
    records = BY_NAME["planted"].diagnose()
    wanted = [r for r in records if r["scores"]["cyclicity"]["z"] > 2.5]
    assert 0 < len(wanted) < 6
    assert visitor.places() == [f"layer {r['layer']}, group {r['group']}" for r in wanted]
    visitor.visit(visitor.settled_address())
    assert len(visitor.places()) == len(wanted)
    page.get_by_label("above").fill("1e9")
    assert count.inner_text() == "0 of 18 actions"


def test_a_row_of_the_table_is_looked_at_and_compared(visitor):
    page = visitor.page
    page.get_by_role("button", name="Look at colour, layer 0, group 0, channel 1").click()
    assert visitor.card("matrix").locator(".summary").inner_text() == "colour, layer 0, group 0, channel 1"
    page.get_by_role("button", name="Compare with planted, layer 0, group 1").click()
    assert visitor.card("matrix", "b").locator(".label").inner_text() == "rotation by 90 degrees"
    assert page.locator(".all tbody tr[aria-current=true]").count() == 2


# Comparing, links and history
def test_two_actions_act_side_by_side_each_on_its_own_filter_or_both_on_one(visitor):
    page = visitor.page
    visitor.visit("#a=0.0.0@colour")
    page.get_by_role("button", name="Compare two side by side").click()
    visitor.choose("model", "turning", "b")
    left, right = (visitor.card("matrix", side).bounding_box() for side in "ab")
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] < right["x"]
    colour, turning = BY_NAME["colour"], BY_NAME["turning"]
    assert_equal(visitor.orbit(12, "b"), turning[0, 0, 0].orbit(powers=range(12)))
    assert_equal(visitor.values("a"), colour[0, 0, 0].apply(basis("colour")[0, 0, 0], 11))
    page.get_by_role("combobox", name="Filter", exact=True).select_option(label="identity matrix")
    assert_equal(visitor.values("a"), colour[0, 0, 0].apply(torch.eye(3), 11))
    assert_equal(visitor.values("b"), turning[0, 0, 0].apply(torch.eye(4), 11))
    page.get_by_role("button", name="Show one action only").click()
    assert not visitor.card("matrix", "b").is_visible()


def test_a_link_restores_the_whole_selection(visitor, open_page, folder):
    page = visitor.page
    visitor.choose("model", "colour")
    page.get_by_role("button", name="Compare with planted, layer 0, group 1").click()
    page.get_by_role("combobox", name="Filter", exact=True).select_option(label="ring")
    visitor.power(5)
    page.get_by_role("combobox", name="Show scores as", exact=True).select_option("value")
    page.get_by_role("combobox", name="Sort by", exact=True).select_option(label="circulant")
    page.get_by_label("Label, operation or place").fill("layer")
    address = visitor.settled_address()
    other = open_page(folder, address)
    for part, side in itertools.product(("matrix", "act", "spectrum"), "ab"):
        assert other.card(part, side).inner_text() == visitor.card(part, side).inner_text()
    assert other.page.locator(".all").inner_text() == page.locator(".all").inner_text()
    assert other.page.get_by_role("combobox", name="Filter", exact=True).input_value() == "ring"
    assert other.page.get_by_label("Power of A").input_value() == "5"
    assert other.settled_address() == address


def test_the_back_button_undoes_a_choice(visitor):
    visitor.choose("model", "colour")
    visitor.choose("group", "1")
    visitor.power(3)
    visitor.settled_address()
    summary = visitor.card("matrix").locator(".summary")
    visitor.page.go_back()
    visitor.page.wait_for_function("() => document.querySelector('.summary').textContent.includes('group 0')")
    assert summary.inner_text() == "colour, layer 0, group 0, channel 0"
    visitor.page.go_back()
    visitor.page.wait_for_function("() => document.querySelector('.summary').textContent.includes('planted')")
    visitor.page.go_forward()
    visitor.page.go_forward()
    visitor.page.wait_for_function("() => document.querySelector('.summary').textContent.includes('group 1')")
    assert visitor.page.get_by_label("Power of A").input_value() == "3"


@pytest.mark.parametrize(
    "selection",
    [
        "#a=0.0.0@unknown",
        "#a=9.0.0@planted&power=1",
        "#a=0.0.0@planted&b=<img src=x onerror=alert(1)>",
    ],
)
def test_a_link_to_what_is_not_there_says_so(visitor, selection):
    visitor.visit(selection)
    notice = visitor.page.locator("#notice")
    assert notice.inner_text().startswith("This atlas does not have ")
    visitor.choose("group", "0")
    assert not notice.is_visible()


@pytest.mark.parametrize(
    "selection",
    [
        "#power=99&filter=constructor&sort=__proto__&show=x&down=maybe&min=1e999",
        "#filter=painted&paint=1.2.3",
        "#filter=painted&paint=1e9.1.1.1",
        "#power=-1&a=%E0%A4%A&q=%",
        "#" + "&" * 5000,
    ],
)
def test_a_broken_link_shows_what_it_can(visitor, selection):
    visitor.visit(selection)
    assert visitor.values().shape == (4, 4)
    assert visitor.page.get_by_label("Power of A").input_value() == "1"


@pytest.fixture
def served(folder) -> Iterator[str]:
    """The address of a server of the folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_works_in_a_frame_as_on_a_space(browser, served, tmp_path):
    wrong = []
    (tmp_path / "frame.html").write_text(
        f'<iframe sandbox="allow-scripts" width="900" height="900" src="{served}/index.html#a=0.1.0@planted"></iframe>'
    )
    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "frame.html").as_uri())
        frame = page.frame_locator("iframe")
        frame.locator("[data-side=a] .label").wait_for()
        assert frame.locator("[data-side=a] .label").inner_text() == "rotation by 90 degrees"
        frame.get_by_role("button", name="Compare two side by side").click()
        frame.locator("[data-side=b] .label").wait_for()
        page.wait_for_timeout(400)
    assert not wrong


# Everyone
def test_everything_is_done_with_the_keyboard_alone(visitor):
    page, keyboard = visitor.page, visitor.page.keyboard
    visitor.tab_to(visitor.card("choose").locator("[data-field=model]"))
    keyboard.type("colour")
    visitor.tab_to(visitor.card("choose").get_by_role("radio", checked=True))
    keyboard.press("ArrowRight")
    assert visitor.card("matrix").locator(".summary").inner_text() == "colour, layer 0, group 1, channel 0"
    visitor.tab_to(page.locator("#compare"))
    keyboard.press("Enter")
    visitor.tab_to(visitor.card("matrix").locator("canvas"))
    keyboard.press("ArrowRight")
    assert visitor.readout("matrix").startswith("A[0, 1] = ")
    visitor.tab_to(page.locator("#painter canvas"))
    for key in ["5", " ", "ArrowDown", "1", " "]:
        keyboard.press(key)
    visitor.tab_to(page.locator("#play"))
    keyboard.press("Enter")
    keyboard.press("Enter")
    visitor.tab_to(page.get_by_label("Power of A"))
    keyboard.press("Home")
    visitor.tab_to(visitor.card("act").locator("summary"))
    keyboard.press("Enter")
    shown = visitor.values()
    assert (shown[0, 0], shown[1, 0]) == (1, -1)
    visitor.tab_to(visitor.card("spectrum").locator(".plane"))
    keyboard.press("ArrowRight")
    assert visitor.card("spectrum").locator("output").first.inner_text().startswith("eigenvalue 2")
    visitor.tab_to(page.get_by_label("Label, operation or place"))
    keyboard.type("planted")
    visitor.tab_to(page.locator(".all thead").get_by_role("button", name="cyclicity"))
    keyboard.press("Enter")
    assert page.locator(".all [aria-sort=descending]").inner_text() == "cyclicity"
    go = page.locator(".all tbody .go").first
    wanted = go.get_attribute("aria-label").removeprefix("Look at ")
    visitor.tab_to(go)
    keyboard.press("Enter")
    assert visitor.card("matrix").locator(".summary").inner_text() == wanted
    assert page.evaluate("document.activeElement.id") == "h-matrix"


def test_every_control_has_a_name_and_every_focus_is_seen(visitor):
    visitor.page.get_by_role("button", name="Compare two side by side").click()
    nameless = visitor.page.evaluate("""[...document.querySelectorAll("button, select, input, canvas[tabindex], svg[tabindex]")]
        .filter(element => element.offsetParent !== null || element instanceof SVGElement)
        .filter(element => !(element.ariaLabel || element.labels?.length || element.textContent.trim()))
        .map(element => element.outerHTML)""")
    assert nameless == []
    tab = visitor.page.locator("#painter canvas")
    tab.press("ArrowRight")
    assert tab.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


@pytest.mark.parametrize("selection", ["", "#a=0.0.0@turning&b=0.1.2@colour&power=7"])
def test_a_phone_scrolls_in_one_direction(open_page, folder, selection):
    visitor = open_page(folder, selection, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in visitor.page.locator(".player button").all():
        assert button.bounding_box()["height"] >= 36
    painter = visitor.page.locator("#painter canvas")
    painter.scroll_into_view_if_needed()
    painter.tap()
    assert visitor.page.get_by_role("combobox", name="Filter", exact=True).input_value() == "painted"


CONTRASTS = """() => {
    const number = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = number(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest("option, script, template, :disabled, .unseen")) continue;
        const style = getComputedStyle(element), svg = element instanceof SVGElement;
        const [a, b] = [light(number(svg ? style.fill : style.color)), light(behind(element))];
        found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), element.tagName + " " + element.textContent.slice(0, 40)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(open_page, folder, axe, scheme):
    visitor = open_page(folder, "#a=0.0.0@turning&b=0.1.2@colour", color_scheme=scheme)
    assert axe(visitor.page) == []
    for width in (390, 768, 1280, 2560):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_the_light_and_in_the_dark(open_page, folder, scheme):
    visitor = open_page(folder, "#a=0.0.0@turning&b=0.1.2@colour&power=7", color_scheme=scheme)
    visitor.page.locator("summary").last.click()
    found = visitor.page.evaluate(CONTRASTS)
    assert len(found) > 300
    assert [text for contrast, text in found if contrast < 4.5] == []
    page = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", page)[:3])) < 300) == (scheme == "dark")


# Repositories that mean no good

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"><img src=x onerror='alert(1)'>",
    "javascript:alert(1)",
    "`${alert(1)}`",
    "\u2028\u2029\u202e\x00]]>&lt;b&gt;",
    "__proto__",
    "ATLAS_DATA",
    "x" * 5000,
]


def hostile_source(text: str) -> TrainedModel:
    """A repository that says `text` wherever it can say something."""
    found = source(
        text, size=2, order=2, test_accuracy=text, parameters=float("nan"), epochs=[text], data={"note": text}
    )
    found.results["recipe"] = {"dataset": text, "task": text}
    found.actions.config.update(regularizer=text, action=text)
    for record in found.actions.diagnose():
        record["label"] = text
        record["cyclic_order"], record["power_separation"] = text, {text: text}
        record["scores"][text] = {"value": 1e308, "z": None}
        record["eigenvalues"][0] = [None, 1.0]
        record["nearest"] = [
            {"operation": text, "parameters": {text: text}, "correlation": -1, "z": None},
            {"operation": "rotation", "parameters": {"degrees": text}, "correlation": None, "z": 1e300},
            {"operation": "rotation", "parameters": {}, "correlation": 0.5, "z": 1},
        ]
    return found


def test_whatever_a_repository_says_is_only_text(open_page, tmp_path):
    build_atlas([hostile_source(text) for text in HOSTILE] + SOURCES[:1], tmp_path)
    visitor = open_page(tmp_path, viewport={"width": 390, "height": 900})
    names = visitor.card("choose").locator("[data-field=model] option").all_inner_texts()
    assert len(names) == len(HOSTILE) + 1
    for text, name in zip(HOSTILE[:4], names, strict=False):
        assert name == text
        visitor.choose("model", name)
        assert visitor.card("matrix").locator(".label").inner_text() == text
        assert visitor.settled_address().endswith(f"@{text}")
        visitor.visit(visitor.page.evaluate("location.hash"))
        assert visitor.card("matrix").locator(".label").inner_text() == text
    visitor.page.get_by_role("button", name="Compare two side by side").click()
    for name in names[4:]:
        visitor.choose("model", name, "b")
    visitor.page.locator(".all thead button").last.click()
    assert visitor.page.locator("body img, body a, body script:not([type]):not(:last-of-type)").count() == 0
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    card = (tmp_path / "README.md").read_text()
    assert SpaceCard(card).data.to_dict()["sdk"] == "static"


def test_a_group_of_thousands_of_elements_and_powers_without_bound_are_drawn_as_far_as_they_go(open_page, tmp_path):
    large = source("large", size=2, order=4096)
    large.actions.matrices.mul_(1e30)
    large.actions.diagnose()
    visitor = open_page(build_atlas([large], tmp_path))
    assert visitor.card("act").locator(".orbit > li").count() == 64
    visitor.power(63)
    assert "norm \N{EN DASH}, cosine with W \N{EN DASH}" in visitor.card("act").inner_text()
