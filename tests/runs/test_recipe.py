"""The fields of a run declare what others ask about them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest

from lgn_hf import LGNConfig, LGNConvNetConfig
from lgn_hf.runs import recipe
from lgn_hf.runs.recipe import FREE_ON_RESUME, RunArguments, compared_fields

FIELDS = dataclasses.fields(RunArguments)


def test_every_field_says_what_it_is():
    for field in FIELDS:
        assert field.metadata["help"], field.name
        assert not (field.metadata["compared_as"] and field.metadata["not_compared"]), field.name


def test_no_two_fields_are_compared_under_one_name():
    names = [field.metadata["compared_as"] or field.name.replace("_", " ") for field in FIELDS]
    assert len(set(names)) == len(names)


def test_the_fields_of_the_network_are_those_of_its_configuration():
    configurations = (LGNConfig, LGNConvNetConfig)
    known = {field.name for kind in configurations for field in dataclasses.fields(kind) if "help" in field.metadata}
    assert {*recipe._NETWORK_NOT_COMPARED, *recipe._NETWORK_COMPARED_AS} <= known
    assert not known & {field.name for field in FIELDS}


def test_two_runs_are_compared_by_what_can_change_their_weights_and_is_not_said_elsewhere():
    fields = {"num_groups": 5, "num_layers": 4, "tied": False, "seed": 1, "bf16": True, "report_to": "trackio"}
    fields |= {"learning_rate": 0.1, "lr_scheduler_type": "cosine", "a_field_of_tomorrow": 3}
    assert compared_fields(fields) == {
        "layers": 4,
        "tied layers": False,
        "learning rate": 0.1,
        "schedule": "cosine",
        "a field of tomorrow": 3,
    }


def test_a_continuation_may_run_elsewhere_but_not_train_otherwise():
    assert {"use_cpu", "per_device_train_batch_size", "gradient_accumulation_steps", "report_to"} <= FREE_ON_RESUME
    assert not FREE_ON_RESUME & {"learning_rate", "seed", "dataset", "whitening", "bf16", "num_train_epochs"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"whitening": "pca"}, "whitening='pca': must be one of none, zca, patch"),
        ({"learning_rate": float("inf")}, "learning_rate=inf: must be finite"),
        ({"random_crop": -1}, "random_crop=-1: must be at least 0"),
        ({"cutout": -1}, "cutout=-1: must be at least 0"),
        ({"bf16": True, "fp16": True}, "bf16 and fp16 exclude each other: choose one"),
    ],
)
def test_a_wrong_value_is_named(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        RunArguments(**fields)


@pytest.mark.slow
def test_a_recipe_is_read_without_accelerate():
    code = "import sys; sys.modules['accelerate'] = None; import lgn_hf.runs.recipe, lgn_hf.runs.task"
    subprocess.run([sys.executable, "-c", code], check=True)
