"""Train and test a Linear Group Network: `accelerate launch training/run.py [RECIPE.yaml] [--field value ...]`."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list, set_seed
from torch import Tensor
from transformers.utils import logging as transformers_logging

from lgn_hf import LGNConfig, LGNImageProcessor
from lgn_hf.files import write_whole
from lgn_hf.runs.task import TASKS
from lgn_training.arguments import Recipe, RunArguments, parse_arguments
from lgn_training.batches import TrainingBatches, total_steps
from lgn_training.checkpoint import Progress, list_checkpoints, load_model, load_optimizer, load_progress
from lgn_training.data import Data, ImageSet, fingerprint, load_data, load_tests
from lgn_training.evaluation import evaluate_split
from lgn_training.loop import TrainingLoop, TrainingStopped
from lgn_training.optimization import make_optimizer
from lgn_training.output import PROCESSOR_FILE, RECIPE_FILE, RESULTS_FILE, export, install, push, resumes
from lgn_training.processes import SharedError, check_shared, fail, jointly
from lgn_training.results import collect_results, print_table

Given = TypeVar("Given")

logger = logging.getLogger("lgn_hf.training")


def main(argv: list[str]) -> int:
    """Train, and return the exit code."""

    def start() -> tuple[Recipe, Accelerator]:
        recipe = parse_arguments(argv)
        return recipe, make_accelerator(recipe.run)

    return run_program("run.py", start, run)


def run_program(
    name: str, start: Callable[[], tuple[Given, Accelerator]], act: Callable[[Given, Accelerator], None]
) -> int:
    """`start`, which reads the command line, then `act`; the exit code. Whatever a user can get wrong ends in one line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    transformers_logging.disable_progress_bar()
    try:
        given, accelerator = start()
    except (ValueError, OSError) as error:
        return fail(name, SharedError(error))  # as all processes are given the same
    logger.setLevel(logging.INFO if accelerator.is_main_process else logging.ERROR)
    try:
        act(given, accelerator)
    except TrainingStopped as stop:
        return fail(name, stop, stop.exit_code)
    except (ValueError, OSError) as error:
        if os.environ.get("LGN_HF_TRACEBACK"):
            raise
        return fail(name, error)
    except KeyboardInterrupt:  # before the first or after the last step, where there is nothing to save
        return 130
    finally:
        accelerator.end_training()
    return 0


def run(recipe: Recipe, accelerator: Accelerator) -> None:
    """Train as `recipe` says, test once on each data set, and leave a complete model folder in `output_dir`."""
    args, folder = recipe.run, Path(recipe.run.output_dir)
    continues = jointly(accelerator, partial(resumes, recipe, folder))
    check_shared(accelerator, folder)
    if continues and (folder / RESULTS_FILE).exists():
        if accelerator.is_main_process:
            logger.info("this run is complete")
            print_table(json.loads((folder / RESULTS_FILE).read_text()), folder)
        return
    shows_progress = accelerator.is_main_process and not args.disable_tqdm
    data, further_tests, config = jointly(accelerator, partial(prepare, recipe, shows_progress))
    set_seed(args.seed)
    network = TASKS[args.task].model_class(config)
    if accelerator.is_main_process and not (folder / RECIPE_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / RECIPE_FILE, yaml.safe_dump(recipe.fields(), sort_keys=False))
    processor = shared_processor(accelerator, folder, network.config, data, args.whitening)
    to_pixels = partial(device_pixels, processor, accelerator.device)

    checkpoints = list_checkpoints(folder)
    progress = load_progress(checkpoints[-1]) if checkpoints else Progress()
    if checkpoints:
        load_model(checkpoints[-1], network)
        logger.info("continuing from %s", checkpoints[-1])
    network.to(accelerator.device)
    raw_optimizer = make_optimizer(network, args)
    model, optimizer = accelerator.prepare(network, raw_optimizer)
    if checkpoints:
        load_optimizer(checkpoints[-1], network, raw_optimizer)
        if accelerator.scaler is not None and progress.grad_scaler:
            accelerator.scaler.load_state_dict(progress.grad_scaler)

    train = data.train if args.task == "classification" else ImageSet(data.train.images, None)
    batches = TrainingBatches(
        train,
        to_pixels,
        batch_size=args.per_device_train_batch_size,
        accumulation_steps=args.gradient_accumulation_steps,
        seed=args.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        random_crop=args.random_crop,
        random_flip=args.random_flip,
    )
    if progress.global_batch_size not in (0, batches.global_batch_size):
        raise SharedError(
            f"this run has {progress.global_batch_size} images per step, and these options make "
            f"{batches.global_batch_size}: match them by per_device_train_batch_size * gradient_accumulation_steps * "
            "processes"
        )
    progress.global_batch_size = batches.global_batch_size

    measure = partial(
        evaluate_split,
        accelerator,
        network,
        to_pixels=to_pixels,
        task=args.task,
        batch_size=args.per_device_eval_batch_size,
        channels_last=args.channels_last,
    )
    validate = partial(measure, data.validation) if len(data.validation) else None
    steps = total_steps(args.num_train_epochs, args.max_steps, batches.steps_per_epoch)
    logger.info(
        "%s: %d training, %d validation and %d test images; %d steps of %d images on %d process(es)",
        args.dataset,
        len(data.train),
        len(data.validation),
        len(data.test),
        steps,
        batches.global_batch_size,
        accelerator.num_processes,
    )
    if args.report_to != "none":
        accelerator.init_trackers("lgn-hf", config=recipe.scalars())
    TrainingLoop(accelerator, model, optimizer, batches, validate, args, folder, progress, steps).run()

    chosen = progress.best_step if args.load_best_model_at_end and progress.best_step else progress.step
    if chosen != progress.step:
        load_model(folder / f"checkpoint-{chosen:08d}", network)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # tested in full precision, as whoever loads it has it
    test_metrics = measure(data.test)
    also_tested_on = {
        source: {**measure(images), "images": len(images), "fingerprint": fingerprint(images)}
        for source, images in further_tests.items()
    }
    if accelerator.is_main_process:
        results = collect_results(recipe, accelerator, network, data, progress, chosen, test_metrics, also_tested_on)
        export(folder, network, processor, results)
        print_table(results, folder)
        if args.push_to_hub:
            push(folder, args)
    accelerator.wait_for_everyone()


