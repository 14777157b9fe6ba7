"""The benchmark compares equals, in turns, and says what it compared."""

import json

import benchmark
import pytest

from lgn_hf import LGNConfig

SMALL = LGNConfig(num_channels=3, image_size=12, num_labels=10, num_groups=2, num_layers=3)


def test_our_step_has_the_textbooks_gradients():
    assert benchmark.check(SMALL) < 1e-9


def test_a_step_of_four_layers_is_twenty_products():
    config = LGNConfig()
    multiply_adds = config.code_size**2 * config.num_filters * config.filter_dim
    assert benchmark.step_operations(config, batch_size=128) == 20 * 2 * 128 * multiply_adds


def test_contenders_take_turns():
    turns = []
    contenders = {name: lambda name=name: turns.append(name) for name in "ab"}
    times = benchmark.alternate(contenders, rounds=3, warm_up=1)
    assert turns == list("ab" * 4)
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_the_program_prints_its_table_and_writes_its_figures(tmp_path, monkeypatch, capsys):
    output = tmp_path / "figures.json"
    argv = ["benchmark.py", "--batch_sizes", "10", "--rounds", "2", "--output", str(output)]
    monkeypatch.setattr("sys.argv", argv)
    benchmark.main()
    assert "Training step, milliseconds" in capsys.readouterr().out
    figures = json.loads(output.read_text())
    assert {"rows", "machine", "versions", "date"} <= figures.keys()
    assert [row["data"] for row in figures["rows"]] == ["mnist", "cifar10"]
    for row in figures["rows"]:
        assert row["gradient_error"] < 1e-9
        assert row["textbook / ours"]["min"] <= row["textbook / ours"]["median"] <= row["textbook / ours"]["max"]
        assert row["images_per_second"] == pytest.approx(1e4 / row["ours_ms"])
