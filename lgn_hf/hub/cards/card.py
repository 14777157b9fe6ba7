"""The card of a model, from the files of its folder: they are the only source of what it says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id

from ...actions import RECORDS_NAME, TENSORS_NAME
from ...export import MODEL_PATH
from ...files import write_whole
from ...runs.evaluation import EVALUATION_NAME, EvaluationResults
from ...runs.family import read_config
from ...runs.launch import launch_command
from ...runs.results import RunResults
from ...runs.trained_model import CONFIG_NAME, RESULTS_NAME, open_trained_model
from ...texts import one_line
from ..lab.address import lab_address
from . import sentences, tables
from .comparison import compare, not_compared
from .escaping import Code, escaped
from .facts import CardFacts
from .families import TEMPLATES, FamilyCard, family_card
from .figures import EXAMPLES, TRAINING, shown_figures
from .metadata import card_metadata
from .onnx_files import onnx_program, onnx_sizes
from .tasks import task_text

CARD_NAME, RECIPE_NAME, BASELINE_NAME = "README.md", "recipe.yaml", "baseline_results.json"
TEMPLATE = TEMPLATES / "card.md.jinja"
SIGNATURE = b"\n- linear-group-network\n"  # one of the tags of every card


def write_card(folder: str | os.PathLike, repo_id: str | None = None, lab: str | None = None) -> Path:
    """Write `README.md`, see `render_card`. Returns its path.

    Raises:
        ValueError: as `render_card`, or the folder has a README.md that is not the card of an LGN.
    """
    path = Path(folder, CARD_NAME)
    if path.exists() and SIGNATURE not in path.read_bytes():
        raise ValueError(f"{path} is not the card of an LGN: move it away, and the card can be written")
    write_whole(path, render_card(folder, repo_id, lab))
    return path


def render_card(folder: str | os.PathLike, repo_id: str | None = None, lab: str | None = None) -> str:
    """Make the card of a published folder from its configuration, actions, results, recipe and figures.

    A model that was trained elsewhere has `evaluation.json` in place of results and recipe.
    If the folder has `baseline_results.json`, the card compares the model with that network without groups.

    Args:
        folder: complete except for the card.
        repo_id: the repository that the programs on the card load. By default they have the name of the model.
        lab: a static Space, USER/NAME, in whose lab the model can be opened.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or does not belong to the others, or `repo_id` cannot be the name of a repository.
    """
    folder = Path(folder)
    is_elsewhere = (folder / EVALUATION_NAME).is_file()
    records = (EVALUATION_NAME,) if is_elsewhere else (RESULTS_NAME, RECIPE_NAME)
    for name in (CONFIG_NAME, TENSORS_NAME, RECORDS_NAME, *records):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: a model card needs it")
    if repo_id is not None:
        validate_repo_id(repo_id)
    model = open_trained_model(folder)
    config = read_config(folder)
    results = (EvaluationResults if is_elsewhere else RunResults).from_json(model.results)
    family = family_card(config)
    facts = family.facts(folder, config, results, model.actions)
    recipe_name = facts.run.recipe_name if facts.run else None
    name = (repo_id or recipe_name or model.name).split("/")[-1]
    contents = _contents(folder, family, facts, name, repo_id or one_line(name))
    contents["lab"] = Code(lab_address(lab, repo_id or name) if lab else "")
    card = ModelCard.from_template(card_metadata(name, facts), template_path=str(TEMPLATE), **escaped(contents))
    return re.sub(r"\n{3,}", "\n\n", str(card)).rstrip() + "\n"


def _contents(folder: Path, family: FamilyCard, facts: CardFacts, name: str, repository: str) -> dict[str, Any]:
    """What fills the template."""
    results = facts.results
    address = json.dumps(repository, ensure_ascii=False)
    with_package, without_package = task_text(results.task).programs(address)
    comparison = _comparison(folder, facts.run) if facts.run else None
    compared = [comparison.sentence] if comparison else [not_compared()] if facts.has_groups else []
    cited, citation = family.citation
    return {
        "name": name,
        "introduction": family.introduction(facts),
        "kind": family.kind(facts),
        "result": family.result(facts),
        "examples": shown_figures(folder, facts, EXAMPLES),
        "architecture": family.architecture(facts),
        "with_package": with_package,
        "without_package": without_package,
        "onnx_path": MODEL_PATH if (folder / MODEL_PATH).is_file() else "",
        "onnx_sizes": onnx_sizes(folder),
        "onnx_program": onnx_program(facts.config.num_channels, facts.config.image_size),
        "part": _part(family, family.part(folder, facts, address)),
        "training": sentences.training(facts),
        "training_figures": shown_figures(folder, facts, TRAINING),
        "circumstances": tables.circumstances(facts),
        "is_trained_elsewhere": facts.evaluation is not None,
        "command": Code(_command(name, repository, facts)),
        "task_words": task_text(results.task).words,
        "comparison": comparison.rows if comparison else [],
        "limitations_heading": family.limitations_heading,
        "limitations": family.limitations(facts, compared),
        "cited": cited,
        "citation": citation,
    }


def _part(family: FamilyCard, contents: dict[str, Any]) -> Code:
    """The part of a card that only its family has."""
    template = jinja2.Template((TEMPLATES / family.template).read_text(encoding="utf-8"))
    return Code(template.render(**escaped(contents)).strip())


def _comparison(folder: Path, results: RunResults):
    path = folder / BASELINE_NAME
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable ({error}): write it again") from None
    return compare(results, RunResults.from_json(values, BASELINE_NAME), BASELINE_NAME)


def _command(name: str, repository: str, facts: CardFacts) -> str:
    """The command that trains the model again, with the recipe beside it, or tests it again if it was trained elsewhere."""
    machine, data, evaluation = facts.results.machine, facts.dataset, facts.evaluation
    is_local = not data.id and data.name != "digits"
    dataset = f"{data.kind}path/to/{one_line(data.name)}" if is_local else str(data)
    if evaluation:
        options = {
            "dataset": dataset,
            **{one_line(name): one_line(value) for name, value in evaluation.options.items()},
        }
        program = "training/evaluate_model.py"
        return launch_command(one_line(repository), options, machine.device, machine.processes, program)
    options = {"output_dir": f"runs/{one_line(name)}", **({"dataset": dataset} if is_local else {})}
    return launch_command(RECIPE_NAME, options, machine.device, machine.processes)
