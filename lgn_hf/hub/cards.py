"""The model card and its figures, from the files of a published model: they are the only source of what it says.

The words are in `card.md.jinja`; this module reads the files, checks them, computes the numbers and escapes the texts.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
import shlex
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils import validate_repo_id
from matplotlib.figure import Figure

from ..actions import MIN_Z, NEAREST, RECORDS_NAME, TENSORS_NAME, Actions, power_separation, rank, score_of, strongest
from ..files import check_schema, write_whole
from ..model.configuration_lgn import LGNConfig
from ..plotting import (
    AXES,
    STRUCTURES,
    SUPERSCRIPTS,
    action_gallery,
    effect_plot,
    filter_plot,
    number_text,
    portraits,
    save_figure,
    spectrum_plot,
)
from ..runs.dataset_name import DATASET_KINDS, data_name
from ..runs.task import TASKS
from ..runs.trained_model import CONFIG_NAME, RESULTS_NAME, open_trained_model

CARD_NAME, RECIPE_NAME, BASELINE_NAME, FIGURES_NAME = "README.md", "recipe.yaml", "baseline_results.json", "figures"
TEMPLATE = Path(__file__).with_name("templates") / "card.md.jinja"
DATASETS = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "scikit-learn's digits"}
LAUNCH = {  # device and whether there are several processes
    ("cpu", False): "training/accelerate/cpu.yaml",
    ("cpu", True): "training/accelerate/cpu-2-processes.yaml",
    ("cuda", False): "training/accelerate/gpu.yaml",
    ("cuda", True): "training/accelerate/multi-gpu.yaml",
}
DPI = 128  # 1024 pixels across, for a column of 800
ROWS, PORTRAYED = 10, 20  # most actions that the table has, and the gallery
NEARLY_SINGULAR = 1e3  # condition number
NEARLY_SAME = 0.1  # separation of two powers
PAPER_EPOCHS = 100

# Of the comparison with free filters, what its table always has, and the fields of a recipe that it leaves out: every other
# field that both recipes have is compared.
ALWAYS_COMPARED = ("layers", "filters per layer", "filter size", "whitening", "epochs", "batch size", "seed")
NOT_COMPARED = {
    # the groups
    *("num_groups", "group_order", "action", "action_sharing", "rotation_angle", "projection"),
    *("regularizer", "regularizer_weight"),
    # said by the fingerprint of the data
    *("dataset", "dataset_config_name", "image_column", "label_column", "image_size", "num_channels"),
    *("train_val_split", "max_train_samples", "max_test_samples"),
    # said by the results and the machine
    *("task", "seed", "num_train_epochs", "gradient_accumulation_steps", "bf16", "fp16"),
    # what the weights do not depend on, but for rounding
    *("output_dir", "resume", "also_test_on", "per_device_eval_batch_size", "logging_steps", "save_steps"),
    *("report_to", "disable_tqdm", "push_to_hub", "hub_model_id", "hub_private_repo"),
    *("torch_compile", "channels_last", "use_cpu"),
}
FIELDS = {  # what the comparison calls a field, where not as it is written
    "num_layers": "layers",
    "random_crop": "shifts (pixels)",
    "random_flip": "mirror images",
    "tied": "tied layers",
    "label_smoothing_factor": "label smoothing",
    "lr_scheduler_type": "schedule",
    "lr_milestones": "milestones of the schedule",
    "lr_decay": "decay of the schedule",
    "warmup_ratio": "warm-up",
    "max_grad_norm": "gradient clipping",
    "max_steps": "limit of steps",
    "per_device_train_batch_size": "images that are normalised together",
    "early_stopping_patience": "early stopping",
    "load_best_model_at_end": "choice of the best epoch",
}
PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}

_NUMBER = int | float
_RESULTS = {
    "parameters": int,
    "epochs": _NUMBER,  # a fraction where a run ended within one
    "steps": int,
    "best_epoch": _NUMBER | None,
    "selected_by": str,
    "global_batch_size": int,
    "train_seconds": _NUMBER,
    "images_per_second": _NUMBER,
    "seed": int,
    "recipe_name": str | None,
    "date": str,
    "data": {"source": str, "fingerprint": str, "train": int, "validation": int, "test": int},
    "machine": {"processor": str, "cores": int, "device": str, "processes": int, "mixed_precision": str},
    "versions": {str: str},
    "recipe": {
        "task": str,
        "dataset": str,
        "whitening": str,
        "num_groups": int,
        "group_order": int,
        "num_layers": int,
        "filter_size": int,
        "random_crop": int,
        "random_flip": bool,
        "label_smoothing_factor": _NUMBER,
        "learning_rate": _NUMBER,
        "lr_scheduler_type": str,
        "lr_milestones": [_NUMBER],
        "lr_decay": _NUMBER,
        "max_grad_norm": _NUMBER,
    },
}


def draw_figures(actions: Actions, folder: str | os.PathLike, most: int | None = PORTRAYED) -> list[Path]:
    """Draw what there is to see of a model's actions into `folder`/figures, as the card shows it.

    Learned actions have the figures of `portraits`. Those that all groups share, and rotations, are drawn once, with the filters
    of each layer; a network without groups has its filters alone, and nothing where they are unknown.

    Args:
        most: of more actions than these, the most structured ones are drawn.

    Returns:
        the paths of the figures.
    """
    figures: dict[str, Figure] = {}
    if actions.rotation_angle is not None and actions.order > 1:
        figures = _rotation_figures(actions)
    elif actions.order > 1:
        figures = portraits(actions, most)
    if not figures or actions.rotation_angle is not None or actions.shared[1]:
        figures |= _filter_figures(actions)
    return [save_figure(figure, Path(folder, FIGURES_NAME, f"{name}.png"), DPI) for name, figure in figures.items()]


def _rotation_figures(actions: Actions) -> dict[str, Figure]:
    one = actions[:1, :1, :1]
    rotations = [one.power(i)[0, 0, 0] for i in range(actions.order)]
    angles = _angles(actions)
    return {
        "gallery": action_gallery(torch.stack(rotations), angles, size=actions.size),
        "spectra": spectrum_plot(rotations[1], actions.order, angles[1:2]),
        "effects": effect_plot(torch.stack(rotations), titles=angles),
    }


def _filter_figures(actions: Actions) -> dict[str, Figure]:
    if actions.basis is None:
        return {}
    banks = actions.orbit().transpose(2, 3)  # (L, K, p, C, n, n)
    names = None if actions.rotation_angle is None else _angles(actions)
    return {
        f"filters-{layer}": filter_plot(bank, names) for layer, bank in zip(actions.numbers[0], banks, strict=True)
    }


def _angles(actions: Actions) -> list[str]:
    return [f"{i * (actions.rotation_angle or 0):g}°" for i in range(actions.order)]


def write_card(folder: str | os.PathLike, repo_id: str | None = None) -> Path:
    """Write `README.md`, see `render_card`. Returns its path."""
    path = Path(folder, CARD_NAME)
    write_whole(path, render_card(folder, repo_id))
    return path


def render_card(folder: str | os.PathLike, repo_id: str | None = None) -> str:
    """The model card of a published folder, from its configuration, actions, results, recipe and figures, beside the results
    of a network without groups where `baseline_results.json` has them.

    Args:
        folder: complete but for the card.
        repo_id: the repository that the examples on the card load; by default they say the model's name.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or does not belong to the others, or `repo_id` is no name of a repository.
    """
    folder = Path(folder)
    for name in (CONFIG_NAME, TENSORS_NAME, RECORDS_NAME, RESULTS_NAME, RECIPE_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: a model card needs it")
    if repo_id is not None:
        validate_repo_id(repo_id)
    source = open_trained_model(folder)
    results = _checked_results(source.results, RESULTS_NAME)
    config = LGNConfig.from_pretrained(folder)
    expected = (
        config.num_layers,
        config.num_groups,
        config.num_action_channels,
        config.filter_dim,
        config.group_order,
    )
    if (*source.actions.matrices.shape[:-1], source.actions.order) != expected:
        raise ValueError(f"{folder}: {TENSORS_NAME} does not belong to {CONFIG_NAME}: {source.actions!r}")
    baseline = None
    if (folder / BASELINE_NAME).is_file():
        baseline = _checked_results(_read_json(folder / BASELINE_NAME), BASELINE_NAME)

    figures = [path.stem for path in (folder / FIGURES_NAME).glob("*.png")]
    name = (repo_id or results.get("recipe_name") or source.name).split("/")[-1]
    card = ModelCard.from_template(
        _metadata(name, config, results),
        template_path=str(TEMPLATE),
        **escaped(
            {
                "name": name,
                "address": Code(json.dumps(repo_id or one_line(name), ensure_ascii=False)),
                "config": config,
                "parts": _parts(config),
                "results": results,
                "versions": list(results["versions"].items()),
                "baseline": baseline and _comparison(results, baseline),
                "test": _test(results),
                "dataset": _dataset(results["data"]["source"]),
                "duration": _duration(results["train_seconds"]),
                "command": Code(_command(name, results)),
                "labels": list((config.id2label or {}).values())
                if results["recipe"]["task"] == "classification"
                else [],
                "actions": _describe(source.actions) if config.group_order > 1 else None,
                "figures": sorted(figures, key=lambda name: (len(name), name)),
                "spread": _spread(results),
                "min_z": MIN_Z,
                "nearly_singular": NEARLY_SINGULAR,
                "nearly_same": NEARLY_SAME,
                "paper_epochs": PAPER_EPOCHS,
            }
        ),
    )
    return re.sub(r"\n{3,}", "\n\n", str(card)).rstrip() + "\n"


# Texts


class Code(str):
    """Text for a code block, where nothing is escaped: one line of it cannot end the block."""


def escaped(value: Any) -> Any:
    """A value with every text in it made safe for Markdown, within paragraphs, tables and links: nothing in it is markup,
    HTML or mathematics, and it stays on one line. Numbers, `Code` and the keys of objects are as they were."""
    if isinstance(value, str) and not isinstance(value, Code):
        text = html.escape(one_line(value), quote=False).replace("\\", "&#92;").replace("$", "&#36;")
        return re.sub(r"([`*_\[\]|~])", r"\\\1", text)
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(item) for item in value]
    return value


def one_line(text: str) -> str:
    """The text without line breaks and characters that do not print, which could hide what it says, 300 at most."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "min": minutes, "s": seconds}
    return " ".join(f"{value} {unit}" for unit, value in parts.items() if value) or "less than a second"


