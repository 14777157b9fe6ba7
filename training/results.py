"""What a run leaves behind about itself: facts of the machine and the versions, and the closing table."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table

PACKAGES = ("torch", "transformers", "huggingface-hub", "safetensors", "datasets", "accelerate", "evaluate")


def machine(accelerator: Accelerator) -> dict:
    """Processor, accelerator, processes and threads that a run has."""
    facts = {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "threads_per_process": torch.get_num_threads(),
        "mixed_precision": accelerator.mixed_precision,
    }
    if accelerator.device.type == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name(accelerator.device)
    return facts


def _processor_name() -> str:
    """The processor's name, or its architecture where the system has no better one to tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Installed versions of the libraries that a result depends on."""
    return {"lgn-hf": version("lgn-hf"), **{name: version(name) for name in PACKAGES}}


def today() -> str:
    return datetime.date.today().isoformat()


def print_table(results: dict, output_dir: Path) -> None:
    """The closing table: what the run reached, on what, in what time."""
    table = Table(title=f"{results['recipe_name'] or 'LGN'} on {results['data']['source']}", show_header=False)
    rows = {name: results[name] for name in results if name.startswith(("test_", "validation_", "train_loss"))}
    rows |= {
        "parameters": f"{results['parameters']:,}",
        "best epoch": results["best_epoch"],
        "steps": results["steps"],
        "seconds of training": f"{results['train_seconds']:.1f}",
        "images per second": f"{results['images_per_second']:.0f}",
        "model": str(output_dir),
    }
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)
