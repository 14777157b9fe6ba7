"""Data sets lie in a folder or on the Hub."""

from pathlib import Path

from lgn_training.data import local_copy


def test_data_lie_in_a_folder_or_on_the_hub():
    assert local_copy("rot-mnist:ylecun/mnist", Path("data")) == "rot-mnist:data/mnist"
    assert local_copy("uoft-cs/cifar10", Path("data")) == "data/cifar10"
    assert local_copy("uoft-cs/cifar10", None) == "uoft-cs/cifar10"
    assert local_copy("digits", Path("data")) == "digits"
