"""The lab as a visitor in Chromium uses it, with mouse, finger and keys."""

import base64
import math

import numpy as np
import pytest
import torch

from lgn_hf.export import open_classifier
from lgn_hf.export.checks import example_images
from lgn_hf.files import contents
from lgn_hf.hub.upload import upload
from lgn_hf.model.filters import rotation_matrix, unvec, vec
from tests.conftest import ROOT
from tests.hub.lab.conftest import HOSTILE

pytestmark = pytest.mark.slow  # a real browser
QUICK = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}


class Visitor:
    """Someone in front of the page."""

    def __init__(self, page):
        self.page = page

    def wait(self) -> None:
        """Until the networks have answered the newest image at every angle."""
        self.page.wait_for_timeout(100)
        self.page.wait_for_function("document.querySelector('#loading').hidden")
        self.page.wait_for_function(
            "![...document.querySelectorAll('.kept')].some((p) => p.closest('article').checkVisibility() && !p.textContent.includes('of 36'))"
        )
        self.page.wait_for_timeout(60)

    def card(self, part: str, side: str = "a"):
        return self.page.locator(f"[data-part={part}] > [data-side={side}]")

    def probabilities(self, side: str = "a") -> list[float]:
        cells = self.card("answer", side).locator(".bars td:last-child").all_inner_texts()
        return [float(text.removesuffix(" %")) / 100 for text in cells]

    def responses(self, side: str = "a") -> list[float]:
        return [float(text) for text in self.card("turning", side).locator(".responses td").all_inner_texts()]

    def canvas(self, selector: str) -> np.ndarray:
        """The pixels of a canvas, (H, W, 3)."""
        text = self.page.evaluate(
            """(selector) => {
              const canvas = document.querySelector(selector);
              const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
              copy.drawImage(canvas, 0, 0);
              const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
              let text = "";
              for (const byte of data) text += String.fromCharCode(byte);
              return btoa(text);
            }""",
            selector,
        )
        pixels = np.frombuffer(base64.b64decode(text), np.uint8)
        side = math.isqrt(len(pixels) // 4)
        return pixels.reshape(side, side, 4)[..., :3]

    def degrees(self) -> int:
        return int(self.page.locator("#dial").get_attribute("aria-valuenow"))

    def middle(self, selector: str) -> tuple[float, float, float]:
        """The middle of an element, and its width."""
        self.page.locator(selector).scroll_into_view_if_needed()
        box = self.page.locator(selector).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"]


@pytest.fixture
def open_page(browser):
    """Opens the lab; in the end nothing may have been asked for but files beside it, nor anything logged."""
    contexts, wrong = [], []

    def open_page(folder, selection="", **options):
        context = browser.new_context(**{**QUICK, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on(
            "request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or wrong.append(request.url)
        )
        page.goto(f"{(folder / 'lab.html').as_uri()}{selection}")
        return Visitor(page)

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture(scope="module")
def classifiers(convnet):
    places = [ROOT / "model_cards" / "r90-mnist", ROOT / "model_cards" / "baseline-mnist", convnet]
    return {classifier.name: classifier for classifier in map(open_classifier, places)}


def turned(image: torch.Tensor, degrees: float, mirrored: bool = False) -> torch.Tensor:
    """An image of 8 bits, turned as `rotation_matrix` turns filters."""
    side = image.shape[-1]
    pixels = (image.flip(-1) if mirrored else image).double()
    values = unvec(vec(pixels) @ rotation_matrix(side, degrees).T, side)
    return (values + 0.5).floor().clamp(0, 255).to(torch.uint8)


def expected(classifier, image: torch.Tensor):
    """Probabilities, and the mean code of each map of each layer as (orbits, order)."""
    with torch.inference_mode():
        values = classifier.processor.pixel_values(image[None])
        answer = classifier.network(values, output_hidden_states=True)
    config = classifier.network.config
    order = config.group_order if config.model_type == "lgn" else classifier.network.group.order
    means = [code.double().mean((2, 3))[0].view(-1, order) for code in answer.hidden_states]
    return answer.logits[0].double().softmax(-1), means


# Numbers


@pytest.mark.parametrize(("degrees", "mirrored", "image"), [(90, False, 1), (37, True, 2)])
def test_the_numbers_are_those_of_the_package(open_page, space, classifiers, degrees, mirrored, image):
    selection = f"#model=r90-mnist&beside=baseline-mnist&turn={degrees}&mirror={int(mirrored)}&image={image}"
    visitor = open_page(space, selection)
    visitor.wait()
    pixels = turned(example_images(classifiers["r90-mnist"])[image], degrees, mirrored)
    assert np.array_equal(visitor.canvas("#seen")[..., 0], pixels[0].numpy())
    for side, name in (("a", "r90-mnist"), ("b", "baseline-mnist")):
        probabilities, means = expected(classifiers[name], pixels)
        assert visitor.probabilities(side) == pytest.approx(
            probabilities.tolist(), abs=5.1e-5
        )  # two digits of percent
        for layer in (0, len(means) - 1):
            visitor.card("codes", side).locator("select").select_option(index=layer)
            row = visitor.card("codes", side).locator(".orbits button").nth(3)
            row.click()
            assert row.get_attribute("aria-checked") == "true"
            assert visitor.responses(side) == pytest.approx(
                means[layer][3].tolist(), rel=6e-4, abs=1e-6
            )  # four digits


def test_a_quarter_turn_moves_the_answers_of_an_equivariant_network_to_the_next_row(open_page, space, classifiers):
    visitor = open_page(space, "#model=turning&turn=20")
    visitor.wait()
    before, answer = visitor.responses(), visitor.probabilities()
    visitor.page.get_by_role("button", name="+ 90°").click()
    visitor.wait()
    assert visitor.degrees() == 110
    after = visitor.responses()
    assert after == pytest.approx([before[-1], *before[:-1]], rel=2e-3)
    assert visitor.probabilities() == pytest.approx(answer, abs=1e-4)
    shift = visitor.card("turning").locator(".shift").inner_text()
    assert float(shift.split()[2].rstrip(":")) < 0.01
    pixels = torch.from_numpy(visitor.canvas("#seen").copy()).permute(2, 0, 1)
    probabilities, _ = expected(classifiers["turning"], pixels)
    assert answer == pytest.approx(probabilities.tolist(), abs=5.1e-5)


def test_the_rows_show_every_angle(open_page, space, classifiers):
    """The ribbon has the most probable class at each of 36 angles."""
    visitor = open_page(space, "#model=r90-mnist&beside=none&image=3")
    visitor.wait()
    image = example_images(classifiers["r90-mnist"])[3]
    batch = torch.stack([turned(image, 10 * number) for number in range(36)])
    with torch.inference_mode():
        classifier = classifiers["r90-mnist"]
        classes = classifier.network(classifier.processor.pixel_values(batch)).logits.argmax(-1)
    shown = visitor.card("answer").locator(".ribbon span").all_inner_texts()
    assert shown == [str(value) for value in classes.tolist()]
    same = (classes == classes[0]).sum().item()
    assert f"at {same} of 36 angles" in visitor.card("answer").locator(".kept").inner_text()
    assert visitor.card("answer", "b").is_hidden()


def test_the_tiles_of_small_maps_are_painted_to_the_end(open_page, space):
    visitor = open_page(space, "#model=turning")
    visitor.wait()
    painted = visitor.page.evaluate(
        """() => [...document.querySelectorAll("[data-part=codes] > [data-side=a] canvas")].map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, canvas.height - 1, 1, 1);
          return [canvas.height, data[3]];
        })"""
    )
    assert painted == [[28, 255]] * 2


# Drawing and turning


def test_a_digit_is_drawn_with_the_mouse(open_page, space, classifiers):
    visitor = open_page(space)
    visitor.wait()
    visitor.page.get_by_role("button", name="Clear the pad").click()
    assert not visitor.canvas("#pad").any()
    x, y, width = visitor.middle("#pad")
    mouse = visitor.page.mouse
    mouse.move(x, y - 0.3 * width)
    mouse.down()
    mouse.move(x, y + 0.3 * width, steps=8)
    mouse.up()
    mouse.move(x + 0.3 * width, y)  # nothing is drawn when no button is down
    visitor.wait()
    drawn = visitor.canvas("#pad")[..., 0]
    assert drawn[6:22, 12:16].max(1).min() == 255
    assert not drawn[:, 20:].any()
    probabilities, _ = expected(classifiers["r90-mnist"], torch.from_numpy(drawn.copy())[None])
    assert visitor.probabilities() == pytest.approx(probabilities.tolist(), abs=5.1e-5)
    assert not visitor.page.locator("#examples [aria-pressed=true]").count()


def test_an_image_is_chosen_and_turned_with_the_mouse(open_page, space, classifiers):
    visitor = open_page(space)
    visitor.wait()
    visitor.page.get_by_role("button", name="image 3").click()
    assert visitor.page.locator("#examples [aria-pressed=true]").get_attribute("aria-label") == "image 3"
    image = example_images(classifiers["r90-mnist"])[2]
    assert np.array_equal(visitor.canvas("#pad")[..., 0], image[0].numpy())
    x, y, width = visitor.middle("#dial")
    mouse = visitor.page.mouse
    mouse.move(x, y - 0.45 * width)
    mouse.down()
    mouse.move(x - 0.3 * width, y - 0.3 * width, steps=4)
    mouse.move(x - 0.45 * width, y, steps=4)
    mouse.up()
    assert visitor.degrees() == pytest.approx(90, abs=1)
    assert np.array_equal(visitor.canvas("#seen")[..., 0], turned(image, visitor.degrees())[0].numpy())


def test_a_digit_is_drawn_with_a_finger_and_turned_with_one(open_page, space):
    visitor = open_page(space, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    visitor.wait()
    visitor.page.get_by_role("button", name="Clear the pad").click()
    touch = visitor.page.context.new_cdp_session(visitor.page)

    def swipe(start, end):
        points = [
            (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])) for share in (0, 0.5, 1)
        ]
        for kind, at in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": at[0], "y": at[1]}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    x, y, width = visitor.middle("#pad")
    swipe((x - 0.3 * width, y), (x + 0.3 * width, y))
    assert visitor.canvas("#pad")[13:15, 7:21].max(0).min() > 200
    x, y, width = visitor.middle("#dial")
    scrolled = visitor.page.evaluate("scrollY")
    swipe((x, y - 0.45 * width), (x - 0.45 * width, y))
    assert visitor.degrees() == pytest.approx(90, abs=3)
    assert visitor.page.evaluate("scrollY") == scrolled, "the page moved with the finger"
    bar = visitor.page.get_by_label("Turn", exact=True).last
    assert bar.is_visible()
    bar.fill("180")
    assert visitor.degrees() == 180


def test_everything_works_with_the_keyboard_alone(open_page, space):
    visitor = open_page(space)
    visitor.wait()
    keyboard = visitor.page.keyboard

    def tab_to(selector):
        for _ in range(120):
            if visitor.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
            keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#clear")
    keyboard.press("Enter")
    assert not visitor.canvas("#pad").any()
    assert visitor.page.evaluate("document.activeElement.id") == "pad"
    keyboard.press("Space")
    keyboard.press("ArrowLeft")
    for _ in range(5):
        keyboard.press("Shift+ArrowDown")
    drawn = visitor.canvas("#pad")[..., 0]
    assert drawn[14:19, 13].min() == 255
    tab_to("#dial")
    keyboard.press("ArrowLeft")
    keyboard.press("PageUp")
    assert visitor.degrees() == 16
    keyboard.press("ArrowRight")
    keyboard.press("PageDown")
    keyboard.press("ArrowRight")
    assert visitor.degrees() == 359
    keyboard.press("Home")
    assert visitor.page.locator("#dial").get_attribute("aria-valuetext") == "0 degrees counter-clockwise"
    tab_to("#mirror")
    keyboard.press("Space")
    assert visitor.page.locator("#mirror").get_attribute("aria-pressed") == "true"
    tab_to(".orbits button")
    first = visitor.page.evaluate("document.activeElement.ariaLabel")
    keyboard.press("ArrowDown")
    assert visitor.page.evaluate("document.activeElement.ariaLabel") != first
    visitor.page.wait_for_function("document.querySelector('#live').textContent.includes('r90-mnist answers')")


def test_it_turns_by_itself_until_it_is_stopped(open_page, space):
    visitor = open_page(space, "#beside=none")
    visitor.wait()
    visitor.page.get_by_role("button", name="Turn by itself").click()
    visitor.page.wait_for_function("Number(document.querySelector('#dial').ariaValueNow) > 5")
    visitor.page.get_by_role("button", name="Stop").click()
    stopped = visitor.degrees()
    visitor.page.wait_for_timeout(150)
    assert visitor.degrees() == stopped
    visitor.page.get_by_role("button", name="Back to 0°").click()
    assert visitor.degrees() == 0


# Loading


def test_the_page_is_there_before_the_runtime_and_shows_its_progress(space, browser):
    context = browser.new_context(**QUICK)
    page = context.new_page()
    held = []
    page.route("**/runtime-05.js", lambda route: held.append(route))
    page.goto((space / "lab.html").as_uri())
    page.wait_for_function("document.querySelector('#progress').value > 0.3")
    visitor = Visitor(page)
    assert page.locator("#loading").is_visible()
    assert visitor.canvas("#pad").any()  # an image is there, and can be turned
    page.locator("#dial").press("PageUp")
    assert visitor.degrees() == 15
    assert visitor.card("answer").locator(".winner").inner_text() == "\N{EN DASH}"
    held[0].continue_()
    visitor.wait()
    assert page.locator("#loading").is_hidden()
    assert visitor.card("answer").locator(".winner").inner_text() != "\N{EN DASH}"
    context.close()


def test_a_missing_file_is_named(space, browser):
    context = browser.new_context(**QUICK)
    page = context.new_page()
    page.route("**/runtime-01.js", lambda route: route.abort())
    page.goto((space / "lab.html").as_uri())
    page.wait_for_function("!document.querySelector('#notice').hidden")
    assert page.locator("#notice").inner_text() == "The networks cannot run here: lab/runtime-01.js cannot be read"
    context.close()


def test_it_runs_from_a_space_on_the_hub_which_is_asked_for_nothing_else(space, browser, hub_here):
    upload(space, [*contents(space)], "tester/atlas", "space")
    address = f"{hub_here.url}/_spaces/tester/atlas/"
    context = browser.new_context(**QUICK)
    page = context.new_page()
    wrong = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on(
        "request", lambda request: request.url.startswith((address, "data:", "blob:")) or wrong.append(request.url)
    )
    page.goto(address)
    page.get_by_role("link", name="Try these models in the lab").click()
    visitor = Visitor(page)
    visitor.wait()
    assert len(visitor.probabilities()) == 10
    page.get_by_role("link", name="The atlas shows the matrices").click()
    page.wait_for_function("document.title.startsWith('Atlas')")
    assert not wrong
    context.close()


# Models and links


def test_a_link_chooses_the_model_and_a_missing_one_is_named(open_page, space):
    visitor = open_page(space, "#model=tester/baseline-mnist&turn=45")
    assert visitor.page.locator("#model-a").input_value() == "baseline-mnist"
    assert visitor.degrees() == 45
    visitor.page.evaluate("location.hash = '#model=gone'")
    visitor.page.wait_for_function("!document.querySelector('#notice').hidden")
    assert visitor.page.locator("#notice").inner_text() == "This lab does not have gone, which the link names."
    visitor.wait()
    visitor.page.locator("#model-a").select_option("turning")  # which takes other images
    visitor.wait()
    assert visitor.page.locator("#model-b").is_disabled()
    visitor.page.wait_for_function("location.hash.includes('model=turning')")


def test_whatever_a_model_calls_its_classes_is_only_text(open_page, space):
    visitor = open_page(space, "#model=turning")
    visitor.wait()
    assert HOSTILE in visitor.card("answer").locator(".bars th").all_inner_texts()
    assert not visitor.page.locator("article img").count()


# Looks


def test_axe_finds_nothing_serious_and_nothing_is_cut_off_from_390_to_2560_pixels(open_page, space, axe):
    visitor = open_page(space)
    visitor.wait()
    for scheme, width in (("light", 1280), ("dark", 390)):
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.page.set_viewport_size({"width": width, "height": 900})
        assert axe(visitor.page) == []
    for width in (390, 768, 1024, 1280, 1920, 2560):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        for selector in ("#pad", "#dial", ".bars", ".orbits canvas", ".plot canvas"):
            box = visitor.page.locator(selector).first.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
