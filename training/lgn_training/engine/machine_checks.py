"""What a machine lacks, said before a run starts: a cache that can be written, cores that work, a fast number format."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import datasets.config as datasets_config
import evaluate.config as evaluate_config
import psutil
import torch
from accelerate import Accelerator

from lgn_hf.model.convolutions import has_matrix_units

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

logger = logging.getLogger("lgn_hf.training")


def check_caches() -> None:
    """Check the cache folders of `datasets` and `evaluate`, which a run needs at its first validation at the latest.

    Raises:
        OSError: one cannot be made or written.
    """
    for folder in map(Path, (datasets_config.HF_DATASETS_CACHE, evaluate_config.HF_METRICS_CACHE)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(
                f"the cache folder {folder} cannot be written ({error.strerror}): set HF_HOME to a folder that can"
            ) from None


def warn_of_slow_cpu(accelerator: Accelerator) -> None:
    """Say, in one line each, that cores lie idle, or that a number format is slow on this CPU."""
    if accelerator.device.type != "cpu":
        return
    used, cores = torch.get_num_threads() * int(os.environ.get("LOCAL_WORLD_SIZE", "1")), _cores()
    if used < cores:
        logger.warning(
            "Note: %d of %d cores are used. `accelerate launch --config_file training/accelerate/cpu.yaml` uses all, and so "
            "does OMP_NUM_THREADS=%d",
            used,
            cores,
            cores,
        )
    if accelerator.mixed_precision in DTYPES and not has_matrix_units(DTYPES[accelerator.mixed_precision]):
        logger.warning(
            "Note: this CPU has no matrix units (AMX) for %s, which gains nothing over float32 here and can be slower: "
            "leave --%s out",
            accelerator.mixed_precision,
            accelerator.mixed_precision,
        )


def _cores() -> int:
    """The cores that this process may use, without their second threads, as accelerate counts them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, psutil.cpu_count(logical=False) or allowed)
