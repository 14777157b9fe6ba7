"""The results of a run: its metrics, recipe, data, machine and versions, and the closing table."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table
from torch import nn

from lgn_hf.runs.group_origin import read_group_source
from lgn_hf.runs.results import DataRecord, MachineRecord, RecipeRecord, RunResults
from lgn_hf.runs.task import TASKS
from lgn_training.arguments import Recipe
from lgn_training.data import Data
from lgn_training.engine.checkpoint import Progress

PACKAGES = ("torch", "transformers", "huggingface-hub", "safetensors", "datasets", "accelerate", "evaluate")
# What a result comes from, as git finds it; results themselves are committed, too, and do not count.
CODE = (":(top)*.py", ":(top)*.cpp", ":(top)*.h", ":(top)training/*.yaml")


def machine(accelerator: Accelerator) -> dict:
    """The machine of a run, as `MachineRecord` writes it."""
    is_cuda = accelerator.device.type == "cuda"
    return MachineRecord(
        processor=_processor_name(),
        cores=os.cpu_count() or 1,
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        device=accelerator.device.type,
        processes=accelerator.num_processes,
        threads_per_process=torch.get_num_threads(),
        mixed_precision=accelerator.mixed_precision,
        accelerator=torch.cuda.get_device_name(accelerator.device) if is_cuda else None,
    ).to_json()


def _processor_name() -> str:
    """The name of the processor, or its architecture if the system does not tell the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Installed versions of the libraries that a result depends on."""
    return {"lgn-hf": version("lgn-hf"), **{name: version(name) for name in PACKAGES}}


def commit() -> str | None:
    """The commit of this program, with a + if its code was changed since; None outside of a repository."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    is_changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *CODE]).returncode
    return head.stdout.strip() + ("+" if is_changed else "")


def today() -> str:
    return datetime.date.today().isoformat()


def collect_results(
    recipe: Recipe,
    accelerator: Accelerator,
    network: nn.Module,
    data: Data,
    progress: Progress,
    chosen: int,
    test: dict[str, float],
    test_details: dict[str, list],
    also_tested_on: dict[str, dict],
) -> dict:
    """What `all_results.json` holds, see `RunResults`.

    Args:
        chosen: the step whose weights were tested.
        test: metrics on the data set's own test images.
        test_details: what is told of these images beyond metrics.
        also_tested_on: for each further data set, metrics on its test images, how many they are and their fingerprint.
    """
    epoch = next((record for record in progress.history if record["step"] == chosen), {})
    fields = recipe.fields()
    return RunResults(
        metrics={
            **{f"test_{name}": value for name, value in test.items()},
            **{name: value for name, value in epoch.items() if name.startswith(("validation_", "train_"))},
        },
        also_tested_on=also_tested_on,
        label_names=data.label_names if test_details else None,
        test_confusion_matrix=test_details.get("confusion_matrix"),
        test_class_accuracy=test_details.get("class_accuracy"),
        selected_by=f"validation_{TASKS[recipe.run.task].selection.name}" if progress.best_step else "last step",
        best_epoch=epoch.get("epoch"),
        epochs=progress.history[-1]["epoch"],  # a fraction if the run ended within one
        steps=progress.step,
        global_batch_size=progress.global_batch_size,
        parameters=sum(p.numel() for name, p in network.named_parameters() if "auxiliary" not in name),
        train_seconds=progress.train_seconds,
        images_per_second=progress.images_seen / max(progress.train_seconds, 1e-9),
        seed=recipe.run.seed,
        group_source=None if recipe.run.group_from is None else read_group_source(recipe.run.group_from),
        recipe_name=recipe.name,
        recipe=RecipeRecord.from_json(fields, "recipe"),
        data=DataRecord(
            source=data.source,
            fingerprint=data.fingerprint,
            train=len(data.train),
            validation=len(data.validation),
            test=len(data.test),
        ),
        machine=MachineRecord.from_json(machine(accelerator), "machine"),
        versions=versions(),
        commit=commit(),
        date=today(),
        history=progress.history,
    ).to_json()


def print_spread(runs: Sequence[dict]) -> None:
    """Print mean, standard deviation and range of each metric over runs that differ in their seed."""
    rows = []
    for name in runs[0]:
        values = [value for results in runs if isinstance(value := results.get(name), float)]
        if name.startswith(("test_", "validation_")) and len(values) == len(runs):
            spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
            span = f"{min(values):.4f} to {max(values):.4f}"
            rows.append((name.replace("_", " "), f"{statistics.mean(values):.4f}", spread, span))
    table = Table(title=f"seeds {', '.join(str(results['seed']) for results in runs)}")
    for column in ("", "mean", "standard deviation", "range"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_table(results: dict, output_dir: Path) -> None:
    """Print what the run reached, on which data and in what time."""
    table = Table(title=f"{results['recipe_name'] or 'LGN'} on {results['data']['source']}", show_header=False)
    rows = {
        name.replace("_", " "): results[name]
        for name in results
        if name.startswith(("test_", "validation_", "train_loss")) and isinstance(results[name], (int, float))
    }
    for source, found in results.get("also_tested_on", {}).items():
        metrics = {name: value for name, value in found.items() if isinstance(value, float)}
        rows |= {f"{name.replace('_', ' ')} on {source}": value for name, value in metrics.items()}
    rows |= {
        "parameters": f"{results['parameters']:,}",
        "best epoch": results["best_epoch"],
        "steps": results["steps"],
        "seconds of training": f"{results['train_seconds']:.1f}",
        "images per second": f"{results['images_per_second']:.0f}",
        "model": str(output_dir),
    }
    for name, value in rows.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)
