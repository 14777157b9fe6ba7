"""What a run can be told: the network's fields, the run's fields, recipes and the command line."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from lgn_hf import LGNConfig
from lgn_hf.runs.task import TASKS

# Fields that may differ between a run and its continuation. They do not change what is trained, but can change the weights
# that come out: BatchNorm and augmentation are of the parts into which processes and accumulation steps divide a batch, and
# another division or device rounds otherwise.
FREE_ON_RESUME = {
    "per_device_train_batch_size",  # the images of a step, over all processes and accumulation steps, stay: that is checked
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "logging_steps",
    "save_steps",
    "disable_tqdm",
    "report_to",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "use_cpu",
}


def _option(default, help: str):
    return field(default=default, metadata={"help": help})


@dataclass
class RunArguments:
    """Everything of a run but the network; names are those of `transformers.TrainingArguments` where it has one."""

    dataset: str = _option(
        "digits",
        "Hub id (ylecun/mnist, uoft-cs/cifar10, ...), parquet folder, image folder, save_to_disk folder, digits (inside "
        "scikit-learn, no download), rot-mnist:SOURCE (its images pooled, rotated and divided as the benchmark's) or "
        "rotated:SOURCE (its images rotated, each by an angle of its own)",
    )
    task: str = _option("classification", "classification or reconstruction")
    image_column: str | None = _option(None, "column of the images; found by itself where only one fits")
    label_column: str | None = _option(None, "column of the labels; found by itself where only one fits")
    dataset_config_name: str | None = _option(None, "configuration of a data set that has several")
    train_val_split: float | None = _option(
        None,
        "share of the training images that is held out for model selection; 0: none; default: the data set's own "
        "validation split, else a tenth (rot-MNIST: a sixth, its benchmark's)",
    )
    also_test_on: list[str] | None = field(
        default=None,
        metadata={
            "help": "further data sets, as `dataset` takes them, whose test images the trained model is tested on"
        },
    )
    max_train_samples: int | None = _option(None, "train on that many images at most (a seeded choice)")
    max_test_samples: int | None = _option(None, "test on that many images at most (a seeded choice)")
    whitening: str = _option("none", "none, zca (the papers': over all pixels) or patch (a small ZCA convolution)")
    random_crop: int = _option(0, "shift training images by up to that many pixels")
    random_flip: bool = _option(False, "mirror training images left to right, half of the time")

    output_dir: str = _option("runs/lgn", "folder of the trained model, its checkpoints and results")
    resume: bool = _option(False, "continue the run in output_dir from its newest checkpoint")
    seed: int = _option(0, "seed of initial weights, validation split, order of batches and augmentation")
    num_train_epochs: float = _option(10.0, "passes over the training images")
    max_steps: int = _option(-1, "stop after that many optimiser steps, whatever num_train_epochs says")
    per_device_train_batch_size: int = _option(128, "images per process, accumulation step and training step")
    per_device_eval_batch_size: int = _option(500, "images per process and evaluation step")
    gradient_accumulation_steps: int = _option(1, "backward passes per optimiser step")
    learning_rate: float = _option(0.01, "peak learning rate of Adam")
    lr_scheduler_type: str = _option("multistep", "multistep (lr_milestones, lr_decay), cosine, linear or constant")
    lr_milestones: list[float] = field(
        default_factory=lambda: [0.5, 0.75, 0.875],
        metadata={"help": "shares of the run after which multistep decays; the papers' LGN: 0.5 0.75 0.875"},
    )
    lr_decay: float = _option(0.5, "factor of each multistep decay")
    warmup_ratio: float = _option(0.0, "share of the run that raises the learning rate linearly from 0")
    weight_decay: float = _option(0.0, "decoupled weight decay of everything but thresholds, norms and biases")
    adam_beta1: float = _option(0.9, "Adam's decay of the mean gradient")
    adam_beta2: float = _option(0.999, "Adam's decay of the mean squared gradient")
    adam_epsilon: float = _option(1e-8, "Adam's epsilon")
    max_grad_norm: float = _option(2.0, "clip the gradient's norm; 0 leaves it")
    label_smoothing_factor: float = _option(0.0, "share of the target that goes to all classes alike")
    early_stopping_patience: int = _option(
        0, "stop after that many epochs without a better validation metric; 0: never"
    )
    load_best_model_at_end: bool = _option(True, "export the weights of the best validated epoch, not of the last")

    bf16: bool = _option(False, "bfloat16 mixed precision")
    fp16: bool = _option(False, "float16 mixed precision (GPU)")
    torch_compile: bool = _option(False, "compile the network")
    channels_last: bool = _option(False, "keep images and codes in channels-last memory order")
    use_cpu: bool = _option(False, "stay on the CPU even where there is a GPU")

    logging_steps: int = _option(10, "steps between updates of the progress bar and the trackers")
    save_steps: int = _option(0, "steps between checkpoints within an epoch; 0: only after each epoch")
    report_to: str = _option("none", "tracker: none, trackio or tensorboard")
    disable_tqdm: bool = _option(False, "no progress bars")
    push_to_hub: bool = _option(False, "upload the trained model to the Hub")
    hub_model_id: str | None = _option(None, "Hub repository, USER/NAME; default: the name of output_dir")
    hub_private_repo: bool = _option(False, "make a new Hub repository private")

    def __post_init__(self):
        choices = {
            "task": tuple(TASKS),
            "whitening": ("none", "zca", "patch"),
            "lr_scheduler_type": ("multistep", "cosine", "linear", "constant"),
            "report_to": ("none", "trackio", "tensorboard"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be one of " + ", ".join(allowed))
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name}={value!r}: must be finite")
        positive = ("num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size", "logging_steps")
        for name in (*positive, "gradient_accumulation_steps", "learning_rate", "lr_decay", "adam_epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be greater than 0")
        for name in ("train_val_split", "warmup_ratio", "label_smoothing_factor", "adam_beta1", "adam_beta2"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 0 and less than 1")
        for name in ("seed", "weight_decay", "max_grad_norm", "random_crop", "early_stopping_patience", "save_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 0")
        if self.seed >= 2**32:
            raise ValueError(f"seed={self.seed}: must be less than 2**32")
        if self.max_steps < 1 and self.max_steps != -1:
            raise ValueError(
                f"max_steps={self.max_steps}: must be greater than 0, or -1 for as many as the epochs have"
            )
        if not all(0 < share < 1 for share in self.lr_milestones):
            raise ValueError(f"lr_milestones={self.lr_milestones!r}: must be shares of the run between 0 and 1")
        if self.bf16 and self.fp16:
            raise ValueError("bf16 and fp16 exclude each other: choose one")
        if self.early_stopping_patience and self.train_val_split == 0:
            raise ValueError("early_stopping_patience needs a validation split: train_val_split is 0")


def _network_arguments() -> Any:
    """The fields of `LGNConfig` as an argument group; those that the data decides default to None."""
    own = [f for f in dataclasses.fields(LGNConfig) if "help" in f.metadata]
    options: list[Any] = []
    for f in own:
        from_data = f.name in ("image_size", "num_channels")
        note = " (default: as the data)" if from_data else ""
        kind: Any = f.type
        options.append(
            (
                f.name,
                kind | None if from_data else kind,
                _option(None if from_data else f.default, f.metadata["help"] + note),
            )
        )
    return dataclasses.make_dataclass("NetworkArguments", options)


NetworkArguments = _network_arguments()


@dataclass
class Recipe:
    """A parsed run: `network` holds LGNConfig fields (None: as the data), `run` the rest, `name` the recipe's."""

    network: dict
    run: RunArguments
    name: str | None

    def fields(self) -> dict:
        """Every field that says what is trained, flat, as a recipe file has them; not where it is kept."""
        fields = {**self.network, **dataclasses.asdict(self.run)}
        return {name: value for name, value in fields.items() if name not in ("output_dir", "resume")}

    def scalars(self) -> dict:
        """The fields that trackers take."""
        return {k: v for k, v in self.fields().items() if isinstance(v, (int, float, str, bool))}