def make_accelerator(args: RunArguments) -> Accelerator:
    """The accelerator of this process, after the launches that silently run something else are ruled out."""
    if args.report_to != "none" and importlib.util.find_spec(args.report_to) is None:
        raise ValueError(f"report_to={args.report_to!r} is not installed: pip install {args.report_to}")
    has_gpu = torch.accelerator.is_available()
    accelerator = Accelerator(
        cpu=args.use_cpu or not has_gpu,  # several processes on CPUs, then, instead of an error
        mixed_precision="bf16" if args.bf16 else "fp16" if args.fp16 else None,
        dynamo_backend="inductor" if args.torch_compile else None,
        log_with=None if args.report_to == "none" else args.report_to,
        project_dir=args.output_dir,
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != accelerator.num_processes:
        raise ValueError(
            f"{launched} processes were launched but each sees {accelerator.num_processes}: launch with "
            "`accelerate launch --config_file training/accelerate/...`"
        )
    if accelerator.num_processes == 1 and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        logger.warning(
            "Note: `accelerate launch` was asked for several processes and started ONE, as it does on CPUs; "
            "`accelerate launch --config_file training/accelerate/cpu-2-processes.yaml` starts several."
        )
    return accelerator


def prepare(recipe: Recipe, shows_progress: bool) -> tuple[Data, dict[str, ImageSet], LGNConfig]:
    """The data, the test images of further data sets, and the configuration of a network for them."""
    args = recipe.run
    options: dict[str, Any] = {
        "seed": args.seed,
        "image_size": recipe.network["image_size"],
        "num_channels": recipe.network["num_channels"],
        "image_column": args.image_column,
        "label_column": args.label_column,
        "config_name": args.dataset_config_name,
        "needs_labels": args.task == "classification",
        "max_test_samples": args.max_test_samples,
        "progress": shows_progress,
    }
    data = load_data(
        args.dataset, train_val_split=args.train_val_split, max_train_samples=args.max_train_samples, **options
    )
    further_tests = load_tests(args.also_test_on or [], data, **options)
    return data, further_tests, network_config(recipe.network, data, args.task)


def network_config(network: dict, data: Data, task: str) -> LGNConfig:
    """The configuration: the recipe's fields, the rest as the data."""
    channels, height = data.train.images.shape[1:3]
    fields = {**network, "image_size": height, "num_channels": channels}
    if task == "classification" and data.label_names is not None:
        fields["id2label"] = dict(enumerate(data.label_names))
        fields["label2id"] = {name: label for label, name in enumerate(data.label_names)}
        fields["problem_type"] = "single_label_classification"
    return LGNConfig(**fields)


def shared_processor(
    accelerator: Accelerator, folder: Path, config: LGNConfig, data: Data, whitening: str
) -> LGNImageProcessor:
    """The image processor, fitted once on the training images, kept with the run and given to every process."""
    processor = LGNImageProcessor(image_size=config.image_size, num_channels=config.num_channels, whitening=whitening)
    if accelerator.is_main_process:
        if (folder / PROCESSOR_FILE).exists():
            processor = LGNImageProcessor.from_pretrained(folder)
        else:
            install(folder, processor.fit(data.train.images).save_pretrained)
    shared = [processor]
    broadcast_object_list(shared)
    return shared[0]


def device_pixels(processor: LGNImageProcessor, device: torch.device, images: Tensor) -> Tensor:
    """uint8 images (B, C, H, W) to `pixel_values` (B, C, H, W) on `device`."""
    return processor.pixel_values(images.to(device))
