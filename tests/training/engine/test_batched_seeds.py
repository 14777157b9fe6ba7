"""Networks of several seeds that train as one are those that train apart, and each keeps its own course."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from lgn_training.arguments import RunArguments
from lgn_training.data.batches import MicroBatch
from lgn_training.engine.batched_seeds import StackedStep, check_alike, parts_of, stack_batches, train_at_once
from lgn_training.engine.loop import TrainingStopped
from lgn_training.engine.optimization import make_optimizer
from lgn_training.engine.step import TrainingStep

from tests.support.convnets import CONVNETS, make_convnet
from tests.support.networks import make_images, make_labels, make_used_model

ARGS = RunArguments(max_grad_norm=0.3, weight_decay=0.01)  # every seed's gradient is clipped
KINDS = ["learned-tied", "learned-shared", "learned-network-tied", "learned-nuclear", "learned-logdet", "learned-free"]
KINDS += ["learned-ista", "left", "rotation-60", "cyclic-leftover", "cyclic-nuclear", "baseline", "dense"]
STEPS, SEEDS = 3, 2


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


def make_loop(accelerator, network, args=ARGS) -> Any:
    """What a step needs to know of a loop."""
    optimizer = make_optimizer(network, args)
    return SimpleNamespace(accelerator=accelerator, network=network, optimizer=optimizer, args=args, total_steps=STEPS)


def alone(loop) -> TrainingStep:
    model, optimizer = loop.accelerator.prepare(loop.network, loop.optimizer)
    return TrainingStep(loop.accelerator, model, optimizer, loop.args, loop.total_steps)


def make_batch(network, seed, step, weights=None) -> MicroBatch:
    labels = make_labels(network.config) if hasattr(network, "classifier") else None
    return MicroBatch(make_images(network.config) + 0.1 * seed + 0.2 * step, labels, 0.5, weights)


def check_same(at_once, apart) -> None:
    """Weights, statistics and moments of two loops are equal to rounding."""
    states = [loop.network.state_dict() for loop in (at_once, apart)]
    torch.testing.assert_close(*states, rtol=1e-8, atol=1e-9)
    for pair in zip(at_once.network.parameters(), apart.network.parameters(), strict=True):
        moments = [loop.optimizer.state[p] for loop, p in zip((at_once, apart), pair, strict=True)]
        torch.testing.assert_close(*map(dict, moments), rtol=1e-8, atol=1e-9)


def check_that_networks_train_as_apart(accelerator, networks, args=ARGS, weights=None) -> None:
    loops = [make_loop(accelerator, network, args) for network in copy.deepcopy(networks)]
    twins = [make_loop(accelerator, network, args) for network in networks]
    together, apart = StackedStep(loops), [alone(twin) for twin in twins]
    for number in range(STEPS):
        batches = [[make_batch(twin.network, i, number, weights)] for i, twin in enumerate(twins)]
        results = parts_of(together(stack_batches(batches), number))
        for step, batch, result in zip(apart, batches, results, strict=True):
            expected = step(batch, number)
            torch.testing.assert_close((result.loss, result.norm), (expected.loss, expected.norm))
    for loop, twin in zip(loops, twins, strict=True):
        check_same(loop, twin)


@pytest.mark.parametrize("name", KINDS)
def test_classifiers_of_the_papers(name, accelerator):
    check_that_networks_train_as_apart(accelerator, [make_used_model(name, seed=seed) for seed in range(SEEDS)])


@pytest.mark.parametrize("name", ["learned", "cyclic-tied"])
def test_networks_that_reconstruct(name, accelerator):
    networks = [make_used_model(name, "reconstruction", seed) for seed in range(SEEDS)]
    check_that_networks_train_as_apart(accelerator, networks)


@pytest.mark.parametrize("name", CONVNETS)
def test_networks_over_a_group(name, accelerator):
    check_that_networks_train_as_apart(accelerator, [make_convnet(name, seed) for seed in range(SEEDS)])


def test_smoothed_labels_and_balanced_classes(accelerator):
    networks = [make_used_model("left", seed=seed) for seed in range(SEEDS)]
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    check_that_networks_train_as_apart(accelerator, networks, RunArguments(label_smoothing_factor=0.1), weights)


class Course(SimpleNamespace):
    __hash__: Any = object.__hash__

    """A loop from one step to another, which may break at its end."""

    def steps(self, signals):
        while self.progress.step < self.last:
            self.result = yield [make_batch(self.network, self.seed, self.progress.step)]
            self.companions.append(len(self.result.outputs.logits))
            self.progress.step += 1
        if self.breaks:
            raise TrainingStopped("the loss is not a number", 1)


def make_course(accelerator, seed, last=STEPS, first=0, breaks=False):
    """A course whose network has trained up to its first step."""
    loop = make_loop(accelerator, make_used_model("learned", seed=seed))
    step = alone(loop)
    for number in range(first):
        step([make_batch(loop.network, seed, number)], number)
    progress = SimpleNamespace(step=first)
    return Course(**vars(loop), seed=seed, last=last, progress=progress, breaks=breaks, companions=[])


@pytest.mark.slow
def test_networks_at_the_same_step_train_together_and_one_that_is_behind_catches_up(accelerator, monkeypatch):
    sizes = []
    original = StackedStep.__call__
    monkeypatch.setattr(
        StackedStep, "__call__", lambda *args: sizes.append((args[2], len(args[0].loops))) or original(*args)
    )
    courses: Any = [
        make_course(accelerator, seed=0),
        make_course(accelerator, seed=1, first=1),  # a killed run had saved this one last
        make_course(accelerator, seed=2, last=2),  # stops early
        make_course(accelerator, seed=3, last=2, breaks=True),
        make_course(accelerator, seed=4, first=3),  # has come to its end before
    ]
    expected = [make_course(accelerator, seed=course.seed, first=course.last) for course in courses]
    stopped: Any = train_at_once(courses)
    assert sizes == [(0, 3), (1, 4), (2, 2)]
    assert {course.seed: str(stop) for course, stop in stopped.items()} == {3: "the loss is not a number"}
    for course, twin in zip(courses, expected, strict=True):
        check_same(course, twin)


def test_training_sets_of_different_sizes_are_refused():
    """As where some images cannot be read, and validation images are taken before that is known."""
    loops: Any = [SimpleNamespace(batches=SimpleNamespace(images=range(size))) for size in (90, 91)]
    with pytest.raises(ValueError, match=r"equally many training images for all seeds, which have \[90, 91\]"):
        check_alike(loops)
