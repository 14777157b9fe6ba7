"""Recipes and the command line: how a run is told the fields of its network and its own.

This module imports neither torch nor transformers, so that `--help` and a mistake are answered at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

import yaml

from lgn_hf.runs.recipe import FREE_ON_RESUME, RunArguments
from lgn_training.network_fields import DEFAULT_FAMILY, FAMILIES, NetworkArguments

__all__ = [
    "FREE_ON_RESUME",
    "NetworkArguments",
    "Parser",
    "Recipe",
    "RunArguments",
    "as_options",
    "parse_arguments",
    "with_recipe_file",
]

RECIPES = Path(__file__).parents[1] / "recipes"  # in a checkout

CLOSE = 0.7  # how alike a wrong name and a suggestion are at least, from 0 to 1
# What other programs call a field.
NAMES_ELSEWHERE = {
    "batch": "per_device_train_batch_size",
    "batch_size": "per_device_train_batch_size",
    "cpu": "use_cpu",
    "data": "dataset",
    "data_dir": "dataset",
    "data_path": "dataset",
    "dataset_name": "dataset",
    "epochs": "num_train_epochs",
    "eval_batch_size": "per_device_eval_batch_size",
    "grad_clip": "max_grad_norm",
    "kernel_size": "filter_size",
    "lr": "learning_rate",
    "max_epochs": "num_train_epochs",
    "max_train_steps": "max_steps",
    "n_epochs": "num_train_epochs",
    "no_cuda": "use_cpu",
    "num_epochs": "num_train_epochs",
    "num_steps": "max_steps",
    "order": "group_order",
    "out_dir": "output_dir",
    "output": "output_dir",
    "patience": "early_stopping_patience",
    "scheduler": "lr_scheduler_type",
    "steps": "max_steps",
    "train_dir": "dataset",
    "val_split": "train_val_split",
    "validation_split": "train_val_split",
    "warmup": "warmup_ratio",
    "wd": "weight_decay",
}
NOT_TRAINED = ("output_dir", "resume", "seeds", "seeds_at_once")  # fields that say where and how, and not what
CLASSES = ("id2label", "label2id", "num_classes", "num_labels")


@dataclass
class Recipe:
    """A parsed run.

    Attributes:
        network: fields of the network's configuration; None: as the data.
        run: all other fields.
        name: of the recipe file, without its ending; None if there is none.
        given: the names of the fields that the recipe file or the command line has.
        model_type: the family of the network, a key of `FAMILIES`.
    """

    network: dict
    run: RunArguments
    name: str | None
    given: frozenset[str] = frozenset()
    model_type: str = DEFAULT_FAMILY

    def fields(self) -> dict:
        """The fields that say what is trained, as a recipe file has them: all but where it is kept."""
        family = {} if self.model_type == DEFAULT_FAMILY else {"model_type": self.model_type}
        fields = {**family, **self.network, **dataclasses.asdict(self.run)}
        return {name: value for name, value in fields.items() if name not in NOT_TRAINED}

    def of_seeds(self) -> list[Recipe]:
        """The run of each of `seeds`, in a folder of its own."""
        return [
            dataclasses.replace(
                self,
                run=dataclasses.replace(
                    self.run,
                    seed=seed,
                    seeds=None,
                    seeds_at_once=False,
                    output_dir=str(Path(self.run.output_dir, f"seed-{seed}")),
                ),
            )
            for seed in self.run.seeds or ()
        ]

    def scalars(self) -> dict:
        """The fields that a tracker takes."""
        return {k: v for k, v in self.fields().items() if isinstance(v, (int, float, str, bool))}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions, which a program reports in one line, without the usage and an exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

    def add_fields(self, kind: type) -> None:
        """Add the fields of a dataclass as options. Fields that are not given are left out of what is parsed.

        This is what transformers' `HfArgumentParser` does, which takes seconds to import.
        """
        types = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            value: Any = next((t for t in get_args(types[field.name]) if t is not type(None)), types[field.name])
            if get_origin(types[field.name]) is list:
                value = types[field.name]
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            options: dict[str, Any] = {"type": value}
            if value is bool:
                options = {"type": _truth, "nargs": "?", "const": True}
            elif get_origin(value) is list:
                options = {"type": get_args(value)[0], "nargs": "+"}
            help = f"{field.metadata['help']} (default: {default})".replace("%", "%%")
            names = dict.fromkeys((f"--{field.name}", f"--{field.name.replace('_', '-')}"))
            self.add_argument(*names, dest=field.name, default=argparse.SUPPRESS, help=help, **options)
            if default is True:
                names = (f"--no_{field.name}", f"--no-{field.name.replace('_', '-')}")
                help = f"the same as --{field.name} false"
                self.add_argument(*names, dest=field.name, default=argparse.SUPPRESS, action="store_false", help=help)


def _truth(text: str) -> bool:
    words = {"yes": True, "true": True, "t": True, "y": True, "1": True}
    words |= {"no": False, "false": False, "f": False, "n": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")
    return words[text.lower()]


def parse_arguments(argv: list[str]) -> Recipe:
    """Parse `[RECIPE.yaml] [--field value ...]`. The command line overrides the recipe.

    Raises:
        ValueError: the recipe is missing or not a flat mapping, a field is unknown (the message suggests the nearest
            name), a value has the wrong type or is not allowed, or there is an argument too many.
        OSError: the recipe cannot be read.
    """
    path = Path(argv[0]) if argv and not argv[0].startswith("-") else None
    recipe = {} if path is None else _read_recipe(path)
    model_type = _family(argv, recipe)
    kinds = (FAMILIES[model_type], RunArguments)
    parser = Parser(
        prog="run.py",
        usage="accelerate launch training/run.py [RECIPE.yaml] [--field value ...]",
        description="Train and test a Linear Group Network.",
        allow_abbrev=False,
    )
    families = f"family of networks: {', '.join(FAMILIES)} (default: {DEFAULT_FAMILY}); --help shows the fields of one"
    parser.add_argument("--model_type", "--model-type", choices=FAMILIES, help=families)
    for kind in kinds:
        parser.add_fields(kind)
    known = {"model_type": "str"} | {f.name: str(f.type) for kind in kinds for f in dataclasses.fields(kind)}
    if path is not None:
        argv = _recipe_options(path, recipe, known) + argv[1:]
    parsed, rest = parser.parse_known_args(argv)
    if rest and rest[0].startswith("--"):
        raise ValueError(_unknown(rest[0][2:].split("=")[0].replace("-", "_"), known, "the command line"))
    if rest:
        raise ValueError(f"unexpected argument {rest[0]!r}: a recipe comes first, and then --field value, ...")
    network, run = (
        {f.name: getattr(parsed, f.name) for f in dataclasses.fields(kind) if f.name in parsed} for kind in kinds
    )
    return Recipe(
        dataclasses.asdict(FAMILIES[model_type](**network)),
        RunArguments(**run),
        path.stem if path else None,
        frozenset({*network, *run}),
        model_type,
    )


def _family(argv: list[str], recipe: Mapping[str, Any]) -> str:
    """The family that the command line or the recipe names; which fields there are depends on it."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model_type", "--model-type", default=recipe.get("model_type", DEFAULT_FAMILY))
    family = parser.parse_known_args(argv)[0].model_type
    if family not in FAMILIES:
        raise ValueError(f"model_type={family!r}: must be one of {', '.join(FAMILIES)}")
    return family


