"""What the results of a model say, whoever reads them and wherever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lgn_hf import Actions
from lgn_hf.runs.sources import Source, data_name


def source(results: dict[str, Any]) -> Source:
    return Source("model", Actions(torch.eye(4)[None, None, None], 2), results, Path("model"))


@pytest.mark.parametrize(
    ("recorded", "name", "on_the_hub", "last"),
    [
        ("ylecun/mnist", "ylecun/mnist", "ylecun/mnist", "mnist"),
        ("rot-mnist:ylecun/mnist", "rot-mnist:ylecun/mnist", "ylecun/mnist", "mnist"),
        ("digits", "digits", None, "digits"),
        ("rotated:digits", "rotated:digits", None, "digits"),
        ("data/mnist", "mnist", None, "mnist"),
        ("datasets/mnist", "mnist", None, "mnist"),
        ("rotated:data/mnist", "rotated:mnist", None, "mnist"),
        ("./mnist", "mnist", None, "mnist"),
        ("../mnist", "mnist", None, "mnist"),
        ("~/mnist", "mnist", None, "mnist"),
        ("/mnist", "mnist", None, "mnist"),
        ("mnist/", "mnist", None, "mnist"),
        ("rot-mnist:/home/me/my data/mnist//", "rot-mnist:mnist", None, "mnist"),
        ("C:\\Users\\me\\mnist", "mnist", None, "mnist"),
        ("me/my images", "my images", None, "my images"),
        ("..", "data", None, "data"),
    ],
)
def test_data_have_one_name_from_wherever_it_is_read(recorded, name, on_the_hub, last, tmp_path, monkeypatch):
    for folder in ("ylecun/mnist", "mnist"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in (Path.cwd(), tmp_path):
        monkeypatch.chdir(folder)
        found = data_name(recorded)
        assert (str(found), found.id, found.last) == (name, on_the_hub, last)


def test_a_name_is_its_own_name():
    for recorded in ("ylecun/mnist", "rotated:/home/me/mnist", "data/mnist", "digits", ".."):
        assert data_name(str(data_name(recorded))) == data_name(recorded)


def test_a_model_says_what_it_was_trained_on_and_for():
    found = source({"recipe": {"dataset": "rotated:../data/mnist", "task": "classification"}})
    assert str(found.dataset) == "rotated:mnist"
    assert found.data_and_task == "classification of rotated:mnist"


@pytest.mark.parametrize("results", [{}, {"recipe": 3}, {"recipe": {"task": "classification", "dataset": ["mnist"]}}])
def test_a_model_whose_results_do_not_say_it_goes_by_its_own_name(results):
    assert source(results).dataset is None
    assert source(results).data_and_task == "model"
