"""Train and test a Linear Group Network.

`accelerate launch training/run.py [RECIPE.yaml] [--field value ...]` in a checkout, and
`accelerate launch -m lgn_training.run [RECIPE.yaml] [--field value ...]` with the installed package. In a checkout, a
recipe of `training/recipes/` can be given by its name alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from accelerate import Accelerator

from lgn_training.arguments import Recipe, RunArguments, parse_arguments, with_recipe_file
from lgn_training.data import fingerprint
from lgn_training.engine.accelerator import make_accelerator
from lgn_training.engine.batched_seeds import check_alike, train_at_once
from lgn_training.engine.checkpoint import checkpoint_path, load_model
from lgn_training.engine.evaluation import evaluate_in_detail, evaluate_split
from lgn_training.engine.lock import locked
from lgn_training.engine.loop import TrainingLoop
from lgn_training.engine.machine_checks import check_caches, warn_of_slow_cpu
from lgn_training.engine.output_folder import RESULTS_FILE, check_push, export, push, resumes
from lgn_training.engine.preparation import Run, prepare
from lgn_training.engine.processes import SharedError, check_shared, jointly
from lgn_training.engine.program import run_program
from lgn_training.engine.step import TrainingStep
from lgn_training.engine.warm_start import with_fields_of_model
from lgn_training.results import collect_results, print_spread, print_table

logger = logging.getLogger("lgn_hf.training")


def main(argv: list[str]) -> int:
    """Train, and return the exit code."""

    def start() -> tuple[Recipe, Accelerator]:
        recipe = parse_arguments(with_recipe_file(argv))
        return recipe, make_accelerator(recipe.run)

    return run_program("run.py", start, run)


def run(recipe: Recipe, accelerator: Accelerator) -> None:
    """Train as `recipe` says, once with each of its seeds if it has several."""
    if recipe.run.seeds is None:
        run_one(recipe, accelerator)
        return
    runs = recipe.of_seeds()
    accelerators = [make_accelerator(one.run) for one in runs]  # with trackers and a gradient scaler of their own
    if recipe.run.seeds_at_once:
        run_at_once(runs, accelerators)
        for own in accelerators:
            finish_trackers(own)
    else:
        for one, own in zip(runs, accelerators, strict=True):
            run_one(one, own)
            finish_trackers(own)
    if accelerator.is_main_process:
        print_spread([json.loads(Path(one.run.output_dir, RESULTS_FILE).read_text()) for one in runs])


def finish_trackers(accelerator: Accelerator) -> None:
    for tracker in accelerator.trackers:
        tracker.finish()


def run_one(recipe: Recipe, accelerator: Accelerator) -> None:
    """Train, test once on each data set, and leave a complete model folder in `output_dir`."""
    with opened(recipe, accelerator) as prepared:
        if prepared is not None:
            loop, args = prepared.loop, recipe.run
            model, optimizer = accelerator.prepare(loop.network, loop.optimizer)
            loop.run(TrainingStep(accelerator, model, optimizer, args, loop.total_steps))
            finish(prepared)


def run_at_once(recipes: Sequence[Recipe], accelerators: Sequence[Accelerator]) -> None:
    """`run_one` for recipes that differ in their seed, whose networks train as one.

    Raises:
        SharedError: several processes, or seeds with different numbers of training images.
        TrainingStopped: a seed stopped early. Those that came to their end are complete.
    """
    if accelerators[0].num_processes > 1:
        raise SharedError("seeds_at_once trains in one process: leave it out, or launch one process")
    with contextlib.ExitStack() as folders:
        named = [(one, own, f"seed {one.run.seed}") for one, own in zip(recipes, accelerators, strict=True)]
        found = [folders.enter_context(opened(*one)) for one in named]
        runs = [prepared for prepared in found if prepared is not None]
        check_alike([prepared.loop for prepared in runs])
        stopped = train_at_once([prepared.loop for prepared in runs])
        for prepared in runs:
            if prepared.loop not in stopped:
                finish(prepared)
        for stop in stopped.values():
            raise stop


@contextlib.contextmanager
def opened(recipe: Recipe, accelerator: Accelerator, name: str | None = None) -> Iterator[Run | None]:
    """The run in the output folder of a recipe, which no other run uses meanwhile; None if it is complete."""
    folder = Path(recipe.run.output_dir)
    jointly(accelerator, check_caches)
    recipe = jointly(accelerator, partial(with_fields_of_model, recipe))
    with locked(folder, accelerator):
        if is_complete(recipe, folder, accelerator):
            yield None
            return
        if accelerator.is_main_process:
            warn_of_slow_cpu(accelerator)
        if recipe.run.push_to_hub:
            jointly(accelerator, lambda: check_push(folder, recipe.run) if accelerator.is_main_process else None)
        prepared = prepare(recipe, folder, accelerator, name)
        if recipe.run.report_to != "none":
            accelerator.init_trackers("lgn-hf", config=recipe.scalars())
        yield prepared


def finish(prepared: Run) -> None:
    """Test the network with the weights that are chosen, and leave it with its results in the folder of the run."""
    recipe, accelerator, data, folder = prepared.recipe, prepared.accelerator, prepared.data, prepared.folder
    network, progress, options = prepared.loop.network, prepared.loop.progress, prepared.evaluation
    chosen = choose_weights(recipe.run, prepared.loop, accelerator)
    test, test_details = evaluate_in_detail(accelerator, network, data.test, **options)
    also_tested_on = {
        source: {
            **evaluate_split(accelerator, network, images, **options),
            "images": len(images),
            "fingerprint": fingerprint(images),
        }
        for source, images in prepared.further_tests.items()
    }
    if accelerator.is_main_process:
        results = collect_results(
            recipe, accelerator, network, data, progress, chosen, test, test_details, also_tested_on
        )
        export(folder, network, prepared.processor, results)
        print_table(results, folder)
        if recipe.run.push_to_hub:
            push(folder, recipe.run)
    accelerator.wait_for_everyone()


def is_complete(recipe: Recipe, folder: Path, accelerator: Accelerator) -> bool:
    """Whether the run in `folder` is complete; its results are then printed.

    Raises:
        SharedError: the folder holds something else, or not every process sees the same folder.
    """
    continues = jointly(accelerator, partial(resumes, recipe, folder))
    check_shared(accelerator, folder)
    if not (continues and (folder / RESULTS_FILE).exists()):
        return False
    if accelerator.is_main_process:
        logger.info("this run is complete")
        print_table(json.loads((folder / RESULTS_FILE).read_text()), folder)
    return True


def choose_weights(args: RunArguments, loop: TrainingLoop, accelerator: Accelerator) -> int:
    """Give the network the weights that are tested and exported: of the best epoch or the last step. Returns their step."""
    progress = loop.progress
    chosen = progress.best_step if args.load_best_model_at_end and progress.best_step else progress.step
    if chosen != progress.step:
        load_model(checkpoint_path(loop.folder, chosen), loop.network)
    # Out of mixed precision: whoever loads the model has it in full precision.
    accelerator.unwrap_model(loop.network, keep_fp32_wrapper=False)
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
