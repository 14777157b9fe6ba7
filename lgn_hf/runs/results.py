"""What a training run found out and says about itself, in `all_results.json`: a run writes it, cards and tables read it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .family import family_of
from .json_record import JsonRecord
from .task import TASKS, Task

Self = TypeVar("Self", bound="Results")

# What the mixed precision of a machine computes in.
PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, kw_only=True)
class EvaluatedData(JsonRecord):
    """The data that a model was tested on.

    Attributes:
        source: the data set, as a recipe names it.
        fingerprint: a hash of all images and labels.
        test: how many images the test split has.
        note: what a reader must know of the data, such as that it is a compressed copy.
    """

    source: str
    fingerprint: str
    test: int
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataRecord(EvaluatedData):
    """The data of a run.

    Attributes:
        train, validation: how many images each of these splits has.
    """

    train: int
    validation: int


@dataclass(frozen=True, kw_only=True)
class MachineRecord(JsonRecord):
    """The machine of a run or a test.

    Attributes:
        processor: its name.
        cores: of the processor.
        device: `cpu` or `cuda`.
        processes: how many worked together.
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
    """The fields of a recipe that cards print; `to_json` has them all. See `RunArguments` and the network's configuration."""

    dataset: str
    task: str
    whitening: str
    random_crop: int
    random_flip: bool
    cutout: int | None = None  # runs from before the field have none
    learning_rate: float
    lr_scheduler_type: str
    lr_milestones: list[float]
    lr_decay: float
    max_grad_norm: float

    @classmethod
    def from_json(cls, value: Any, where: str) -> RecipeRecord:
        """Read the recipe of a network of any family."""
        family = family_of(value).model_type if isinstance(value, dict) else "lgn"
        kind: type[RecipeRecord] = {"lgn": LGNRecipeRecord, "lgn_convnet": ConvNetRecipeRecord}[family]
        return super(RecipeRecord, kind).from_json(value, where)

    @property
    def shape(self) -> dict[str, Any]:
        """The facts of the network's shape that a card always shows."""
        return {}

    @property
    def due_to_groups(self) -> tuple[str, ...]:
        """Those of these facts in which a network and its free twin must differ."""
        return ()

    @property
    def has_groups(self) -> bool:
        """Whether filters share anything: False for the baselines that models are compared with."""
        field, free = family_of(self.kept).free_twin
        return self.kept.get(field) != free


@dataclass(frozen=True, kw_only=True)
class LGNRecipeRecord(RecipeRecord):
    """The recipe of an LGN."""

    num_groups: int
    group_order: int
    num_layers: int
    filter_size: int

    @property
    def shape(self) -> dict[str, Any]:
        return {
            "layers": self.num_layers,
            "filters per layer": self.num_groups * self.group_order,
            "filter size": self.filter_size,
        }


@dataclass(frozen=True, kw_only=True)
class ConvNetRecipeRecord(RecipeRecord):
    """The recipe of a residual network over a group."""

    group: str
    num_orbits: list[int]
    depths: list[int]
    filter_size: int

    @property
    def shape(self) -> dict[str, Any]:
        return {"orbits per layer": self.num_orbits, "blocks": self.depths, "filter size": self.filter_size}

    @property
    def due_to_groups(self) -> tuple[str, ...]:
        return ("orbits per layer",)


