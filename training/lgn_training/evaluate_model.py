"""Test a trained model on a data set: `accelerate launch training/evaluate_model.py MODEL --dataset SOURCE`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from functools import partial
from typing import Any

from accelerate import Accelerator
from rich.console import Console
from rich.table import Table

from lgn_hf import LGNImageProcessor
from lgn_hf.files import check_output_file, write_whole
from lgn_hf.runs.task import TASKS
from lgn_training.arguments import RunArguments
from lgn_training.data import DataError, ImageSet, fingerprint, load_data, with_classes
from lgn_training.data.batches import device_pixels
from lgn_training.engine.accelerator import make_accelerator
from lgn_training.engine.evaluation import evaluate_in_detail
from lgn_training.engine.machine_checks import check_caches
from lgn_training.engine.processes import jointly
from lgn_training.engine.program import run_program
from lgn_training.engine.trained_model import load_trained
from lgn_training.evaluate_arguments import parse
from lgn_training.evaluation_record import check_can_record, record
from lgn_training.results import commit, machine, today, versions

OUTPUT_START = '{\n  "model": '


def main(argv: list[str]) -> int:
    """Test, and return the exit code."""

    def start() -> tuple[Namespace, Accelerator]:
        args = parse(argv)
        return args, make_accelerator(RunArguments(use_cpu=args.use_cpu))

    return run_program("evaluate_model.py", start, evaluate_model)


def evaluate_model(args: Namespace, accelerator: Accelerator) -> None:
    """Print the model's metrics on the images, and save them if `--output` or `--record` is given.

    Raises:
        ValueError: the model cannot be tested, or the images or labels do not fit it.
        OSError: the model cannot be found or read, or the result cannot be written.
    """
    if args.record:
        jointly(accelerator, partial(check_can_record, args.model))
    if args.output:
        jointly(accelerator, partial(check_output_file, args.output, OUTPUT_START))
    jointly(accelerator, check_caches)
    task, network, processor = jointly(accelerator, partial(load_trained, args.model))
    images = jointly(
        accelerator, partial(load_images, args, network.config, processor, task, accelerator.is_main_process)
    )
    to_pixels = partial(device_pixels, processor, accelerator.device)
    network.to(accelerator.device)
    metrics, details = evaluate_in_detail(
        accelerator, network, images, to_pixels, task=task, batch_size=args.batch_size
    )
    if not accelerator.is_main_process:
        return
    results = {"model": args.model, "dataset": args.dataset, "split": args.split, **metrics, "images": len(images)}
    table = Table(title="evaluation", show_header=False)
    for name, value in results.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        circumstances = {"machine": machine(accelerator), "versions": versions(), "commit": commit(), "date": today()}
        results |= {"fingerprint": fingerprint(images), **circumstances}
        write_whole(args.output, json.dumps(results, indent=2) + "\n")
    if args.record:
        record(args, accelerator, task, network, processor, images, metrics, details)


def load_images(
    args: Namespace, config: Any, processor: LGNImageProcessor, task: str, shows_progress: bool
) -> ImageSet:
    """The images to test on, converted as `processor` does it.

    Raises:
        ValueError: they have another shape than the model takes, or other classes.
    """
    needs_labels = TASKS[task].needs_labels
    data = load_data(
        args.dataset,
        seed=0,
        train_val_split=0,
        image_size=args.image_size,
        num_channels=args.num_channels,
        image_column=args.image_column,
        label_column=args.label_column,
        config_name=args.dataset_config_name,
        needs_labels=needs_labels,
        # One image of the other split, as `load_data` needs some.
        max_train_samples=None if args.split == "train" else 1,
        max_test_samples=None if args.split == "test" else 1,
        resize_mode=processor.resize_mode,
        max_pixel_value=processor.max_pixel_value,
        skip_unreadable=args.skip_unreadable,
        progress=shows_progress,
    )
    if needs_labels:
        names = [name for _, name in sorted((config.id2label or {}).items())]
        _check_named(names, data.label_names or [], args.model)
        data = with_classes(data, names, args.model)
    images: ImageSet = getattr(data, args.split)
    shape, expected = images.images.shape[1:], (config.num_channels, config.image_size, config.image_size)
    if shape != expected:
        raise ValueError(
            f"'{args.dataset}' has images of {_text(shape)} (channels, height, width), and {args.model} takes "
            f"{_text(expected)}: read them as it does with `--num_channels {expected[0]} --image_size {expected[1]}`"
        )
    return images


def _check_named(names: list[str], wanted: list[str], model: str) -> None:
    """Refuse the names that transformers gives to classes without names."""
    if names == [f"LABEL_{i}" for i in range(len(wanted))] != wanted:
        raise DataError(
            f"{model} does not name its classes: set config.id2label in its training, here {dict(enumerate(wanted))!s:.80}"
        )


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