def _words(name: str) -> str:
    """The name of a score or an operation as one reads it."""
    return {"multi_scale": "multi-scale"}.get(name, name.replace("_", " ").replace("toeplitz", "Toeplitz"))


def _orbit_text(order: int) -> str:
    """W, AW, A²W, A³W."""
    names = ["W", "AW", *(f"A{str(i).translate(SUPERSCRIPTS)}W" for i in range(2, order))][:order]
    return ", ".join(names if order <= 4 else [*names[:2], "…", names[-1]])


# Files


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable ({error}): write it again") from None


def _checked_results(results: Any, name: str) -> dict[str, Any]:
    """The results, every field that a card uses of the type that it should have.

    Raises:
        ValueError: one is missing or wrong.
    """
    check_schema(results, _RESULTS, name)
    task = results["recipe"]["task"]
    if task not in TASKS:
        raise ValueError(f"{name}.recipe.task is {task!r:.80}: must be one of {', '.join(TASKS)}")
    for metric in TASKS[task].metrics:
        value = results.get(f"test_{metric.name}")
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{name}.test_{metric.name} is {value!r:.80}: must be a number, the metric of {task}")
    return results


# Numbers


def _metadata(name: str, config: LGNConfig, results: dict[str, Any]) -> ModelCardData:
    task, data = TASKS[results["recipe"]["task"]], _dataset(results["data"]["source"])
    kind = config.action if config.group_order > 1 else "baseline"
    return ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag=task.pipeline_tag,
        tags=["lgn", "linear-group-network", "group-actions", "equivariance", "sparse-coding", f"lgn-{kind}"],
        datasets=[data["id"]] if data["id"] else None,
        metrics=[task.metrics[0].hub_name],
        model_name=one_line(name),
        eval_results=[
            EvalResult(
                task_type=task.pipeline_tag,
                dataset_type=one_line(data["source"]),
                dataset_name=one_line(data["name"]),
                dataset_split="test",
                metric_type=metric.hub_name,
                metric_name=f"test {metric.words}, seed {results['seed']}",
                metric_value=results[f"test_{metric.name}"],
                metric_args={"seed": results["seed"]},
            )
            for metric in task.metrics
        ],
    )


