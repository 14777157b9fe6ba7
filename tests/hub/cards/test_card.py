"""The model card says what the files of a published model say, whatever is in them, and reads well in a browser."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from accelerate.state import AcceleratorState
from huggingface_hub import ModelCard, ModelCardData
from lgn_training import run as program
from lgn_training.arguments import parse_arguments
from markdown_it import MarkdownIt
from matplotlib.text import Text
from PIL import Image

from lgn_hf.actions import rank
from lgn_hf.hub.cards import draw_figures, render_card, write_card
from lgn_hf.hub.cards.unfolded import facts
from lgn_hf.plotting import action_figures
from lgn_hf.runs.trained_model import open_trained_model
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # whole cards, in a real browser

RUN = ["--dataset", "digits", "--num_groups", "2", "--num_layers", "2", "--filter_size", "4", "--disable_tqdm"]
RUN += ["--num_train_epochs", "1", "--max_train_samples", "300", "--max_test_samples", "100"]
KINDS = {
    "learned": ["--whitening", "zca"],
    "reconstruction": ["--task", "reconstruction"],
    "rotation": ["--action", "rotation", "--group_order", "6"],
    "cyclic": ["--action", "cyclic", "--group_order", "3"],
    "left": ["--action", "left"],
    "layer": ["--action_sharing", "layer"],
    "network": ["--action_sharing", "network"],
    "free": ["--group_order", "1", "--num_groups", "8"],
}
WIDTHS = {"desktop": 1280, "phone": 390}
# What surrounds a card on the Hub, as far as the layout goes: tables and code scroll by themselves.
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>card</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>
body {{ font: 16px/1.6 sans-serif; margin: 0 auto; padding: 16px; max-width: 800px; color: #1f2937 }}
img {{ max-width: 100%; height: auto }} .table, pre {{ overflow-x: auto }} pre {{ background: #f3f4f6; padding: 12px }}
table {{ border-collapse: collapse; font-size: 14px }} td, th {{ border: 1px solid #d1d5db; padding: 4px 10px }}
</style></head><body>{body}</body></html>"""


def to_html(card: str) -> str:
    """The text of a card as the Hub shows it; HTML in it is kept, so that it would do its worst."""
    text = card.split("\n---\n", 1)[1]
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return PAGE.format(
        body=body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[str], Path]:
    """The published folder of a real run of each kind, its figures drawn, without a card."""
    made: dict[str, Path] = {}

    def folder_of(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind) / f"lgn-{kind}"
            AcceleratorState._reset_state(reset_partial_state=True)
            with contextlib.redirect_stdout(io.StringIO()):
                assert program.main([*RUN, *KINDS[kind], "--output_dir", str(folder)]) == 0
            for checkpoint in folder.glob("checkpoint-*"):
                shutil.rmtree(checkpoint)
            source = open_trained_model(folder)
            source.actions.save(folder)
            draw_figures(source.actions, folder)
            made[kind] = folder
        return made[kind]

    return folder_of


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """A name that the template misspells is an error, not nothing."""
    monkeypatch.setattr(jinja2, "Template", partial(jinja2.Template, undefined=jinja2.StrictUndefined))


@pytest.fixture
def published(trained, tmp_path) -> Callable[[str], Path]:
    """A copy of it to change."""
    return lambda kind: Path(shutil.copytree(trained(kind), tmp_path / f"lgn-{kind}"))


@pytest.fixture
def folder(published) -> Path:
    return published("learned")


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_results(folder: Path, **fields: Any) -> None:
    """Set fields of `all_results.json`, `data__note` being the note of its data."""

    def change(results: dict) -> None:
        for name, value in fields.items():
            *parents, last = name.split("__")
            where = results
            for parent in parents:
                where = where[parent]
            where[last] = value

    edit(folder / "all_results.json", change)


def add_baseline(folder: Path, free: Path, **fields: Any) -> None:
    shutil.copy(free / "all_results.json", folder / "all_results.baseline")
    mine = (folder / "all_results.json").read_text()
    os.replace(folder / "all_results.baseline", folder / "all_results.json")
    edit_results(folder, **fields)
    os.replace(folder / "all_results.json", folder / "baseline_results.json")
    (folder / "all_results.json").write_text(mine)


