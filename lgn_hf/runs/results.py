"""What a training run found out and says about itself, in `all_results.json`: a run writes it, cards and tables read it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .json_record import JsonRecord
from .task import TASKS, Task

# What the mixed precision of a machine computes in.
PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, kw_only=True)
class DataRecord(JsonRecord):
    """The data of a run.

    Attributes:
        source: the data set, as a recipe names it.
        fingerprint: a hash of all images and labels.
        train, validation, test: how many images each split has.
        note: what a reader must know of the data, such as that it is a compressed copy.
    """

    source: str
    fingerprint: str
    train: int
    validation: int
    test: int
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class MachineRecord(JsonRecord):
    """The machine that a run had.

    Attributes:
        processor: its name.
        cores: of the processor.
        device: `cpu` or `cuda`.
        processes: how many trained together.
        mixed_precision: `no`, `bf16` or `fp16`.
        accelerator: the name of the GPU; None without one.
    """

    processor: str
    cores: int
    platform: str | None = None
    python: str | None = None
    device: str
    processes: int
    threads_per_process: int | None = None
    mixed_precision: str
    accelerator: str | None = None

    @property
    def precision(self) -> str:
        """The number format of the computations, such as `float32`."""
        return PRECISIONS.get(self.mixed_precision, self.mixed_precision)


@dataclass(frozen=True, kw_only=True)
class RecipeRecord(JsonRecord):
    """The fields of a recipe that cards print; `to_json` has them all. See `LGNConfig` and `RunArguments`."""

    num_groups: int
    group_order: int
    num_layers: int
    filter_size: int
    dataset: str
    task: str
    whitening: str
    random_crop: int
    random_flip: bool
    learning_rate: float
    lr_scheduler_type: str
    lr_milestones: list[float]
    lr_decay: float
    max_grad_norm: float


@dataclass(frozen=True, kw_only=True)
class RunResults(JsonRecord):
    """The results of a run.

    Attributes:
        metrics: by name: `test_...`, `validation_...` and `train_loss` of the weights that were kept.
        also_tested_on: for each further data set, metrics on its test images, how many they are and their fingerprint.
        label_names: of the classes, in the order of the two fields below.
        test_confusion_matrix: how many test images of each class (rows) were taken for each class (columns).
        test_class_accuracy: the share of each class's test images that were recognised; None for a class without images.
        selected_by: the metric that chose the best epoch, or `last step`.
        best_epoch: the epoch whose weights were kept; None if the run ended before its first.
        epochs: passes over the training images; a fraction if the run ended within one.
        steps: optimiser steps.
        global_batch_size: images of one step, over all processes and accumulation steps.
        parameters: of the exported model.
        recipe_name: the name of the recipe file, without its ending; None if there was none.
        versions: of the packages that a result depends on.
        commit: of the program, with a + if files were changed since; None outside of a repository.
        date: YYYY-MM-DD.
        history: metrics after each epoch.
    """

    metrics: dict[str, float]
    also_tested_on: dict[str, dict[str, Any]] = field(default_factory=dict)
    label_names: list[str] | None = None
    test_confusion_matrix: list[list[int]] | None = None
    test_class_accuracy: list[float | None] | None = None
    selected_by: str
    best_epoch: float | None
    epochs: float
    steps: int
    global_batch_size: int
    parameters: int
    train_seconds: float
    images_per_second: float
    seed: int
    recipe_name: str | None
    recipe: RecipeRecord
    data: DataRecord
    machine: MachineRecord
    versions: dict[str, str]
    commit: str | None = None
    date: str
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: Any, where: str = "all_results.json") -> RunResults:
        """Read what `to_json` wrote, now or in an older version.

        Raises:
            ValueError: a field is missing or has the wrong type, or a test metric of the task is not a finite number; the
                message names the field.
        """
        named = {**value, "metrics": _metrics(value)} if isinstance(value, dict) else value
        results = super().from_json(named, where)
        task = results.recipe.task
        if task not in TASKS:
            raise ValueError(f"{where}.recipe.task is {task!r:.80}: must be one of {', '.join(TASKS)}")
        for metric in results.task.metrics:
            name = f"test_{metric.name}"
            if not math.isfinite(results.metrics.get(name, math.nan)):
                raise ValueError(f"{where}.{name} is {value.get(name)!r:.80}: must be a number, the metric of {task}")
        return results

    def to_json(self) -> dict[str, Any]:
        """The object that `all_results.json` holds: metrics are fields like all others."""
        found = super().to_json()
        metrics = found.pop("metrics")
        test = {name: value for name, value in metrics.items() if name.startswith("test_")}
        return (
            {**found, **metrics} if self.kept else {**test, "also_tested_on": self.also_tested_on, **metrics, **found}
        )

    @property
    def task(self) -> Task:
        """What the model was trained for."""
        return TASKS[self.recipe.task]

    def test(self, metric: str) -> float:
        """A metric on the test images."""
        return self.metrics[f"test_{metric}"]


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if name.startswith(("test_", "validation_")) and type(value) in (int, float)
    } | {name: values[name] for name in ("train_loss",) if type(values.get(name)) in (int, float)}
