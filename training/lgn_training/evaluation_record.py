"""Keep the result of a test in the folder of a model that was trained elsewhere: `evaluate_model.py --record`."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from lgn_hf import LGNImageProcessor
from lgn_hf.files import write_whole
from lgn_hf.hub.cards import RECIPE_NAME
from lgn_hf.hub.folder import is_built
from lgn_hf.runs.evaluation import EVALUATION_NAME, EvaluatedModel, EvaluationResults, weights_fingerprint
from lgn_hf.runs.results import EvaluatedData, MachineRecord
from lgn_training.data import ImageSet, fingerprint
from lgn_training.results import commit, machine, today, versions

# How a test reads its images, besides the name of the data set.
READING_OPTIONS = ("image_size", "num_channels", "image_column", "label_column", "dataset_config_name")

logger = logging.getLogger("lgn_hf.training")


def check_can_record(model: str) -> None:
    """Refuse a model that is not in a folder, or whose folder says already how it was trained.

    Raises:
        ValueError: it is such a model; the message says what to do.
    """
    folder = Path(model)
    if not folder.is_dir():
        raise ValueError(f"--record: {model} is not a folder, so nothing can be kept in it; use --output FILE")
    path = folder / EVALUATION_NAME
    if path.exists() and b'"trained": "elsewhere"' not in path.read_bytes():
        raise ValueError(f"--record: {path} holds something else than an earlier record: move it away")
    if (folder / RECIPE_NAME).exists():
        raise ValueError(
            f"--record: {folder} holds a run of training/run.py ({RECIPE_NAME}), which has results of its own; "
            "use --output FILE"
        )
    if is_built(folder):
        raise ValueError(
            f"--record: {folder} was built by lgn-hf publish; record in the folder that it was built from"
        )


def record(
    args: Namespace,
    accelerator: Accelerator,
    task: str,
    network: Any,
    processor: LGNImageProcessor,
    images: ImageSet,
    metrics: dict[str, float],
    details: dict[str, list],
) -> None:
    """Write `evaluation.json`, see `EvaluationResults`."""
    names = [name for _, name in sorted((network.config.id2label or {}).items())]
    options = {name: getattr(args, name) for name in READING_OPTIONS}
    results = EvaluationResults(
        metrics={f"test_{name}": value for name, value in metrics.items()},
        label_names=names if details else None,
        test_confusion_matrix=details.get("confusion_matrix"),
        test_class_accuracy=details.get("class_accuracy"),
        parameters=sum(p.numel() for name, p in network.named_parameters() if "auxiliary" not in name),
        data=EvaluatedData(source=args.dataset, fingerprint=fingerprint(images), test=len(images)),
        machine=MachineRecord.from_json(machine(accelerator), "machine"),
        versions=versions(),
        commit=commit(),
        date=today(),
        model=EvaluatedModel(
            task=task,
            whitening=processor.whitening,
            base_model=args.base_model,
            weights=weights_fingerprint(network),
        ),
        options={name: value for name, value in options.items() if value is not None},
    )
    path = Path(args.model, EVALUATION_NAME)
    write_whole(path, json.dumps(results.to_json(), indent=2) + "\n")
    logger.info("recorded in %s; publish the model with `lgn-hf publish %s USER/NAME`", path, args.model)