# What every card has


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_of_every_kind_is_complete(published, kind):
    folder = published(kind)
    path = write_card(folder, f"user/lgn-{kind}")
    card, results = ModelCard.load(path), json.loads((folder / "all_results.json").read_text())

    data = card.data.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "transformers"
    task = "image-feature-extraction" if kind == "reconstruction" else "image-classification"
    assert data["pipeline_tag"] == task
    measured = {result.metric_type: result for result in ModelCardData(**data).eval_results or []}
    for name in ("mse", "relative_error") if kind == "reconstruction" else ("accuracy",):
        assert measured[name].metric_value == results[f"test_{name}"]
        assert measured[name].metric_args == {"seed": results["seed"]}
        assert (measured[name].task_type, measured[name].dataset_split) == (task, "test")
    assert data["metrics"][0] in measured

    for target in re.findall(r"\]\(([^)]+)\)", card.text):
        assert target.startswith("https://") or (folder / target).is_file(), target
    assert not re.search(r"\b(None(?! of)|nan|inf)\b", card.text)
    assert "theodosis2023learning" in card.text
    assert "theodosis2022unfolded" in card.text
    for heading in ("## Use", "## Training", "## Limitations", "## Cite"):
        assert heading in card.text


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_shown_with_a_text_for_those_who_do_not_see_it(trained, kind):
    folder = trained(kind)
    shown = dict(re.findall(r"!\[([^\]]+)\]\((figures/[^)]+)\)", render_card(folder)))
    assert set(shown.values()) == {f"figures/{path.name}" for path in (folder / "figures").iterdir()}
    assert all(len(text) > 30 for text in shown)
    for path in (folder / "figures").iterdir():
        with Image.open(path) as figure:
            assert 400 <= figure.width <= 1100, path.name


def test_what_is_drawn_is_what_there_is_to_see(trained):
    names = {kind: {path.stem for path in (trained(kind) / "figures").iterdir()} for kind in KINDS}
    assert names["learned"] == names["cyclic"] == names["left"] == {"gallery", "spectra", "effects", "orbits"}
    once = {"gallery", "spectra", "effects", "filters-0", "filters-1"}  # one rotation, not 4 alike
    assert names["rotation"] == once
    assert names["layer"] == names["network"] == {*once, "orbits"}
    assert names["free"] == {"filters-0", "filters-1"}


@pytest.mark.parametrize("kind", ["layer", "network"])
def test_an_action_that_groups_share_is_told_once(trained, kind):
    card = " ".join(render_card(trained(kind)).split())
    for text in {
        "layer": [
            "all groups of a layer share one A",
            "one per layer, shared by its groups and channels",
            "of the 2 actions",
            "| 0, all, all |",
            "| 1, all, all |",
        ],
        "network": ["all groups of all layers share one A", "one for the whole network", "| all, all, all |"],
    }[kind]:
        assert card.count(text) >= 1, text
    assert not re.search(r"of (the|all) [14]\b", card)


def test_of_many_actions_the_most_structured_are_shown_in_their_order(folder, monkeypatch):
    monkeypatch.setattr(facts, "PORTRAYED", 2)
    actions = open_trained_model(folder).actions
    most = sorted(actions.diagnose(), key=rank)[:2]
    shown = sorted((record["layer"], record["group"]) for record in most)
    names = [f"layer {layer}, group {group}, channel 0" for layer, group in shown]
    for figure in ("gallery", "spectra"):
        texts = [text.get_text() for text in action_figures(actions, 2)[figure].findobj(Text)]
        assert [text for text in texts if text.startswith("layer")] == names
    assert "*The 2 most structured of 4 actions as 16 " in render_card(folder)


def test_a_network_without_groups_says_so(trained):
    text = render_card(trained("free"))
    assert "It has no group structure" in text
    assert "nearest known operation" not in text
    assert "powers of A" not in text


def test_the_same_files_make_the_same_card_and_figures(published):
    folder = published("learned")
    first = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    card = write_card(folder, "user/a").read_bytes()
    draw_figures(open_trained_model(folder).actions, folder)
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == first
    assert write_card(folder, "user/a").read_bytes() == card
    assert str(folder.parent) not in card.decode()


