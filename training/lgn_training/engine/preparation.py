"""What a run needs before its first step: data, network, image processor, optimiser, batches, and the loop over them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object, set_seed
from torch import Tensor

from lgn_hf import LGNImageProcessor
from lgn_hf.actions import load_actions
from lgn_hf.files import write_whole
from lgn_hf.nn import LinearGroup
from lgn_hf.runs.family import FAMILIES, read_config
from lgn_hf.runs.task import TASKS
from lgn_training.arguments import Recipe, RunArguments
from lgn_training.data import Data, ImageSet, load_data, load_tests, warn_of_unseen_classes
from lgn_training.data.batches import TrainingBatches, device_pixels, total_steps
from lgn_training.engine.checkpoint import (
    Progress,
    list_checkpoints,
    load_model,
    load_optimizer,
    load_progress,
    newest_whole,
)
from lgn_training.engine.discovered_start import start_at_discovered, wants_discovered
from lgn_training.engine.evaluation import evaluate_split
from lgn_training.engine.loop import TrainingLoop
from lgn_training.engine.optimization import make_optimizer
from lgn_training.engine.output_folder import PROCESSOR_FILE, RECIPE_FILE, install
from lgn_training.engine.processes import SharedError, jointly
from lgn_training.engine.warm_start import load_weights

logger = logging.getLogger("lgn_hf.training")

GROUP_TOLERANCE = 0.5  # relative distance below which products of actions that were found are one element


@dataclass
class Run:
    """A run that is ready to train, from its beginning or from its newest checkpoint.

    evaluation: what `evaluate_split` is told of the images.
    """

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    data: Data
    further_tests: dict[str, ImageSet]
    processor: LGNImageProcessor
    evaluation: dict[str, Any]
    loop: TrainingLoop


def prepare(recipe: Recipe, folder: Path, accelerator: Accelerator, name: str | None = None) -> Run:
    """Load the data, make the network, and find the newest checkpoint in `folder`.

    Args:
        name: what progress bars and messages call the run, where several train at once.

    Raises:
        SharedError, ValueError, OSError: the data, the network or the checkpoint do not fit the recipe or each other.
    """
    args = recipe.run
    data, further_tests, config = load_everything(recipe, accelerator)
    network = jointly(accelerator, partial(make_network, recipe, config))
    save_recipe(recipe, folder, accelerator)
    processor = share_processor(accelerator, folder, network.config, data, args)
    to_pixels = partial(device_pixels, processor, accelerator.device)
    optimizer, progress = start_or_continue(args, folder, network, accelerator)
    batches = make_batches(args, data, to_pixels, accelerator)
    check_batch_size(progress, batches)
    check_data(progress, data, folder, accelerator)
    evaluation = {
        "to_pixels": to_pixels,
        "task": args.task,
        "batch_size": args.per_device_eval_batch_size,
        "channels_last": args.channels_last,
    }
    validate = partial(evaluate_split, accelerator, network, data.validation, **evaluation)
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
    loop = TrainingLoop(
        accelerator,
        network,
        optimizer,
        batches,
        validate if len(data.validation) else None,
        args,
        folder,
        progress,
        steps,
        name,
    )
    return Run(recipe, folder, accelerator, data, further_tests, processor, evaluation, loop)


def load_everything(recipe: Recipe, accelerator: Accelerator) -> tuple[Data, dict[str, ImageSet], Any]:
    """The data, the test images of further data sets, and the configuration of a network for them."""
    args = recipe.run
    options: dict[str, Any] = {
        "seed": args.seed,
        "image_size": recipe.network["image_size"],
        "num_channels": recipe.network["num_channels"],
        "image_column": args.image_column,
        "label_column": args.label_column,
        "config_name": args.dataset_config_name,
        "needs_labels": TASKS[args.task].needs_labels,
        "max_test_samples": args.max_test_samples,
        "resize_mode": args.resize_mode,
        "max_pixel_value": args.max_pixel_value,
        "skip_unreadable": args.skip_unreadable,
        "progress": accelerator.is_main_process and not args.disable_tqdm,
    }

    def load() -> tuple[Data, dict[str, ImageSet], Any]:
        data = load_data(
            args.dataset, train_val_split=args.train_val_split, max_train_samples=args.max_train_samples, **options
        )
        warn_of_unseen_classes(data)
        further_tests = load_tests(args.also_test_on or [], data, **options)
        return data, further_tests, network_config(recipe, data)

    return jointly(accelerator, load)


def network_config(recipe: Recipe, data: Data) -> Any:
    """The recipe's fields of the network, completed by those that the data decides."""
    channels, height = data.train.images.shape[1:3]
    fields = {**recipe.network, "image_size": height, "num_channels": channels}
    if TASKS[recipe.run.task].needs_labels and data.label_names is not None:
        fields["id2label"] = dict(enumerate(data.label_names))
        fields["label2id"] = {name: label for label, name in enumerate(data.label_names)}
        fields["problem_type"] = "single_label_classification"
    if not wants_discovered(recipe) and recipe.run.group_from is not None:
        group = found_group(recipe.run.group_from, recipe.network.get("group"), recipe.run.group_actions)
        fields["group"] = group.snapped().resized(fields["filter_size"]) if recipe.run.snap_group else group
    elif recipe.run.model_name_or_path is not None and fields.get("group") == "given":
        fields["group_generators"] = read_config(recipe.run.model_name_or_path).group_generators
    return FAMILIES[recipe.model_type].config_class(**fields)


