"""Build a repository, or a model folder, from a training run or from a model folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..export import MODEL_PATH, Classifier, add_preparation, write_onnx, write_smaller
from ..files import contents, refuse_folder
from ..plotting import save_figure
from ..runs.dataset_name import check_repo_id
from ..runs.evaluation import EVALUATION_NAME
from ..runs.results import RunResults
from ..runs.trained_model import RESULTS_NAME
from .cards import BASELINE_NAME, DPI, FIGURES_NAME, RECIPE_NAME, draw_figures, draw_training, measure, write_card
from .check import check, check_model_folder
from .examples import draw_examples, find_examples, save_examples
from .folder import PROCESSOR_NAME, add_modules, foreign_files, is_built, remove_modules
from .public_records import public_evaluation, public_recipe, public_results
from .replacement import put_back, replacing_folder
from .run_folder import TrainedRun, read_baseline, read_run


def build(
    folder: str | os.PathLike,
    target: str | os.PathLike,
    *,
    modules: bool = True,
    repo_id: str | None = None,
    dataset: str | None = None,
    dataset_note: str | None = None,
    baseline: str | os.PathLike | None = None,
    examples: Sequence[Any] | None = None,
    onnx: bool | None = None,
    quantize: Sequence[str] | None = None,
    test_data: str | None = None,
    lab: str | None = None,
) -> Path:
    """Build a repository: a model folder plus the modules for remote code. With `modules=False`, a model folder alone.

    Today's code writes every file anew, and keeps the weights. The same folder always gives the same bytes. What is
    built is checked before it takes the place of `target`; a build that fails leaves `target` as it was.

    Args:
        folder: a training run, a model that was trained elsewhere and measured by `evaluate_model.py --record`, a model
            folder, or a repository of this or an older version.
        target: the folder to make. A model folder or a repository that is there is replaced.
        modules: add the modules that `trust_remote_code` runs.
        repo_id: where the repository will be published, USER/NAME. By default the model has the name of `target`.
        dataset: Hub id of the data, for a run whose data was a local folder. By default, that folder's name.
        dataset_note: what a reader must know of the data, for instance that it is a compressed copy.
        baseline: a run without groups on the same data, to compare with: its folder or `all_results.json`.
            By default, the baseline that `folder` holds.
        examples: at most 8 images, which the card shows with what the model makes of them. By default, those that
            `folder` holds.
        onnx: add `onnx/model.onnx`, see `lgn_hf.export`; only classifiers have one.
        quantize: also add ONNX files with these weights, `"float16"` or `"int8"`, see `lgn_hf.export.write_smaller`.
        test_data: what their accuracy is measured on.
        lab: a static Space, USER/NAME, in whose lab the model can be opened; the card links to it.

    Returns:
        `target`, absolute.

    Raises:
        ValueError: the run is not complete, its files do not belong together, or `target` holds something else.
        OSError: a file cannot be read or written.
    """
    target = Path(target).resolve()
    for place in (folder, target):
        put_back(place)  # if a build was killed
    if repo_id is not None:
        check_repo_id(repo_id)
    if lab is not None:
        check_repo_id(lab)
    if target.exists() and not is_built(target):
        refuse_folder(target, foreign_files(target) or [*contents(target)])
    run = read_run(folder)
    others = read_baseline(baseline, folder, run.results)
    images = find_examples(folder) if examples is None else examples
    name = (repo_id or target.name).rpartition("/")[2]

    with replacing_folder(target) as partial:
        _write_network(run, partial, repo_id or name, images)
        _write_records(run, partial, repo_id or name, dataset, dataset_note, others)
        if onnx:
            classifier = Classifier(repo_id or name, run.model, run.processor, partial)
            write_onnx(classifier, partial / MODEL_PATH)
            add_preparation(classifier, partial / PROCESSOR_NAME)
            if quantize and test_data is not None:
                write_smaller(classifier, partial, quantize, test_data)
        write_card(partial, repo_id, lab)
        if modules:
            add_modules(partial)
            check(partial)
        else:
            check_model_folder(partial)
    return target


def _write_network(run: TrainedRun, folder: Path, name: str, examples: Sequence[Any]) -> None:
    """Weights, configurations, whitening, actions, examples and figures."""
    run.model.save_pretrained(folder)
    run.processor.save_pretrained(folder)
    remove_modules(folder)  # save_pretrained copies them
    actions = run.model.actions()
    actions.name = name
    actions.save(folder)
    draw_figures(actions, folder)
    paths = save_examples(examples, run.processor, folder)
    measure(run.model, folder, paths)
    for kind, figure in draw_examples(run.model, run.processor, paths).items():
        save_figure(figure, folder / FIGURES_NAME / f"{kind}.png", DPI)


def _write_records(
    run: TrainedRun,
    folder: Path,
    repo_id: str,
    dataset: str | None,
    dataset_note: str | None,
    baseline: dict[str, Any] | None,
) -> None:
    """Recipe, results and the baseline's results, or the evaluation, without the machine's folders."""
    if run.recipe is None:
        _write_json(folder / EVALUATION_NAME, public_evaluation(run.results, dataset, dataset_note))
        return
    recipe = public_recipe(run.recipe, repo_id, dataset)
    (folder / RECIPE_NAME).write_text(yaml.safe_dump(recipe, sort_keys=False))
    records = {RESULTS_NAME: public_results(run.results, repo_id, dataset, dataset_note)}
    if baseline is not None:
        records[BASELINE_NAME] = public_results(baseline, f"{repo_id}-baseline", dataset, None)
    for file, record in records.items():
        _write_json(folder / file, record)
    draw_training(RunResults.from_json(records[RESULTS_NAME], RESULTS_NAME), folder)


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n")