@dataclass(frozen=True, kw_only=True)
class Results(JsonRecord, ABC):
    """What is known of every model: how good it is, on which data, and where that was measured.

    Attributes:
        metrics: by name: `test_...`, `validation_...` and `train_loss` of the weights that were kept.
        label_names: of the classes, in the order of the two fields below.
        test_confusion_matrix: how many test images of each class (rows) were taken for each class (columns).
        test_class_accuracy: the share of each class's test images that were recognised; None for a class without images.
        parameters: of the exported model.
        versions: of the packages that a result depends on.
        commit: of the program, with a + if files were changed since; None outside of a repository.
        date: YYYY-MM-DD.
    """

    file_name = ""  # not a field
    task_field = ""  # where the file names the task

    metrics: dict[str, float]
    label_names: list[str] | None = None
    test_confusion_matrix: list[list[int]] | None = None
    test_class_accuracy: list[float | None] | None = None
    parameters: int
    data: EvaluatedData
    machine: MachineRecord
    versions: dict[str, str]
    commit: str | None = None
    date: str

    @classmethod
    def from_json(cls: type[Self], value: Any, where: str | None = None) -> Self:
        """Read what `to_json` wrote, now or in an older version.

        Raises:
            ValueError: a field is missing or has the wrong type, or a test metric of the task is not a finite number; the
                message names the field.
        """
        where = where or cls.file_name
        named = {**value, "metrics": _metrics(value)} if isinstance(value, dict) else value
        results = super().from_json(named, where)
        task = results.task_name
        if task not in TASKS:
            raise ValueError(f"{where}.{cls.task_field} is {task!r:.80}: must be one of {', '.join(TASKS)}")
        for metric in results.task.metrics:
            name = f"test_{metric.name}"
            if not math.isfinite(results.metrics.get(name, math.nan)):
                raise ValueError(f"{where}.{name} is {value.get(name)!r:.80}: must be a number, the metric of {task}")
        return results  # pyrefly: ignore[bad-return]

    def to_json(self) -> dict[str, Any]:
        """The object that the file holds: metrics are fields like all others, and those on the test images come first."""
        found = super().to_json()
        metrics = found.pop("metrics")
        if self.kept:
            return {**found, **metrics}
        test = {name: value for name, value in metrics.items() if name.startswith("test_")}
        return {**test, **self._after_test_metrics(), **metrics, **found}

    def _after_test_metrics(self) -> dict[str, Any]:
        return {}

    @property
    @abstractmethod
    def task_name(self) -> str:
        """The name of the task in `TASKS`."""

    @property
    @abstractmethod
    def whitening(self) -> str:
        """How the model's image processor whitens images: `none`, `zca` or `patch`."""

    @property
    def task(self) -> Task:
        """What the model was trained for."""
        return TASKS[self.task_name]

    def test(self, metric: str) -> float:
        """A metric on the test images."""
        return self.metrics[f"test_{metric}"]


@dataclass(frozen=True, kw_only=True)
class RunResults(Results):
    """The results of a run of `training/run.py`.

    Attributes:
        also_tested_on: for each further data set, metrics on its test images, how many they are and their fingerprint.
        selected_by: the metric that chose the best epoch, or `last step`.
        best_epoch: the epoch whose weights were kept; None if the run ended before its first.
        epochs: passes over the training images; a fraction if the run ended within one.
        steps: optimiser steps.
        global_batch_size: images of one step, over all processes and accumulation steps.
        group_source: the name of the actions that generate the network's group, if they were read from a folder.
        recipe_name: the name of the recipe file, without its ending; None if there was none.
        history: metrics after each epoch.
    """

    file_name = "all_results.json"
    task_field = "recipe.task"

    data: DataRecord
    also_tested_on: dict[str, dict[str, Any]] = field(default_factory=dict)
    selected_by: str
    best_epoch: float | None
    epochs: float
    steps: int
    global_batch_size: int
    train_seconds: float
    images_per_second: float
    seed: int
    group_source: str | None = None
    recipe_name: str | None
    recipe: RecipeRecord
    history: list[dict[str, Any]] = field(default_factory=list)

    def _after_test_metrics(self) -> dict[str, Any]:
        return {"also_tested_on": self.also_tested_on}

    @property
    def task_name(self) -> str:
        return self.recipe.task

    @property
    def whitening(self) -> str:
        return self.recipe.whitening


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if name.startswith(("test_", "validation_")) and type(value) in (int, float)
    } | {name: values[name] for name in ("train_loss",) if type(values.get(name)) in (int, float)}
