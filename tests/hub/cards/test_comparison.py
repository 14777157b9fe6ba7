"""The comparison with free filters says how much the two models differ, and in what else than their groups."""

from __future__ import annotations

import pytest

from lgn_hf.hub.cards.comparison import compare
from tests.hub.cards.test_sentences import results_with


def free(**fields):
    return results_with(recipe__group_order=1, recipe__num_groups=20, **fields)


def test_two_runs_that_differ_in_their_groups_alone():
    found = compare(
        results_with(test_accuracy=0.9, data__test=100), free(test_accuracy=0.92, data__test=100), "b.json"
    )
    assert found.sentence == (
        "Compared to a network of the same kind with free filters, its test accuracy is 2.00 percentage points lower (with "
        "100 test images, its standard error is 3.00)."
    )
    assert found.rows[0] == ["test accuracy", "90.00 %", "92.00 %"]
    assert [row[0] for row in found.rows[1:]] == [
        *("parameters", "layers", "filters per layer", "filter size", "whitening", "epochs", "batch size", "seed")
    ]


def test_other_differences_are_shown_and_said():
    found = compare(
        results_with(), free(machine__mixed_precision="no", recipe__random_flip=True, data__fingerprint="0"), ""
    )
    assert found.sentence.endswith(
        "The two runs also differ in data, precision and mirror images, so the comparison does not show the effect of the "
        "groups alone."
    )
    assert found.rows[-2:] == [["precision", "bfloat16", "float32"], ["mirror images", "no", "yes"]]


def test_reconstructions_are_compared_by_the_energy_that_they_miss():
    fields = {"recipe__task": "reconstruction", "test_mse": 0.1}
    found = compare(results_with(**fields, test_relative_error=0.02), free(**fields, test_relative_error=0.01), "")
    assert found.sentence.endswith("its energy missed is 1.00 percentage points higher.")
    assert compare(
        free(**fields, test_relative_error=0.01), free(**fields, test_relative_error=0.01), ""
    ).sentence.endswith("its energy missed is the same.")


@pytest.mark.parametrize(
    "fields", [{"recipe__group_order": 4}, {"recipe__task": "reconstruction", "test_mse": 1, "test_relative_error": 1}]
)
def test_only_a_network_of_the_same_task_without_groups_is_compared(fields):
    with pytest.raises(
        ValueError, match=r"b\.json is of \w+ with group_order \d: must be of classification with group_order 1"
    ):
        compare(results_with(), results_with(**{"recipe__group_order": 1, **fields}), "b.json")