def _dataset(source: str) -> dict[str, Any]:
    """source: as a recipe names it. name: to read. id: on the Hub, None for data from elsewhere."""
    found = data_name(source)
    words = DATASET_KINDS.get(found.kind.rstrip(":"), "")
    return {"source": str(found), "name": words + DATASETS.get(found.last, found.last), "id": found.id}


def _test(results: dict[str, Any]) -> dict[str, Any]:
    """The metrics on the test set as texts; for an accuracy also its standard error from the number of images."""
    if results["recipe"]["task"] == "reconstruction":
        error = results["test_relative_error"]
        return {"text": f"{100 * error:.2f} %", "mse": number_text(results["test_mse"]), "points": 100 * error}
    accuracy = results["test_accuracy"]
    deviation = math.sqrt(max(0.0, accuracy * (1 - accuracy)) / max(1, results["data"]["test"]))
    return {"text": f"{100 * accuracy:.2f} %", "points": 100 * accuracy, "deviation": 100 * deviation}


def _spread(results: dict[str, Any]) -> dict[str, str] | None:
    """The validation and test values of the error, where they differ by so much that few images must make the difference."""
    name = "mse" if results["recipe"]["task"] == "reconstruction" else "loss"
    found = [results.get(f"{split}_{name}") for split in ("validation", "test")]
    values = [float(value) for value in found if isinstance(value, (int, float)) and 0 < value < math.inf]
    if len(values) < 2 or max(values) < 3 * min(values):
        return None
    validation, test = (number_text(value) for value in values)
    return {"name": "mean squared error" if name == "mse" else name, "validation": validation, "test": test}


