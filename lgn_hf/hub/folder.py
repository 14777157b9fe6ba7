"""What a model folder holds, and what a repository on the Hub holds.

A *model folder* holds what is of one model: weights, configurations, whitening, recipe, results, actions, card, figures and
examples. It holds no Python. A model that was trained elsewhere has `evaluation.json` in place of recipe and results. A
*repository* is a model folder plus the modules that `trust_remote_code` runs, see `lgn_hf.remote_code`.

To add a file to model folders: name it in `MODEL_FILES` or `OPTIONAL_FILES`, and write it in `build.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_imports

from ..actions import RECORDS_NAME, TENSORS_NAME
from ..export import ACCURACY_PATH, MODEL_PATH, stored_path
from ..export.weight_storage import KINDS
from ..files import contents, matches
from ..model.image_processing_lgn import WHITENING_NAME
from ..remote_code import remote_modules
from ..runs.evaluation import EVALUATION_NAME
from ..runs.family import FAMILIES
from ..runs.trained_model import CONFIG_NAME, RESULTS_NAME, WEIGHTS_NAME
from .cards import BASELINE_NAME, CARD_NAME, EQUIVARIANCE_NAME, FIGURES_NAME, RECIPE_NAME
from .examples import EXAMPLES_NAME

PROCESSOR_NAME = "preprocessor_config.json"

NETWORK_FILES = (CONFIG_NAME, WEIGHTS_NAME, PROCESSOR_NAME)
MODEL_FILES = (*NETWORK_FILES, CARD_NAME, TENSORS_NAME, RECORDS_NAME)
RUN_RECORDS = (RECIPE_NAME, RESULTS_NAME)  # also in the model folder of a run
OPTIONAL_FILES = (
    WHITENING_NAME,
    BASELINE_NAME,
    EQUIVARIANCE_NAME,
    MODEL_PATH,
    *map(stored_path, KINDS),
    ACCURACY_PATH,
    f"{FIGURES_NAME}/*.png",
    f"{EXAMPLES_NAME}/*.png",
)


def modules_of(folder: str | os.PathLike) -> dict[str, str]:
    """Today's modules for the network in a folder, {file name: text}: those of the first family if it names none."""
    try:
        config = json.loads(Path(folder, CONFIG_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        config = None
    model_type = config.get("model_type") if isinstance(config, dict) else None
    return remote_modules(model_type if isinstance(model_type, str) and model_type in FAMILIES else "lgn")


def is_built(folder: str | os.PathLike) -> bool:
    """Whether a folder is a model folder or a repository, and holds nothing else.

    A repository of an older version counts too, although its modules have other names.
    """
    return not missing_files(folder) and not foreign_files(folder)


def is_model_folder(folder: str | os.PathLike) -> bool:
    """Whether a folder holds a model's files and neither Python nor anything else."""
    return is_built(folder) and not own_modules(folder)


def is_repository(folder: str | os.PathLike) -> bool:
    """Whether a folder is a model folder plus today's modules, byte for byte."""
    folder = Path(folder)
    modules = modules_of(folder)
    if not is_built(folder) or own_modules(folder) != modules.keys():
        return False
    return all((folder / name).read_bytes() == text.encode() for name, text in modules.items())


def missing_files(folder: str | os.PathLike) -> list[str]:
    """The files that a folder lacks to be a model folder."""
    return [name for name in (*MODEL_FILES, *records_of(folder)) if not Path(folder, name).is_file()]


def records_of(folder: str | os.PathLike) -> tuple[str, ...]:
    """The files that say how the model of a folder was trained or tested."""
    return (EVALUATION_NAME,) if is_trained_elsewhere(folder) else RUN_RECORDS


def is_trained_elsewhere(folder: str | os.PathLike) -> bool:
    """Whether the results of a folder's model are those of `evaluate_model.py --record`.

    `transformers.Trainer` also writes an `all_results.json`, but no recipe.
    """
    return Path(folder, EVALUATION_NAME).is_file() and not Path(folder, RECIPE_NAME).is_file()


def foreign_files(folder: str | os.PathLike) -> list[str]:
    """The files of a folder that neither a model folder nor a repository has."""
    others = contents(folder).keys() - own_modules(folder)
    own = (*MODEL_FILES, *records_of(folder), *OPTIONAL_FILES, *modules_of(folder))
    return sorted(path for path in others if not matches(path, own))


def add_modules(folder: str | os.PathLike) -> None:
    """Make a model folder a repository: copy the modules for remote code into it, in place of those that are there."""
    remove_modules(folder)
    for name, text in modules_of(folder).items():
        Path(folder, name).write_text(text, encoding="utf-8")


def remove_modules(folder: str | os.PathLike) -> None:
    """Make a repository a model folder: remove the modules for remote code."""
    for name in own_modules(folder):
        Path(folder, name).unlink()


def own_modules(folder: str | os.PathLike) -> set[str]:
    """The Python files of a folder that `trust_remote_code` runs.

    These are the modules that the configurations of the model and of its processor name, and those that these import.
    Others, such as a `handler.py`, belong to somebody else.
    """
    folder, names, found = Path(folder), [], set()
    for name in (CONFIG_NAME, PROCESSOR_NAME):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            classes = json.loads((folder / name).read_bytes())["auto_map"].values()
            names += [value.rpartition("--")[2].partition(".")[0] for value in classes]
    while names:
        name = names.pop()
        path = folder / f"{name}.py"
        if name.isidentifier() and path.name not in found and path.is_file():
            found.add(path.name)
            with contextlib.suppress(UnicodeDecodeError):
                names += get_relative_imports(path)
    return found