# Numbers come from the files


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("test_accuracy", 0.4321, "43.21 % of 100 test images"),
        ("parameters", 1234567, "1,234,567 parameters"),
        ("epochs", 77, "after 77 epochs"),
        ("seed", 1234, "One seed (1234)"),
        ("train_seconds", 3725.0, "1 h 2 min 5 s"),
        ("images_per_second", 9876.5, "9,876 images per second"),
        ("data__test", 54321, "54,321 test images"),
        ("data__source", "somebody/shapes", "https://huggingface.co/datasets/somebody/shapes"),
        ("data__source", "rot-mnist:ylecun/mnist", "[rot-MNIST](https://huggingface.co/datasets/ylecun/mnist)"),
        ("data__source", "rotated:ylecun/mnist", "[rotated MNIST](https://huggingface.co/datasets/ylecun/mnist)"),
        ("data__source", "data/shapes", "--dataset path/to/shapes"),
        ("data__source", "rotated:/home/me/shapes/", "--dataset rotated:path/to/shapes"),
        ("data__note", "all upside down", "The data: all upside down."),
        ("machine__processor", "Abacus", "Abacus"),
        ("date", "2031-01-02", "2031-01-02"),
        ("versions__torch", "99.9", "torch 99.9"),
        ("recipe__learning_rate", 0.125, "0.125"),
        ("recipe__whitening", "patch", "whitening: patch"),
    ],
)
def test_results_are_on_the_card(folder, field, value, text):
    before = render_card(folder)
    edit_results(folder, **{field: value})
    assert text not in before
    assert text in render_card(folder)


@pytest.mark.parametrize("source", ["data/shapes", "./shapes", "/home/me/shapes"])
def test_a_local_folder_is_no_data_set_on_the_hub(folder, source):
    edit_results(folder, data__source=source)
    card = ModelCard(render_card(folder))
    assert "datasets" not in card.data.to_dict()
    assert "huggingface.co/datasets" not in card.text
    assert "images of shapes" in card.text
    assert source not in card.content


def test_limitations_are_those_of_this_model(folder):
    text = render_card(folder)
    assert "ZCA whitening is tied to the pixels" in text
    edit_results(folder, recipe__whitening="none", epochs=100)
    text = render_card(folder)
    assert "ZCA whitening" not in text
    assert "the papers train for 100" not in text


def test_actions_that_are_nearly_singular_are_counted(folder):
    def change(document: dict) -> None:
        for record, condition in zip(document["actions"], [None, 2.5e5, 7.0, 5.0], strict=True):
            record["condition_number"] = condition

    edit(folder / "actions.json", change)
    text = render_card(folder)
    assert "1 of the 4 actions is singular" in text
    assert "1 of the 4 actions is nearly singular" in text
    assert "Condition numbers range from 5 to 2.5\N{MULTIPLICATION SIGN}10⁵" in text


def test_labels_are_counted_and_their_absence_is_said_plainly(folder):
    def label(first: str | None) -> Callable[[dict], None]:
        def change(document: dict) -> None:
            for record in document["actions"]:
                record["label"] = None
            document["actions"][2]["label"] = first

        return change

    edit(folder / "actions.json", label(None))
    text = render_card(folder)
    assert "None of the 4 actions has a recognised structure" in text
    assert "All 4 actions show no structure that the diagnostics recognise" in text
    edit(folder / "actions.json", label("rotation by 57 degrees"))
    text = render_card(folder)
    assert "1 of the 4 actions has a recognised structure** (rotation by 57 degrees)" in text
    assert "3 of the 4 actions show no structure" in text
    first = text.split("condition number |\n", 1)[1].splitlines()[1]
    assert first.startswith("| 1, 0, 0 | rotation&nbsp;by&nbsp;57&nbsp;degrees |")  # named ones come first


def test_powers_that_fade_are_told_from_those_that_do_not(published):
    fade = "The powers of A fade: the norm of A³W is 0."
    assert fade in render_card(published("learned"))  # unit norm: singular values of 1/4
    assert "powers of A fade" not in render_card(published("rotation"))


def test_the_baseline_is_beside_the_model(folder, trained):
    assert "no network with free filters to compare with" in render_card(folder)
    edit_results(folder, test_accuracy=0.9)
    add_baseline(folder, trained("free"), test_accuracy=0.92, parameters=4321)
    text = render_card(folder)
    assert "| test accuracy | 90.00 % | 92.00 % |" in text
    assert "| 4,321 |" in text
    assert "its test accuracy is 2.00 percentage points lower" in text
    assert "its standard error is 3.00" in text
    assert "differ in whitening" in text