class Parser(HfArgumentParser):
    """Its errors are exceptions, for the program to end in one line, instead of the usage and an exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse_arguments(argv: list[str]) -> Recipe:
    """`[RECIPE.yaml] [--field value ...]`: recipe fields, overridden by the command line's.

    Raises:
        ValueError: an unknown field (with the nearest name), a recipe that is missing or no flat mapping, an argument
            too many, or a value of the wrong type or one that is not allowed.
        OSError: the recipe cannot be read.
    """
    kinds: Any = (NetworkArguments, RunArguments)
    parser = Parser(
        kinds,
        prog="run.py",
        usage="accelerate launch training/run.py [RECIPE.yaml] [--field value ...]",
        description="Train and test a Linear Group Network.",
        allow_abbrev=False,
    )
    known = {f.name: str(f.type) for kind in kinds for f in dataclasses.fields(kind)}
    path = Path(argv[0]) if argv and not argv[0].startswith("-") else None
    if path is not None:
        argv = _recipe_options(path, known) + argv[1:]
    network, run, rest = parser.parse_args_into_dataclasses(
        argv, return_remaining_strings=True, look_for_args_file=False
    )
    if rest and rest[0].startswith("--"):
        raise ValueError(_unknown(rest[0][2:].split("=")[0].replace("-", "_"), known, "the command line"))
    if rest:
        raise ValueError(f"unexpected argument {rest[0]!r}: a recipe comes first, and then --field value, ...")
    return Recipe(dataclasses.asdict(network), run, path.stem if path else None)


def _recipe_options(path: Path, known: Mapping[str, str]) -> list[str]:
    """A recipe as command-line options, so that both are checked alike and the command line, which follows, wins.

    Args:
        known: the fields that there are, and their types.
    """
    if not path.is_file():
        recipes = sorted(p.stem for p in (Path(__file__).parent.parent / "recipes").glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, recipes, n=1, cutoff=0.3)
        raise ValueError(f"no recipe {path}" + (f": did you mean training/recipes/{near[0]}.yaml?" if near else ""))
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what is not UTF-8, a date that does not exist
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{path} must be a mapping of fields to values, not {type(recipe).__name__}")
    for name, value in recipe.items():
        if name not in known:
            raise ValueError(_unknown(str(name), known, str(path)))
        if isinstance(value, dict) or (isinstance(value, list) and "list" not in known[name]):
            raise ValueError(f"{name}={value!r} in {path}: must be one value")
    return as_options(recipe)


def as_options(fields: Mapping[str, Any]) -> list[str]:
    """Fields as the command line has them."""
    options = []
    for name, value in fields.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            options += [f"--{name}", *(str(v) for v in values)]
    return options


def _unknown(name: str, known: Mapping[str, str], where: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"unknown field {name!r} in {where}" + (f": did you mean {near[0]!r}?" if near else "; --help lists all")
