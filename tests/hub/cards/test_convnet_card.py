"""The card of a network over a group says how its group came about, what its elements are, and what the network keeps."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from lgn_hf import LGNConvNetConfig, LGNConvNetForImageClassification
from lgn_hf.actions import Actions
from lgn_hf.hub.cards import comparison, render_card
from lgn_hf.hub.cards.convnet import CARD, equivariance, limitations, sentences, tables
from lgn_hf.hub.cards.convnet.equivariance import ElementEquivariance, Equivariance
from lgn_hf.hub.cards.convnet.facts import ConvNetFacts, confidence_interval
from lgn_hf.hub.cards.convnet.figures import FIGURES, GroupSubject
from lgn_hf.hub.cards.figures import draw_figures
from lgn_hf.nn import LinearGroup
from lgn_hf.runs.group_origin import ORIGINS
from lgn_hf.runs.results import RunResults
from tests.support.convnets import train_convnet

FOUND = {"group_source": "symmetries of rot-mnist:ylecun/mnist"}
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # origin: fields of the network, and of the results
    "told": ({"group": "dihedral"}, {}),
    "free": ({"group": "trivial", "num_orbits": [8, 12]}, {}),
    "learned": ({"action": "learned"}, {}),
    "given": ({"group": LinearGroup.cyclic(4, 9)}, {"group_source": "random cyclic"}),
    "discovered": ({"group": LinearGroup.rotations(3)}, FOUND),
    "snapped": ({"group": LinearGroup.rotations(3)}, {**FOUND, "recipe": {"snap_group": True}}),
}


@pytest.fixture(scope="module")
def facts_of(published_convnet, tmp_path_factory):
    """The facts of a network that was not trained, by its origin; its folder has the figures and the measurement."""
    values = json.loads((published_convnet / "all_results.json").read_text())
    made: dict[str, tuple[ConvNetFacts, Path]] = {}

    def of(origin: str) -> tuple[ConvNetFacts, Path]:
        if origin not in made:
            fields, found = NETWORKS[origin]
            torch.manual_seed(0)
            config = LGNConvNetConfig(
                **{"image_size": 8, "num_orbits": [2, 3], "depths": [1, 1], "num_labels": 10, **fields}
            )
            model = LGNConvNetForImageClassification(config)
            folder = tmp_path_factory.mktemp(origin)
            recipe = {**values["recipe"], "group": config.group, **found.get("recipe", {})}
            results = RunResults.from_json({**values, **found, "recipe": recipe})
            equivariance.measure(model, folder, [])
            made[origin] = ConvNetFacts.read(folder, config, results, model.actions()), folder
            draw_figures(model.actions(), folder)
        return made[origin]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_card_says_how_the_group_came_about(facts_of, origin):
    facts, _ = facts_of(origin)
    assert facts.origin == origin
    text = sentences.kind(facts)
    expected = {
        "told": "The group was told: rotations by 90 degrees and mirror images.",
        "free": "",
        "learned": "The group was learned with the filters. Its elements are S ρ(g) S⁻¹",  # noqa: RUF001
        "given": "The group was given as matrices (random cyclic).",
        "discovered": "The group was not told: it was found in rot-MNIST, and is used as it was found.",
        "snapped": "The group was not told: it was found in rot-MNIST, and its elements were then moved to the nearest",
    }[origin]
    assert text.startswith(expected)
    introduction = sentences.introduction(facts)
    assert ("It has no group structure" in introduction) == (origin == "free")
    rows = dict(row for row in tables.architecture(facts))
    assert ("group" in rows) == (origin != "free")
    assert rows["maps per layer, by stage"] == ("8, 12" if origin != "told" else "16, 24")
    for sentence in limitations.limitations(facts):
        assert sentence.endswith(".")
        assert "  " not in sentence


def test_parameters_are_told_per_orbit(facts_of):
    facts, _ = facts_of("learned")
    config = facts.config
    text = tables.parameters(facts)
    assert (
        f"{config.num_basis_parameters:,} in the basis filters of {config.num_layer_orbits} orbits; 81 in the group"
        in text
    )
    each = config.num_basis_parameters / config.num_layer_orbits
    assert text.endswith(f"takes {each:,.0f} on average, and as many free filters {4 * each:,.0f}")


def test_an_accuracy_has_its_confidence(facts_of):
    facts, _ = facts_of("told")
    low, _ = confidence_interval(facts.results.test("accuracy"), 100)
    assert (
        f"With 100 test images, the 95 % confidence interval of its accuracy is {100 * low:.2f} %"
        in sentences.result(facts)
    )
    assert confidence_interval(0.0, 10)[0] == 0
    assert confidence_interval(1.0, 10)[1] == 1


def test_exact_equivariance_is_measured_element_by_element(facts_of):
    facts, folder = facts_of("told")
    assert facts.is_exact
    assert "**The trained network is exactly equivariant** under all 8 elements of its group" in sentences.finding(
        facts
    )
    rows = tables.element_rows(facts)
    assert [row[0] for row in rows] == ["g₀", "g₁", "g₂", "g₃", "g₄", "g₅", "g₆", "g₇"]
    assert [row[1] for row in rows] == [1, 4, 2, 4, 2, 2, 2, 2]
    assert {row[-1] for row in rows} == {row[-2] for row in rows} == {"exact"}
    assert rows[1][5] == "rotation by 90°"
    assert rows[4][5] == "mirror, left-right"
    document = json.loads((folder / "equivariance.json").read_text())
    assert document["elements"][1] == {"symmetry": "rotation by 90°", "features": 0.0, "logits": 0.0}


def test_a_group_that_is_near_the_grid_is_measured_with_the_nearest_symmetries(tmp_path):
    noise = 0.02 * torch.randn(1, 9, 9, dtype=torch.float64)
    group = LinearGroup.from_generators(LinearGroup.rotations(3).generators + noise, tolerance=0.5)
    model = LGNConvNetForImageClassification(LGNConvNetConfig(image_size=8, num_orbits=[2], depths=[1], group=group))
    equivariance.measure(model, tmp_path, [])
    found = equivariance.read_equivariance(tmp_path, 4)
    assert found is not None
    assert [row.symmetry for row in found.elements] == ["identity", *(f"rotation by {a}°" for a in (90, 180, 270))]
    assert found.elements[0].logits == 0
    assert all(0 < (row.logits or 0) < 1 and 0 < (row.features or 0) < 1 for row in found.elements[1:])


def test_what_is_said_of_equivariance(facts_of):
    facts, _ = facts_of("told")

    def text(*errors: float | None) -> str:
        rows = [ElementEquivariance(None if e is None else "identity", e, e) for e in errors]
        return sentences.equivariance(replace(facts, equivariance=Equivariance("noise", rows)))

    assert text(0.0, 0.0, None, None).endswith(
        "under the 2 elements that are symmetries of the pixel grid: its logits do not change when one of these moves the "
        "image (measured on noise). The other 2 elements are not symmetries of the pixel grid."
    )
    assert "**The trained network is not exactly equivariant**" in text(0.0, 0.25, 0.5)
    rows = [ElementEquivariance("identity", 0.0, error) for error in (0.0, 0.5)]
    exact_maps = sentences.equivariance(replace(facts, equivariance=Equivariance("noise", rows)))
    assert "exactly equivariant, and its classifier is not invariant**" in exact_maps
    assert "the logits change by 0.25 to 0.5 of their norm (measured on noise)." in text(0.0, 0.25, 0.5)
    assert text(0.0, None, None).startswith("No element but the identity is near a symmetry of the pixel grid")
    assert sentences.equivariance(replace(facts, equivariance=None)) == ""


@pytest.mark.parametrize("origin", ORIGINS)
def test_figures_show_the_elements_and_the_orbits(facts_of, origin):
    facts, folder = facts_of(origin)
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == ({"filters-0.png"} if origin == "free" else {"elements.png", "filters-0.png"})
    for figure in FIGURES:
        assert figure.alt(facts).endswith(".")
        assert figure.caption(facts).endswith(".")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_orbits_that_are_drawn_are_those_of_the_network(channels):
    model = LGNConvNetForImageClassification(
        LGNConvNetConfig(num_channels=channels, num_orbits=[3], depths=[1])
    ).eval()
    subject = GroupSubject(model.actions())
    torch.testing.assert_close(subject.filters, model.filter_bank())
    assert GroupSubject(Actions(model.actions().matrices, 4)).filters is None


def test_a_measurement_that_is_damaged_or_of_another_group_is_refused(tmp_path):
    path = tmp_path / "equivariance.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"equivariance\.json is damaged .equivariance\.json lacks elements, images"):
        equivariance.read_equivariance(tmp_path, 4)
    path.write_text(json.dumps({"images": "noise", "elements": []}))
    with pytest.raises(ValueError, match="has 0 elements: must be the 4 of the group"):
        equivariance.read_equivariance(tmp_path, 4)


# The whole card


def test_a_card_has_all_parts(published_convnet):
    card = ModelCard.load(published_convnet / "README.md")
    data = card.data.to_dict()
    assert "lgn-convnet-c4" in data["tags"]
    assert data["model-index"][0]["results"][0]["metrics"][0]["type"] == "accuracy"
    headings = re.findall(r"^## (.*)$", card.text, re.MULTILINE)
    assert headings == [
        "Architecture",
        "Use",
        "The group",
        "The filters",
        "Training",
        "Intended use and limits",
        "Cite",
    ]
    assert "over the linear group **C₄**" in card.text
    assert card.text.count("| exact | exact |") == 4
    for path in ("figures/elements.png", "figures/filters-0.png", "figures/learning-curve.png"):
        assert f"]({path})" in card.text
        assert (published_convnet / path).is_file()
    for code in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        compile(code, "card", "exec")
    assert render_card(published_convnet, "tester/convnet-digits") == (published_convnet / "README.md").read_text()


def test_the_programs_of_a_card_run(published_convnet, capsys, monkeypatch):
    text = (
        (published_convnet / "README.md").read_text().replace('"tester/convnet-digits"', repr(str(published_convnet)))
    )
    monkeypatch.chdir(published_convnet.parent)
    programs = [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "pipeline" not in code]
    assert len(programs) == 3
    for code in programs:
        exec(compile(code, "card", "exec"), {})
    group, shape, element = capsys.readouterr().out.splitlines()
    assert f"print(model.group)  # {group}\n" in text
    assert shape == "torch.Size([2, 4, 1, 3, 3])"
    assert element == "torch.Size([9, 9])"


def test_a_card_compares_with_the_free_twin(published_convnet, tmp_path):
    values = json.loads((published_convnet / "all_results.json").read_text())
    results = RunResults.from_json(values)
    recipe = {**values["recipe"], "group": "trivial", "num_orbits": [8, 12]}
    twin = RunResults.from_json({**values, "recipe": recipe, "test_accuracy": 0.0})
    found = comparison.compare(results, twin, "twin.json")
    assert ["orbits per layer", "2, 3", "8, 12"] in found.rows
    assert "percentage points higher" in found.sentence
    assert "also differ" not in found.sentence
    with pytest.raises(ValueError, match="with group rotation: must be of classification with group trivial"):
        comparison.compare(results, results, "twin.json")


def test_the_actions_of_another_network_are_refused(published_convnet, tmp_path):
    folder = Path(shutil.copytree(published_convnet, tmp_path / "copy"))
    LGNConvNetForImageClassification(LGNConvNetConfig(group="dihedral")).actions().save(folder)
    with pytest.raises(ValueError, match=r"actions\.safetensors does not belong to config\.json"):
        render_card(folder)


@pytest.mark.slow
def test_a_group_that_was_found_is_published_with_the_model(tmp_path):
    """The recipe reads it from the repository, and no folder of this machine is left."""
    from lgn_hf.hub.build import build

    found = tmp_path / "found on this machine"
    generators = LinearGroup.rotations(3).generators.float()[None, None]
    Actions(generators, 4, name=f"symmetries of {tmp_path}/digits").save(found)
    options = ["--group", "given", "--group_from", str(found), "--snap_group"]
    run = train_convnet(tmp_path / "run", *options, "--num_orbits", "1", "--depths", "1")
    folder = build(run, tmp_path / "built", repo_id="tester/found", modules=False)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert (recipe["group_from"], recipe["snap_group"]) == ("tester/found", True)
    assert json.loads((folder / "all_results.json").read_text())["group_source"] == "symmetries of digits"
    assert "found in scikit-learn's digits, and its elements were then moved" in (folder / "README.md").read_text()
    assert not [path for path in folder.rglob("*.*") if str(tmp_path).encode() in path.read_bytes()]
    again = build(folder, tmp_path / "again", repo_id="tester/found", modules=False)
    for name in ("README.md", "recipe.yaml", "all_results.json", "equivariance.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_every_part_of_the_record_is_of_this_family():
    assert CARD.template == "card_group.md.jinja"
    assert "linear-group-network" in CARD.tags
