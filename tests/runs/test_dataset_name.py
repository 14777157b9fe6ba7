"""A data set has one name, from wherever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgn_hf.runs.dataset_name import data_name


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


@pytest.mark.parametrize(
    ("recorded", "written"),
    [
        ("ylecun/mnist", "MNIST"),
        ("rot-mnist:data/mnist", "rot-MNIST"),
        ("rotated:uoft-cs/cifar10", "rotated CIFAR-10"),
        ("digits", "scikit-learn's digits"),
        ("somebody/shapes", "shapes"),
    ],
)
def test_a_card_writes_the_names_of_well_known_data_as_people_do(recorded, written):
    assert data_name(recorded).display_name == written