def found_group(place: str, group: str | None, rows: list[int] | None = None) -> LinearGroup:
    """The group that actions of a folder generate, for a network whose field `group` asks for it.

    Args:
        rows: which of them, from 1; by default all.

    Raises:
        ValueError: the network does not take a given group, or the actions do not generate one.
    """
    if group != "given":
        raise ValueError(
            f"group_from={place!r} needs --model_type lgn_convnet and --group given, or --action_init discovered"
        )
    matrices = load_actions(place).matrices.flatten(0, 2)
    if rows is not None:
        if not all(1 <= row <= len(matrices) for row in rows) or not rows:
            raise ValueError(f"group_actions={rows}: {place} has actions 1 to {len(matrices)}")
        matrices = matrices[[row - 1 for row in rows]]
    try:
        return LinearGroup.from_generators(matrices, tolerance=GROUP_TOLERANCE)
    except ValueError as error:
        raise ValueError(f"group_from={place!r}: {error}") from None


def make_network(recipe: Recipe, config: Any) -> Any:
    """The network for the task, with the initial weights of the run's seed, or those of the model that it starts from."""
    set_seed(recipe.run.seed)
    network = FAMILIES[recipe.model_type].network_class(recipe.run.task)(config)
    if recipe.run.model_name_or_path is not None:
        load_weights(recipe.run.model_name_or_path, network)
    if wants_discovered(recipe):
        start_at_discovered(network, str(recipe.run.group_from))
    return network


def save_recipe(recipe: Recipe, folder: Path, accelerator: Accelerator) -> None:
    """Write `recipe.yaml`, which marks the folder as this run's, unless the run has been started before."""
    if accelerator.is_main_process and not (folder / RECIPE_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / RECIPE_FILE, yaml.safe_dump(recipe.fields(), sort_keys=False))


def share_processor(
    accelerator: Accelerator, folder: Path, config: Any, data: Data, args: RunArguments
) -> LGNImageProcessor:
    """The image processor: fitted on the training images, saved with the run, and sent to every process.

    A run that continues from a checkpoint keeps the processor of that run. One that starts from a trained model takes
    that model's.
    """
    processor = LGNImageProcessor(
        image_size=config.image_size,
        num_channels=config.num_channels,
        whitening=args.whitening,
        resize_mode=args.resize_mode,
        max_pixel_value=args.max_pixel_value,
    )
    if accelerator.is_main_process:
        if (folder / PROCESSOR_FILE).exists() and list_checkpoints(folder):
            processor = LGNImageProcessor.from_pretrained(folder)
        elif args.model_name_or_path is not None:
            processor = LGNImageProcessor.from_pretrained(args.model_name_or_path)
            install(folder, processor.save_pretrained)
        else:
            install(folder, processor.fit(data.train.images).save_pretrained)
    shared = [processor]
    broadcast_object_list(shared)
    return shared[0]


