"""Data have names that mean something elsewhere than on the machine that trained."""

import pytest

from lgn_hf.hub.public_records import public_dataset


@pytest.mark.parametrize(
    ("recorded", "given", "published"),
    [
        ("digits", None, "digits"),
        ("ylecun/mnist", None, "ylecun/mnist"),
        ("ylecun/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("../data/mnist", None, "mnist"),
        ("/data/mnist/", None, "mnist"),
        ("~/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("rot-mnist:../data/mnist", None, "rot-mnist:mnist"),
        ("rot-mnist:../data/mnist", "ylecun/mnist", "rot-mnist:ylecun/mnist"),
        ("rot-mnist:../data/mnist", "rot-mnist:ylecun/mnist", "rot-mnist:ylecun/mnist"),
        ("rotated:../data/mnist", "ylecun/mnist", "rotated:ylecun/mnist"),
        ("data/mnist", None, "mnist"),
        ("rotated:data/mnist", "ylecun/mnist", "rotated:ylecun/mnist"),
        ("mnist", "ylecun/mnist", "ylecun/mnist"),
    ],
)
def test_data_have_a_name_that_means_something_elsewhere(recorded, given, published):
    assert public_dataset(recorded, given) == published


def test_data_in_a_folder_that_is_there_are_known_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "images" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public_dataset("images/cats", None) == "cats"
    assert public_dataset("images/cats", "user/cats") == "user/cats"


@pytest.mark.parametrize(
    ("recorded", "given", "message"),
    [
        ("uoft-cs/cifar10", "ylecun/mnist", "the run was trained on 'uoft-cs/cifar10'"),
        ("digits", "ylecun/mnist", "the run was trained on 'digits'"),
        ("../data/mnist", "../data/mnist", "must be the id of a data set on the Hub"),
        ("../data/mnist", "data/mnist", "must be the id of a data set on the Hub"),
        ("../data/mnist", "", "must be the id of a data set on the Hub"),
    ],
)
def test_data_cannot_be_renamed_to_others(recorded, given, message):
    with pytest.raises(ValueError, match=message):
        public_dataset(recorded, given)
