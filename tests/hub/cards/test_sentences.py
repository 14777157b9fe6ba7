"""Each sentence of a card says what is true of the model, in words for one and for many."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from lgn_hf import LGNConfig
from lgn_hf.hub.cards import limitations as shared_limitations
from lgn_hf.hub.cards import sentences as shared_sentences
from lgn_hf.hub.cards.facts import Span, gap
from lgn_hf.hub.cards.tasks import TASK_TEXTS, task_text
from lgn_hf.hub.cards.unfolded import limitations, sentences
from lgn_hf.hub.cards.unfolded.facts import ActionFacts, UnfoldedFacts
from lgn_hf.model.group_actions import ACTION_KINDS
from lgn_hf.runs.results import RunResults
from lgn_hf.runs.task import TASKS
from tests.conftest import ROOT


def results_with(**fields: Any) -> RunResults:
    """Results of a run, with other fields: `data__note` is the note of its data."""
    values = json.loads((ROOT / "model_cards" / "lgn-cifar10" / "all_results.json").read_text())
    for name, value in {"data__note": None, **fields}.items():
        *parents, last = name.split("__")
        where = values
        for parent in parents:
            where = where[parent]
        where[last] = value
    return RunResults.from_json(values)


def actions_with(**fields: Any) -> ActionFacts:
    """Twenty unstructured actions of condition number 2, with other facts."""
    plain = ActionFacts(
        count=20,
        labels=[],
        above=0,
        singular=0,
        nearly_singular=0,
        conditions=Span(2.0, 1.0, 3.0),
        collapsed=0,
        powers=Span(1.0, 0.9, 1.1),
        rows=[],
        scores=[],
    )
    return dataclasses.replace(plain, **fields)


def facts_with(actions: ActionFacts | None = None, results: RunResults | None = None, **fields: Any) -> UnfoldedFacts:
    config = LGNConfig(**{"num_groups": 5, "group_order": 4, "num_layers": 4, "filter_size": 6, **fields})
    return UnfoldedFacts(config, results or results_with(), actions)


# What the model is


def test_a_network_of_learned_actions_is_introduced():
    assert sentences.introduction(facts_with(actions_with())) == (
        "A Linear Group Network (LGN) that classifies images of [CIFAR-10](https://huggingface.co/datasets/uoft-cs/cifar10). "
        "It unfolds sparse coding into 4 layers. The filters of each layer form 5 groups of 4: each group is the orbit "
        "W, AW, A²W, A³W of one 6 \N{MULTIPLICATION SIGN} 6 basis filter W under a matrix A that acts on its pixels."
    )


def test_a_network_without_groups_is_introduced():
    facts = facts_with(group_order=1, num_groups=20, num_layers=1, results=results_with(data__source="digits"))
    text = sentences.introduction(facts)
    assert text.startswith(
        "An unfolded sparse-coding network of 1 layer that classifies images of scikit-learn's digits."
    )
    assert "**It has no group structure**: all 20 filters of a layer are free (`group_order` 1)." in text


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({}, "acts on its pixels."),
        ({"action_sharing": "layer"}, "acts on its pixels; all groups of a layer share one A."),
        ({"action_sharing": "network"}, "acts on its pixels; all groups of all layers share one A."),
        (
            {"action_sharing": "layer", "tied": True},
            "acts on its pixels; all groups of all layers share one A.",
        ),
        ({"action": "rotation", "action_sharing": "layer"}, "acts on its pixels."),
    ],
)
def test_an_introduction_says_who_shares_an_action(fields, ending):
    assert sentences.introduction(facts_with(actions_with(), **fields)).endswith(ending)


@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_a_card_has_words_for_every_kind_of_action(kind):
    text = ACTION_KINDS[kind].card_text(6, 8)
    assert text.endswith(".")
    assert "{" not in text
    assert sentences.kind_of_action(facts_with(actions_with(), action=kind, group_order=6, filter_size=8)) == text


@pytest.mark.parametrize("task", TASKS)
def test_a_card_has_words_for_every_task(task):
    metrics = {f"test_{metric.name}": 0.25 for metric in TASKS[task].metrics}
    results = results_with(recipe__task=task, **metrics)
    assert "25.00 %" in TASK_TEXTS[task].result(results)
    check_programs(TASK_TEXTS[task])


def test_a_task_without_words_of_its_own_has_plain_ones():
    task = replace(TASKS["classification"], name="segmentation")
    text = task_text(task)
    assert text.verb == "performs segmentation on"
    assert (
        text.result(results_with(test_accuracy=0.25, data__test=1000))
        == "**Its accuracy on 1,000 test images is 0.25**"
    )
    check_programs(text)


def check_programs(text):
    for program in text.programs('"user/name"'):
        assert '"user/name"' in program
        compile(program, "card", "exec")


def test_the_result_has_size_and_training():
    results = results_with(test_accuracy=0.5, data__test=1000, parameters=12345, epochs=1, seed=7)
    text = "**It classifies 50.00 % of 1,000 test images correctly**, with 12,345 parameters, after 1 epoch of training (seed 7)."
    assert shared_sentences.result(facts_with(results=results)) == text
    noted = results_with(data__note="a *copy*")
    assert shared_sentences.result(facts_with(results=noted)).endswith(" Note on the data: a \\*copy\\*.")


def test_the_result_of_a_reconstruction():
    fields = {"recipe__task": "reconstruction", "test_mse": 0.001, "test_relative_error": 0.0015}
    whitened, plain = (results_with(**fields, recipe__whitening=whitening) for whitening in ("zca", "none"))
    start = "**It misses 0.15 % of the energy of 10,000 whitened test images** (mean squared error 1.0\N{MULTIPLICATION SIGN}10⁻³), with"
    assert shared_sentences.result(facts_with(results=whitened)).startswith(start)
    assert "10,000 test images**" in shared_sentences.result(facts_with(results=plain))


# What was found


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        (
            {"count": 1, "labels": [("cyclic of order 6", 1)], "above": 1},
            "**The action has a recognised structure**: cyclic of order 6. At least one of its scores is more than 5 standard "
            "deviations above that of random matrices (z > 5).",
        ),
        (
            {"count": 1},
            "**The action has no recognised structure.** None of its scores is more than 5 standard deviations above that of "
            "random matrices (z > 5).",
        ),
        (
            {},
            "**None of the 20 actions has a recognised structure.** None of them has a score more than 5 standard deviations "
            "above that of random matrices (z > 5).",
        ),
        (
            {"above": 1},
            "**None of the 20 actions has a recognised structure.** 1 of them has a score more than 5 standard "
            "deviations above that of random matrices (z > 5), but no such score is large enough to call an action a "
            "rotation, a convolution or any other known operation.",
        ),
        (
            {"labels": [("orthogonal", 2), ("a*b", 1)], "above": 20},
            "**3 of the 20 actions have a recognised structure** (orthogonal \N{MULTIPLICATION SIGN} 2, a\\*b): at least one "
            "score that is both large and more than 5 standard deviations above that of random matrices (z > 5). The other "
            "17 have none. Counting small scores as well, all 20 actions have at least one that far above chance.",
        ),
        (
            {"labels": [("orthogonal", 19)], "above": 20},
            "The other one has none. Counting small scores as well, all 20 actions have at least one that far above chance.",
        ),
        (
            {"labels": [("orthogonal", 20)], "above": 20},
            "**All 20 actions have a recognised structure** (orthogonal \N{MULTIPLICATION SIGN} 20): at least one score that "
            "is both large and more than 5 standard deviations above that of random matrices (z > 5).",
        ),
    ],
)
def test_findings(actions, text):
    assert text in sentences.finding(facts_with(actions_with(**actions)))


def test_what_is_built_in_is_not_a_discovery():
    labelled = actions_with(labels=[("cyclic of order 4", 20)], above=20)
    end = "The actions generate a finite group by construction, so a label that says so is not a discovery."
    assert sentences.finding(facts_with(labelled, action="cyclic")).endswith(end)
    assert "discovery" not in sentences.finding(facts_with(labelled))
    assert "discovery" not in sentences.finding(facts_with(actions_with(), action="cyclic"))


def test_fixed_actions_are_not_found():
    text = "All groups have the same fixed action, a bilinear rotation by 60°. Only the basis filters were learned."
    assert sentences.finding(facts_with(actions_with(), action="rotation", group_order=6)) == text
    assert sentences.finding(facts_with(group_order=1)) == ""


# How it was trained


def test_the_training_is_told():
    fields = {"recipe__random_crop": 1, "recipe__random_flip": True, "recipe__cutout": 8}
    fields |= {"best_epoch": 87, "global_batch_size": 128}
    assert shared_sentences.training(facts_with(results=results_with(**fields))) == (
        "Trained on 47,500 images of uoft-cs/cifar10 and tested once on its 10,000 test images. The weights of epoch 87 of "
        "100 were kept, chosen by accuracy on 2,500 held-out training images. Adam with learning rate 0.01 (times 0.5 after "
        "50 %, 75 % and 87.5 % of the run), batches of 128, gradient norm clipped at 2; augmentation: shifts by up to 1 "
        "pixel, mirror images and squares of 8 pixels cut out."
    )


def test_a_training_without_validation_clipping_and_augmentation():
    results = results_with(data__validation=0, recipe__max_grad_norm=0.0, recipe__lr_scheduler_type="cosine")
    assert shared_sentences.kept_epoch(results) == "The weights of epoch 87 of 100 were kept."
    text = "Adam with learning rate 0.01 (cosine schedule), batches of 128, no gradient clipping; no augmentation."
    assert shared_sentences.optimisation(results) == text
    assert shared_sentences.kept_epoch(results_with(best_epoch=None)) == ""


def test_the_epoch_is_chosen_by_a_metric_with_a_name():
    assert "chosen by mean squared error on" in shared_sentences.kept_epoch(results_with(selected_by="validation_mse"))


def test_the_machine_is_told():
    results = results_with(
        machine__processor="Abacus", machine__cores=1, machine__processes=2, machine__mixed_precision="no"
    )
    assert (
        shared_sentences.machine(results) == "NVIDIA H100 80GB HBM3, Abacus, 1 core, 2 processes, mixed precision: no"
    )
    assert (
        shared_sentences.training_time(results_with(train_seconds=61, images_per_second=1234.5))
        == "1 min 1 s, 1,234 images per second"
    )


# What its limits are


@pytest.mark.parametrize(
    ("sentence", "actions", "text"),
    [
        (limitations.singular, {}, ""),
        (
            limitations.singular,
            {"count": 1, "singular": 1},
            "The action is singular: it is not invertible and generates no group.",
        ),
        (
            limitations.singular,
            {"singular": 1},
            "1 of the 20 actions is singular: it is not invertible and generates no group.",
        ),
        (
            limitations.singular,
            {"singular": 3},
            "3 of the 20 actions are singular: they are not invertible and generate no groups.",
        ),
        (limitations.conditions, {"conditions": None}, ""),
        (limitations.conditions, {"count": 1}, "The condition number of the action is 2."),
        (
            limitations.conditions,
            {"count": 1, "nearly_singular": 1, "conditions": Span(5e3, 5e3, 5e3)},
            "The condition number of the action is 5000, so it is nearly singular.",
        ),
        (
            limitations.conditions,
            {},
            "None of the 20 actions is nearly singular (condition number above 1,000). Condition numbers range from 1 to 3, "
            "with median 2.",
        ),
        (
            limitations.conditions,
            {"nearly_singular": 20},
            "All 20 actions are nearly singular (condition number above 1,000). Condition numbers range from 1 to 3, with "
            "median 2.",
        ),
        (limitations.unstructured, {"labels": [("a", 20)]}, ""),
        (limitations.unstructured, {"count": 1}, "The action shows no structure that the diagnostics recognise."),
        (
            limitations.unstructured,
            {"labels": [("a", 19)]},
            "1 of the 20 actions shows no structure that the diagnostics recognise.",
        ),
        (limitations.unstructured, {}, "All 20 actions show no structure that the diagnostics recognise."),
    ],
)
def test_limits_of_the_actions(sentence, actions, text):
    assert sentence(actions_with(**actions)) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Span(1.4, 0.95, 2.2), ""),
        (
            Span(0.1, 0.01, 0.5),
            "The powers of A fade: the norm of A³W is 0.1 times that of W (median; range 0.01 to 0.5), so the later filters of a group contribute less.",
        ),
        (Span(3.0, 3.0, 3.0), "The powers of A grow: the norm of A³W is 3 times that of W."),
    ],
)
def test_powers_that_fade_or_grow(found, text):
    assert limitations.fading(actions_with(powers=found), 4) == text


def test_powers_that_keep_their_size():
    assert (
        limitations.powers(actions_with(), "A³W") == "The norm of A³W is 1 times that of W (median; range 0.9 to 1.1)."
    )
    assert (
        limitations.powers(actions_with(powers=None), "A³W") == limitations.fading(actions_with(powers=None), 4) == ""
    )


def test_powers_that_collapse():
    text = "The powers of {} collapse: two of I, A, …, A⁵ are nearly multiples of each other (separation below 0.1)."
    assert limitations.collapse(actions_with(collapsed=2), 6) == text.format("2 of the 20 actions")
    assert limitations.collapse(actions_with(collapsed=20), 6) == text.format("all 20 actions")
    assert limitations.collapse(actions_with(count=1, collapsed=1), 6) == text.format("the action")
    assert limitations.collapse(actions_with(), 6) == ""


def test_actions_may_cost_more_than_they_save():
    text = "The actions cost more parameters than they save: the same number of free filters would have 2,880 parameters instead of 26,640."
    assert limitations.cost_of_actions(facts_with(actions_with())) == text
    shared = facts_with(actions_with(), action="cyclic", action_sharing="network", num_groups=10)
    assert limitations.cost_of_actions(shared) == ""


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ({}, ""),
        (
            {"singular": 1},
            "The rotation of a square filter by 60° is not invertible, because corners leave the square. It generates a cyclic group only approximately.",
        ),
        (
            {"nearly_singular": 1, "conditions": Span(2e3, 2e3, 2e3)},
            "The rotation of a square filter by 60° is nearly singular (condition number 2000), because corners leave the square. It generates a cyclic group only approximately.",
        ),
    ],
)
def test_rotations_that_lose_corners(actions, text):
    facts = facts_with(actions_with(**actions), action="rotation", group_order=6)
    assert limitations.fixed_action(facts, actions_with(**actions)) == text


def test_only_kinds_that_are_not_groups_by_construction_are_said_not_to_be():
    assert limitations.finite_group(facts_with(actions_with())).startswith("Nothing forces the powers of A to form")
    assert limitations.finite_group(facts_with(actions_with(), action="cyclic")) == ""


def test_limits_of_the_run():
    text = "The loss is 1 on the validation images and 4 on the test images. A few images can cause such a difference."
    assert shared_limitations.validation_gap(results_with(validation_loss=1.0, test_loss=4.0)) == text
    assert shared_limitations.validation_gap(results_with()) == ""
    assert gap(results_with(validation_loss=float("nan")), "loss") is None
    assert shared_limitations.whitening(results_with(recipe__whitening="zca")).startswith(
        "ZCA whitening is tied to the pixels"
    )
    assert shared_limitations.whitening(results_with()) == shared_limitations.data_note(results_with()) == ""
    assert (
        shared_limitations.data_note(results_with(data__note="a copy"))
        == "The data: a copy. Results on other copies may differ."
    )
    assert limitations.few_epochs(results_with(epochs=1.5)) == "Trained for 1.5 epochs; the papers train for 100."
    assert limitations.few_epochs(results_with(epochs=100)) == ""


def test_a_network_without_groups_has_only_the_limits_of_its_run():
    found = limitations.limitations(facts_with(group_order=1))
    assert len(found) == 2
    assert found[0].startswith("One seed (0)")
    assert found[1].endswith("Do not use it to make decisions.")