def start_or_continue(
    args: RunArguments, folder: Path, network: Any, accelerator: Accelerator
) -> tuple[torch.optim.Optimizer, Progress]:
    """Bring the network to its device and make its optimiser, in the state of the newest whole checkpoint if there is one."""
    shared = [newest_whole(folder, args.load_best_model_at_end) if accelerator.is_main_process else None]
    broadcast_object_list(shared)
    checkpoint, skipped = cast(tuple[Path | None, dict[str, str]], shared[0])
    for name, reason in skipped.items():
        logger.warning("not continuing from %s: %s", folder / name, reason)
    if skipped and checkpoint is None:
        logger.warning("no checkpoint in %s can be used: starting from the beginning", folder)
    if checkpoint is None:
        network.to(accelerator.device)
        return make_optimizer(network, args), Progress()
    progress = load_progress(checkpoint)
    load_model(checkpoint, network)
    logger.info("continuing from %s", checkpoint)
    network.to(accelerator.device)
    optimizer = make_optimizer(network, args)
    load_optimizer(checkpoint, network, optimizer)
    if accelerator.scaler is not None and progress.grad_scaler:
        accelerator.scaler.load_state_dict(progress.grad_scaler)
    return optimizer, progress


def make_batches(
    args: RunArguments, data: Data, to_pixels: Callable[[Tensor], Tensor], accelerator: Accelerator
) -> TrainingBatches:
    """The training batches of this process."""
    needs_labels = TASKS[args.task].needs_labels
    return TrainingBatches(
        data.train if needs_labels else ImageSet(data.train.images, None),
        to_pixels,
        batch_size=args.per_device_train_batch_size,
        accumulation_steps=args.gradient_accumulation_steps,
        seed=args.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        random_crop=args.random_crop,
        random_flip=args.random_flip,
        cutout=args.cutout,
        balance_classes=args.class_weight == "balanced",
    )


def check_batch_size(progress: Progress, batches: TrainingBatches) -> None:
    """Record the images per step, which a continued run must keep.

    Raises:
        SharedError: the run that is continued had another number of images per step.
    """
    if progress.global_batch_size not in (0, batches.global_batch_size):
        raise SharedError(
            f"this run has {progress.global_batch_size} images per step, and these options make "
            f"{batches.global_batch_size}: match them by per_device_train_batch_size * gradient_accumulation_steps * "
            "processes"
        )
    progress.global_batch_size = batches.global_batch_size


def check_data(progress: Progress, data: Data, folder: Path, accelerator: Accelerator) -> None:
    """Record the data of the run, which a continued run must keep: validation images must not have been trained on.

    Raises:
        SharedError: the run that is continued had other data, or the processes have different data.
    """
    splits = {name: len(getattr(data, name)) for name in ("train", "validation", "test")}
    own = {"fingerprint": data.fingerprint, **splits}
    for rank, other in enumerate(gather_object([own])):
        if other["fingerprint"] != own["fingerprint"]:
            raise SharedError(
                f"process {rank} has other data ({_sizes(other)}) than process {accelerator.process_index} "
                f"({_sizes(own)}): give every machine the same copy of the data set"
            )
    if progress.data is not None and progress.data != own:
        raise SharedError(
            f"cannot resume {folder}: its data were {_sizes(progress.data)} and are {_sizes(own)}; "
            "restore the data of the run, or choose another folder"
        )
    progress.data = own


def _sizes(data: dict) -> str:
    return f"{data['train']}+{data['validation']}+{data['test']} images, fingerprint {data['fingerprint'][:12]}"