def with_recipe_file(argv: list[str]) -> list[str]:
    """The command line with the file of a recipe that is given by its name, such as `lgn-mnist`."""
    if argv and not argv[0].startswith("-") and not Path(argv[0]).exists():
        file = RECIPES / f"{argv[0]}.yaml"
        if file.is_file():
            return [str(file), *argv[1:]]
    return argv


def _read_recipe(path: Path) -> dict:
    """The fields of a recipe file."""
    if not path.is_file():
        recipes = sorted(p.stem for p in RECIPES.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, recipes, n=1, cutoff=CLOSE)
        hint = (
            f": did you mean training/recipes/{near[0]}.yaml?" if near else "; training/recipes has those of the zoo"
        )
        raise ValueError(f"no recipe {path}{hint}")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what is not UTF-8, a date that does not exist
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{path} must be a mapping of fields to values, not {type(recipe).__name__}")
    return recipe


def _recipe_options(path: Path, recipe: Mapping[Any, Any], known: Mapping[str, str]) -> list[str]:
    """A recipe as command-line options, so that both are checked alike. The command line follows, so it wins.

    Args:
        known: all fields, and their types.
    """
    for name, value in recipe.items():
        if name not in known:
            raise ValueError(_unknown(str(name), known, str(path)))
        if isinstance(value, dict) or (isinstance(value, list) and "list" not in known[name]):
            raise ValueError(f"{name}={value!r} in {path}: must be one value")
    return as_options(recipe)


def as_options(fields: Mapping[str, Any]) -> list[str]:
    """Fields as options of the command line."""
    options = []
    for name, value in fields.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            options += [f"--{name}", *(str(v) for v in values)]
    return options


def _unknown(name: str, known: Mapping[str, str], where: str) -> str:
    problem = f"unknown field {name!r} in {where}"
    if name in CLASSES:
        return f"{problem}: the classes come from the data"
    elsewhere = {other.replace("_", ""): field for other, field in NAMES_ELSEWHERE.items()}
    common = elsewhere.get(name.replace("_", ""))
    near = [common] if common in known else difflib.get_close_matches(name, known, n=1, cutoff=CLOSE)
    return f"{problem}: did you mean {near[0]!r}?" if near else f"{problem}; --help lists all"