ALIKE = {"recipe__whitening": "zca"}  # what the two of these tests must have in common to differ in their groups alone


@pytest.mark.parametrize(
    ("field", "value", "row"),
    [
        ("machine__mixed_precision", "bf16", "| precision | float32 | bfloat16 |"),
        ("recipe__random_crop", 2, "| shifts (pixels) | 0 | 2 |"),
        ("recipe__random_flip", True, "| mirror images | no | yes |"),
        ("recipe__cutout", 8, "| squares cut out (pixels) | 0 | 8 |"),
        ("recipe__label_smoothing_factor", 0.1, "| label smoothing | 0 | 0.1 |"),
        ("recipe__learning_rate", 0.02, "| learning rate | 0.01 | 0.02 |"),
        ("recipe__lr_scheduler_type", "cosine", "| schedule | multistep | cosine |"),
        ("recipe__lr_milestones", [0.9], "| milestones of the schedule | 0.5, 0.75, 0.875 | 0.9 |"),
        ("recipe__max_grad_norm", 1.0, "| gradient clipping | 2 | 1 |"),
        ("recipe__adam_beta2", 0.99, "| adam beta2 | 0.999 | 0.99 |"),
        ("recipe__per_device_train_batch_size", 64, "| images that are normalised together | 128 | 64 |"),
        ("recipe__algorithm", "ista", "| algorithm | fista | ista |"),
    ],
)
def test_a_comparison_says_what_else_differs(folder, trained, field, value, row):
    add_baseline(folder, trained("free"), **ALIKE)
    alike = render_card(folder).splitlines()
    add_baseline(folder, trained("free"), **ALIKE, **{field: value})
    added = [line for line in render_card(folder).splitlines() if line not in alike]
    name = row.split(" | ")[0].removeprefix("| ")
    assert added[0] == row
    assert (
        f"The two runs also differ in {name}, so the comparison does not show the effect of the groups alone."
        in " ".join(added[1:])
    )


def test_a_comparison_is_clean_where_only_the_groups_differ_and_what_does_not_matter(folder, trained):
    """An older run, whose recipe has fewer fields, is compared by those that it has."""
    add_baseline(folder, trained("free"), **ALIKE)
    text = render_card(folder)
    assert "also differ" not in text
    assert "| precision |" not in text
    others = {"action_sharing": "layer", "projection": "rms", "regularizer_weight": 7.0, "rotation_angle": 3.0}
    others |= {
        "dataset": "data/digits",
        "output_dir": "x",
        "hub_model_id": "a/b",
        "logging_steps": 99,
        "use_cpu": True,
    }
    others |= {"train_val_split": 0.1, "gradient_accumulation_steps": 2, "report_to": "trackio", "num_train_epochs": 1}
    add_baseline(folder, trained("free"), **ALIKE, **{f"recipe__{name}": value for name, value in others.items()})
    assert render_card(folder) == text
    edit(folder / "baseline_results.json", lambda results: [results["recipe"].pop(n) for n in ("algorithm", "tied")])
    assert render_card(folder) == text


# The page can be used


def test_the_command_trains_the_same_network(folder, monkeypatch):
    command = re.findall(r"```bash\n(.+?)```", render_card(folder), re.DOTALL)[0].replace("\\\n", " ").split()
    assert (ROOT / command[command.index("--config_file") + 1]).is_file()
    monkeypatch.chdir(folder)
    recipe = parse_arguments(command[command.index("training/run.py") + 1 :])
    assert recipe.fields() == yaml.safe_load((folder / "recipe.yaml").read_text())
    assert recipe.fields() == json.loads((folder / "all_results.json").read_text())["recipe"]


@pytest.mark.parametrize("kind", ["learned", "reconstruction"])
def test_the_examples_run(published, kind, monkeypatch, capsys):
    folder = published(kind)
    monkeypatch.chdir(folder.parent)
    Image.new("L", (8, 8), 99).save("image.png")
    blocks = re.findall(r"```python\n(.+?)```", render_card(folder), re.DOTALL)
    for block in blocks:
        exec(block, {})
    assert len(blocks) == 3
    assert all(len(block.strip().splitlines()) <= 8 for block in blocks)
    assert capsys.readouterr().out.count("\n") >= 3


