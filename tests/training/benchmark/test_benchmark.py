"""The program measures its parts, and says what it measured."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lgn_training.benchmark.__main__ import OUTPUT_STARTS, main
from lgn_training.benchmark.contenders import SHAPES
from lgn_training.benchmark.parts import PARTS

from lgn_hf.cpu.compilation import library
from lgn_hf.files import check_output_file
from lgn_hf.model.configuration_lgn import REGULARIZERS
from tests.conftest import ROOT

discovery_growth = sys.modules["lgn_training.benchmark.parts.discovery_growth"]


def figures_of(output: Path, *argv: str) -> dict:
    """The figures of a short benchmark."""
    assert main([*argv, "--data", "mnist", "--rounds", "2", "--output", str(output)]) == 0
    return json.loads(output.read_text())


@pytest.mark.slow
def test_the_program_prints_its_tables_and_writes_its_figures(tmp_path, capsys):
    figures = figures_of(tmp_path / "figures.json", "--parts", "steps", "--batch_sizes", "4")
    printed = capsys.readouterr().out
    assert figures.keys() == {"steps", "machine", "versions", "commit", "date", "command"}
    assert PARTS["steps"].__doc__.split(",")[0] in printed
    (row,) = figures["steps"]
    assert row["gradient error"] < 1e-9
    assert row["textbook / ours"]["min"] <= row["textbook / ours"]["median"] <= row["textbook / ours"]["max"]
    assert row["images/s"] == pytest.approx(4e3 / row["ours ms"])
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


@pytest.mark.slow
def test_every_part_has_its_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SHAPES, "mnist", (1, 12))
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.growth"], "GROWTH", {"num_groups": (1, 2)})
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.orbit_convolutions"], "CHANNELS", (4,))
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.orbit_networks"], "BATCH_SIZE", 2)
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.compiled_layers"], "BATCH_SIZE", 2)
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.first_use"], "RUNS", 1)
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.first_use"], "MODELS", {})
    monkeypatch.setattr(
        discovery_growth, "in_new_process", lambda n, d: {"of": "points", "d": d, "N": n, "search s": n / d}
    )
    monkeypatch.setattr(sys.modules["lgn_training.benchmark.parts.seeds"], "IMAGES", {"lgn-digits": (1, 8)})
    left_out = ("steps", "whitening", "lab")  # whitening always fits 50,000 images, and the lab needs a browser
    parts = [name for name in PARTS if name not in left_out]
    figures = figures_of(tmp_path / "figures.json", "--parts", *parts)
    printed = " ".join(capsys.readouterr().out.split())  # titles are broken into lines
    for part in figures.keys() & PARTS.keys():
        assert PARTS[part].__doc__.split(",")[0] in printed
    assert [row["regularizer"] for row in figures["regularizers"]] == list(REGULARIZERS)
    assert [(row["filters"], row["size"]) for row in figures["precision"]] == [(20, 6), (60, 8)]
    assert [(row["field"], row["value"]) for row in figures["growth"]] == [("num_groups", 1), ("num_groups", 2)]
    if library() is not None:
        (layers,) = figures["compiled_layers"]
        assert sum(share for name, share in layers.items() if name.endswith("%")) == pytest.approx(100)
    if torch.get_num_threads() > 1:
        assert [row["scaling"] for row in figures["processes"]] == ["strong", "weak"]
    assert figures["pipeline"][0]["kept / step"]["median"] > 0
    assert [row["network"] for row in figures["startup"]] == ["ours", "textbook"]
    assert [row["batch"] for row in figures["inference"]] == [1, 128]
    assert [row["filter"] for row in figures["orbit_convolutions"]] == ["3 x 3", "5 x 5"]
    assert [row["network"] for row in figures["orbit_networks"]][-1] == "LGNConvNet"
    assert {row["seeds"] for row in figures["seeds"]} == {4}
    assert {row["of"] for row in figures["first_use"]} == {"the library", "the command"}
    assert (figures["discovery_growth"][-1]["N"], figures["discovery_growth"][-1]["d"]) == pytest.approx((1, -1))


def test_a_search_for_symmetries_is_measured(monkeypatch):
    monkeypatch.setattr(discovery_growth, "discover", lambda points, orders: SimpleNamespace(group=None))
    row = discovery_growth.search(18, 6)
    assert (row["d"], row["N"], row["group"]) == (6, 20, "none")  # whole orbits
    assert row["search s"] > 0
    assert row["peak MiB"] >= 0


def test_figures_replace_nothing_but_earlier_ones(tmp_path, capsys):
    output = tmp_path / "figures.json"
    output.write_text('{"mine": 1}')
    assert main(["--parts", "steps", "--output", str(output)]) == 1
    assert "figures.json holds something else than earlier output" in capsys.readouterr().err
    assert output.read_text() == '{"mine": 1}'
    for measured in (ROOT / "training" / "measured").glob("*.json"):
        check_output_file(measured, *OUTPUT_STARTS)


def test_a_wrong_part_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main(["--parts", "everything"])
    assert "steps" in capsys.readouterr().err
