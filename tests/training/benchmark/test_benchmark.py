"""The benchmark compares equals, in turns, and says what it compared."""

import json
import sys

import pytest
import torch
from lgn_training import benchmark
from lgn_training.textbook import TextbookLGN, ordinary_cnn
from torch import nn

from lgn_hf import LGNConfig, LGNForImageClassification

SMALL = LGNConfig(num_channels=3, image_size=12, num_labels=10, num_groups=2, num_layers=3)
CPU = torch.device("cpu")


def test_our_step_has_the_textbooks_gradients():
    assert benchmark.check(SMALL, CPU) < 1e-9


def test_the_textbook_has_our_loss_and_projection():
    ours = LGNForImageClassification(SMALL).double().train()
    textbook = TextbookLGN(ours).double().train()
    images, labels = torch.randn(4, 3, 12, 12, dtype=torch.float64), torch.arange(4)
    torch.testing.assert_close(textbook(images, labels), ours(images, labels=labels).loss)
    with torch.no_grad():
        for parameter in textbook.actions.values():
            parameter.mul_(3)
    textbook.project_()
    assert all(float(parameter.detach().norm()) == pytest.approx(1) for parameter in textbook.actions.values())


def test_the_textbook_says_what_it_cannot():
    with pytest.raises(ValueError, match="inverse regularizer"):
        TextbookLGN(LGNForImageClassification(LGNConfig(regularizer="nuclear")))


def test_the_ordinary_network_does_as_many_multiply_adds():
    network = ordinary_cnn(3, 32, 10, 10_000_000)
    convolutions = [module for module in network if isinstance(module, nn.Conv2d)]
    done = sum(conv.weight.numel() * side**2 for conv, side in zip(convolutions, (32, 16), strict=True))
    assert done == pytest.approx(10_000_000, rel=0.05)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_step_of_four_layers_is_twenty_products():
    config = LGNConfig()
    multiply_adds = config.code_size**2 * config.num_filters * config.filter_dim
    assert benchmark.step_operations(config, batch_size=128) == 20 * 2 * 128 * multiply_adds


def test_contenders_take_turns():
    turns = []
    contenders = {name: lambda name=name: turns.append(name) for name in "ab"}
    times = benchmark.alternate(contenders, CPU, rounds=3)
    assert turns == list("abababbaab")  # two that do not count, then to and fro
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_slow_contenders_have_one_turn():
    times = benchmark.alternate({"a": lambda: None}, CPU, rounds=100, seconds=0)
    assert len(times["a"]) == 1


@pytest.mark.parametrize("regularizer", ["none", "inverse", "logdet", "nuclear"])
@pytest.mark.parametrize("action", ["learned", "left"])
def test_group_operations_do_not_grow_with_groups_channels_and_layers(action, regularizer):
    small, large = (
        LGNForImageClassification(LGNConfig(action=action, regularizer=regularizer, **sizes))
        for sizes in ({}, {"num_groups": 9, "num_channels": 3, "num_layers": 7, "filter_size": 5})
    )
    operations = benchmark.group_operations(small)
    assert operations == benchmark.group_operations(large)
    assert operations < 150


def test_the_program_prints_its_tables_and_writes_its_figures(tmp_path, monkeypatch, capsys):
    output = tmp_path / "figures.json"
    parts = ["steps", "regularizers", "precision", "pipeline", "inference"]
    argv = ["--parts", *parts, "--data", "mnist", "--batch_sizes", "10", "--rounds", "2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *argv])
    benchmark.main()
    printed = capsys.readouterr().out
    figures = json.loads(output.read_text())
    assert {*parts, "machine", "versions", "commit", "date", "command"} == figures.keys()
    for part in parts:
        assert benchmark.PARTS[part].__doc__.split(",")[0] in printed
    (row,) = figures["steps"]
    assert row["gradient error"] < 1e-9
    assert row["textbook / ours"]["min"] <= row["textbook / ours"]["median"] <= row["textbook / ours"]["max"]
    assert row["images/s"] == pytest.approx(1e4 / row["ours ms"])
    assert [row["regularizer"] for row in figures["regularizers"]] == ["none", "inverse", "logdet", "nuclear"]
    assert [(row["filters"], row["size"]) for row in figures["precision"]] == [(20, 6), (60, 8)]
    assert [row["batch"] for row in figures["inference"]] == [1, 128]
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
def test_processes_and_startup(tmp_path, monkeypatch, capsys):
    output = tmp_path / "figures.json"
    argv = ["--parts", "processes", "startup", "growth", "--data", "mnist", "--rounds", "2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *argv])
    benchmark.main()
    figures = json.loads(output.read_text())
    if torch.get_num_threads() > 1:
        assert [row["scaling"] for row in figures["processes"]] == ["strong", "weak"]
    assert [row["network"] for row in figures["startup"]] == ["ours", "textbook"]
    assert {row["field"] for row in figures["growth"]} == set(benchmark.GROWTH)


def test_a_wrong_part_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--parts", "everything"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "steps" in capsys.readouterr().err