def _comparison(results: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """What a network without groups reached, and in what else its run differs."""
    recipe, other = results["recipe"], baseline["recipe"]
    if other["task"] != recipe["task"] or other["group_order"] != 1:
        raise ValueError(
            f"{BASELINE_NAME} is of {other['task']} with group_order {other['group_order']}: "
            f"must be of {recipe['task']} with group_order 1"
        )

    here, there = _facts(results), _facts(baseline)
    differences = [name for name in here if name in there and here[name] != there[name]]
    test, its_test = _test(results), _test(baseline)
    return {
        "test": its_test,
        "points": test["points"] - its_test["points"],
        "parameters": baseline["parameters"],
        "rows": [
            [name, _value_text(here[name]), _value_text(there[name])]
            for name in here
            if name in ALWAYS_COMPARED or (name in differences and name != "data")
        ],
        "differences": differences,
    }


def _facts(results: dict[str, Any]) -> dict[str, Any]:
    """What a run has that another must have for the two to differ in their groups alone, as one says it."""
    recipe: dict[str, Any] = results["recipe"]
    precision = results["machine"]["mixed_precision"]
    return {
        "data": results["data"]["fingerprint"],
        "layers": recipe["num_layers"],
        "filters per layer": recipe["num_groups"] * recipe["group_order"],
        "filter size": recipe["filter_size"],
        "whitening": recipe["whitening"],
        "epochs": results["epochs"],
        "batch size": results["global_batch_size"],
        "seed": results["seed"],
        "precision": PRECISIONS.get(precision, precision),
        **{FIELDS.get(name, name.replace("_", " ")): recipe[name] for name in recipe if name not in NOT_COMPARED},
    }


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "by default"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(config: LGNConfig) -> dict[str, int]:
    """Parameters of the filters and of the actions, and of as many free filters."""
    filters = config.num_basis_parameters
    return {"filters": filters, "actions": config.num_action_parameters, "free": filters * config.group_order}


def _command(name: str, results: dict[str, Any]) -> str:
    """The command that trains the model again, from the recipe beside it."""
    machine, data = results["machine"], data_name(results["data"]["source"])
    config = LAUNCH.get((machine["device"], machine["processes"] > 1))
    launch = ["accelerate", "launch", *(["--config_file", config] if config else [])]
    if machine["processes"] > 1:
        launch += ["--num_processes", str(machine["processes"])]
    options = ["--output_dir", f"runs/{one_line(name)}"]
    if not data.id and data.name != "digits":
        options += ["--dataset", f"{data.kind}path/to/{one_line(data.name)}"]
    return shlex.join([*launch, "training/run.py", RECIPE_NAME]) + " \\\n    " + shlex.join(options)


def _describe(actions: Actions) -> dict[str, Any]:
    """What the card says about the actions: their labels, the most structured ones, each diagnostic, their powers."""
    distinct = actions.distinct()
    records = distinct.diagnose()
    fixed = actions.rotation_angle is not None
    labels = Counter(record["label"] for record in records if record["label"])
    conditions = [record["condition_number"] for record in records]
    finite = [condition for condition in conditions if condition is not None]
    scores = {name: [score_of(record, name) for record in records] for name in [*records[0]["scores"], NEAREST]}
    return {
        "count": len(records),
        "few": len(records) <= len(STRUCTURES),
        "portrayed": min(len(records), PORTRAYED),
        "labels": labels.most_common(),
        "unstructured": sum(not record["label"] for record in records),
        "rows": [_row(record, actions.shared) for record in sorted(records, key=rank)[:ROWS]],
        "scores": [_summary(name, found) for name, found in scores.items()],
        "above": sum(strongest(record)[1]["z"] > MIN_Z for record in records),
        "singular": len(conditions) - len(finite),
        "nearly_singular": sum(condition > NEARLY_SINGULAR for condition in finite),
        "condition": _span(finite),
        "collapsed": 0 if fixed else int((power_separation(distinct.matrices, actions.order) < NEARLY_SAME).sum()),
        "powers": _powers(actions),
        "orbit": _orbit_text(actions.order),
        "elements": "I" + _orbit_text(actions.order)[1:].replace("W", ""),
        "last": _orbit_text(actions.order).split(", ")[-1],
    }


def _row(record: dict[str, Any], shared: tuple[bool, ...]) -> dict[str, Any]:
    structure, score = strongest(record, record["scores"])
    nearest = record["nearest"][0] if record["nearest"] else None
    parameters = ", ".join(f"{name} {value}" for name, value in nearest["parameters"].items()) if nearest else ""
    condition = record["condition_number"]
    return {
        "place": ", ".join("all" if s else str(record[axis]) for axis, s in zip(AXES, shared, strict=True)),
        "label": record["label"] or "",
        "structure": _words(structure),
        "score": score,
        "operation": nearest and _words(nearest["operation"]) + (f" ({parameters})" if parameters else ""),
        "nearest": score_of(record, NEAREST),
        "condition": "singular" if condition is None else number_text(condition),
    }


def _summary(name: str, found: list[dict[str, float]]) -> dict[str, Any]:
    best = max(found, key=lambda score: score["z"])
    return {
        "name": "nearest known operation" if name == NEAREST else _words(name),
        "value": best["value"],
        "z": best["z"],
        "median": statistics.median(score["z"] for score in found),
        "above": sum(score["z"] > MIN_Z for score in found),
    }


def _powers(actions: Actions) -> dict[str, Any] | None:
    """How large the last filter of an orbit is beside the first: None where the basis filters are unknown."""
    if actions.basis is None:
        return None
    norms = actions.orbit().flatten(-2).norm(dim=-1)  # (L, K, C, p)
    ratios = norms[..., -1] / norms[..., 0].clamp_min(1e-300)
    if not ratios.isfinite().all():
        raise ValueError("the powers of the actions are not finite")
    return _span(ratios.flatten().tolist())


def _span(values: list[float]) -> dict[str, Any] | None:
    if not values:
        return None
    middle = statistics.median(values)
    return {
        "value": middle,
        "median": number_text(middle),
        "least": number_text(min(values)),
        "most": number_text(max(values)),
    }
