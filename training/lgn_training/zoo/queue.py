"""The queue of trainings that `zoo.yaml` lists."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from lgn_hf.hub.examples import MOST_EXAMPLES
from lgn_training.arguments import as_options
from lgn_training.data import load_test_images, local_copy
from lgn_training.engine.output_folder import RESULTS_FILE
from lgn_training.zoo.records import Key, short_name

TRAINING = Path(__file__).parents[2]
CHECKOUT = TRAINING.parent


@dataclass(frozen=True)
class Run:
    """One training: a recipe, a seed, and the fields that differ from the recipe.

    name: of the model. folder: where the run lies. baseline: the model that its card compares with.
    publish: whether it may become the model's folder.
    """

    name: str
    recipe: str
    epochs: int
    seed: int
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    publish: bool = False

    @property
    def is_done(self) -> bool:
        return (self.folder / RESULTS_FILE).is_file()

    def command(self, data: Path | None) -> list[str]:
        """The command that starts the run, or continues it."""
        further = self.fields.get("also_test_on") or []
        fields = {
            **self.options,
            "dataset": local_copy(self.fields["dataset"], data),
            "also_test_on": [local_copy(source, data) for source in further] or None,
            "num_train_epochs": self.epochs,
            "seed": self.seed,
            "output_dir": self.folder,
        }
        return [sys.executable, str(TRAINING / "run.py"), str(self.recipe_file), *as_options(fields), "--resume"]

    @property
    def key(self) -> Key:
        """The values of the columns `records.KEY` in the row of its results."""
        fields = self.fields
        precision = next((name for name in ("bf16", "fp16") if fields.get(name)), "no")
        whitening, limit = fields.get("whitening", "none"), fields.get("max_train_samples")
        facts = (self.name, short_name(fields["dataset"]), self.seed, self.epochs, whitening)
        return (*map(str, facts), precision, "" if limit is None else str(limit))

    @property
    def recipe_file(self) -> Path:
        return TRAINING / "recipes" / f"{self.recipe}.yaml"

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of its recipe, with those that differ."""
        return {**yaml.safe_load(self.recipe_file.read_text()), **self.options}

    def examples(self, data: Path | None) -> list[Tensor]:
        """Some of its test images."""
        options = {"seed": self.seed, "max_test_samples": MOST_EXAMPLES, "needs_labels": False, "progress": False}
        return [*load_test_images(local_copy(self.fields["dataset"], data), **options).images]


def read_queue(path: Path, runs: Path) -> list[Run]:
    """The runs of `zoo.yaml`, in its order.

    Raises:
        ValueError: a field is unknown or missing, or a recipe does not exist.
    """
    queue = []
    for entry in yaml.safe_load(path.read_text()):
        _check_entry(entry, path)
        name = entry.get("name", entry["recipe"])
        queue += [
            Run(
                name=name,
                recipe=entry["recipe"],
                epochs=entry["epochs"],
                seed=seed,
                folder=runs / f"{entry.get('folder', name)}-{seed}",
                options=entry.get("options", {}),
                baseline=entry.get("baseline"),
                publish=entry.get("publish", True) and seed == entry["seeds"][0],
            )
            for seed in entry["seeds"]
        ]
    names = {run.name for run in queue} | {None}
    if unknown := {run.baseline for run in queue} - names:
        raise ValueError(f"{path}: there is no model {', '.join(map(str, unknown))} to be a baseline")
    return queue


def _check_entry(entry: dict[str, Any], path: Path) -> None:
    unknown = entry.keys() - {"name", "recipe", "epochs", "seeds", "options", "baseline", "publish", "folder"}
    missing = {"recipe", "epochs", "seeds"} - entry.keys()
    if unknown or missing:
        raise ValueError(f"{path}: {entry} has unknown fields {sorted(unknown)}, or lacks {sorted(missing)}")
    if not (TRAINING / "recipes" / f"{entry['recipe']}.yaml").is_file():
        raise ValueError(f"{path}: there is no recipe {entry['recipe']}")