# Hostile and broken files

EVIL = '<script>alert(1)</script>|x\n\n# y\n---\n<img src=x onerror="a()"> ![i](//e.x/i.png) [l](javascript:a) `c` $$m$$ {{ 7*7 }}'


def test_texts_from_files_stay_texts(folder):
    def change(document: dict) -> None:
        document["model"]["name"] = EVIL
        for record in document["actions"]:
            record["label"] = EVIL
            record["nearest"][0] |= {"operation": EVIL, "parameters": {EVIL: EVIL}}

    clean = to_html(render_card(folder, "user/name"))
    edit(folder / "actions.json", change)
    edit(folder / "config.json", lambda config: config["id2label"].update({"0": EVIL}))
    edit_results(
        folder,
        recipe_name=EVIL,
        date=EVIL,
        selected_by=EVIL,
        data__source=EVIL,
        data__note=EVIL,
        machine__processor=EVIL,
    )
    edit_results(folder, versions={EVIL: EVIL}, recipe__lr_scheduler_type=EVIL, recipe__dataset=EVIL)
    (folder / "figures" / "](x).png").write_bytes(b"")

    for repo_id in ("user/name", None):
        path = write_card(folder, repo_id)
        page = to_html(path.read_text())
        assert re.findall(r"<(?:script|iframe|h1|h2|h3|pre|table|a )", page.lower()) == re.findall(
            r"<(?:script|iframe|h1|h2|h3|pre|table|a )", clean.lower()
        )
        assert re.findall(r'<img src="([^"]+)"', page) == re.findall(r'<img src="([^"]+)"', clean)
        assert (page.count("<tr"), page.count("<td")) == (clean.count("<tr"), clean.count("<td"))
        assert "{{ 7*7 }}" in page
        card = ModelCard.load(path)
        assert card.data.to_dict()["pipeline_tag"] == "image-classification"
        assert "datasets" not in card.data.to_dict()


@pytest.mark.parametrize(
    "name", ["config.json", "actions.json", "actions.safetensors", "all_results.json", "recipe.yaml"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(name)):
        render_card(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test_accuracy", "<b>"),
        ("test_accuracy", float("nan")),
        ("parameters", "12"),
        ("data__source", 3),
        ("recipe__task", "sorting"),
        ("recipe__lr_milestones", ["x"]),
        ("machine", None),
    ],
)
def test_results_of_a_wrong_type_are_refused(folder, field, value):
    edit_results(folder, **{field: value})
    with pytest.raises(ValueError, match=r"all_results\.json.*" + field.split("__")[-1]):
        render_card(folder)


def test_files_that_do_not_belong_together_are_refused(folder, trained):
    add_baseline(folder, trained("free"), recipe__group_order=4)
    with pytest.raises(ValueError, match="group_order 1"):
        render_card(folder)
    (folder / "baseline_results.json").write_text("[")
    with pytest.raises(ValueError, match="baseline_results"):
        render_card(folder)
    (folder / "baseline_results.json").unlink()
    for name in ("actions.json", "actions.safetensors"):
        shutil.copy(trained("rotation") / name, folder)
    with pytest.raises(ValueError, match="does not belong"):
        render_card(folder)


def test_a_name_that_is_no_repository_is_refused(folder):
    with pytest.raises(ValueError, match="a b"):
        render_card(folder, 'a b"); import os')


# In a browser


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_fits_a_desktop_and_a_phone(published, kind, browser, trained):
    folder = published(kind)
    if kind != "reconstruction":
        add_baseline(folder, trained("free"))
    page_file = folder / "page.html"
    page_file.write_text(to_html(render_card(folder, "user/a-rather-long-name-of-a-repository")), encoding="utf-8")
    for device, width in WIDTHS.items():
        page = browser.new_page(viewport={"width": width, "height": 900})
        errors: list[str] = []
        page.on("console", lambda message, errors=errors: errors.append(message.text))
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width, device
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt)"), device
        assert page.evaluate("document.images.length") == len(list((folder / "figures").iterdir()))
        assert errors == [], device
        page.close()
