"""What the lab is given: the shapes and names of the networks, and images to begin with, as plain JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...export import Classifier, PlainNetwork
from ...export.checks import example_images
from ...runs.evaluation import EVALUATION_NAME
from ...runs.trained_model import RESULTS_NAME
from ...texts import group_title
from .elements import element_names

MOST_EXAMPLES = 8


def lab_document(classifiers: Sequence[Classifier], names: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """The networks and images of a lab.

    Args:
        classifiers: the networks.
        names: what the page calls them, all different.
        files: of each, the script that holds its graph.
    """
    models = [_model(*entry) for entry in zip(classifiers, names, files, strict=True)]
    examples: dict[str, list[str]] = {}
    for classifier in classifiers:
        known = examples.setdefault("x".join(map(str, classifier.image_shape)), [])
        for image in example_images(classifier):
            text = base64.b64encode(image.numpy().tobytes()).decode()
            if text not in known and len(known) < MOST_EXAMPLES:
                known.append(text)
    return {"models": models, "examples": examples}


def _model(classifier: Classifier, name: str, file: str) -> dict[str, Any]:
    channels, side, _ = classifier.image_shape
    with torch.no_grad():
        codes = PlainNetwork(classifier, with_codes=True)(torch.zeros(1, *classifier.image_shape))[1:]
    elements, step = element_names(classifier.network)
    word = "layer" if classifier.network.config.model_type == "lgn" else "stage"
    layers = [
        {
            "name": f"{word} {number}",
            "orbits": code.shape[1] // len(elements),
            "height": code.shape[2],
            "width": code.shape[3],
        }
        for number, code in enumerate(codes, 1)
    ]
    return {
        "name": name,
        "file": file,
        "labels": classifier.labels,
        "channels": channels,
        "side": side,
        "layers": layers,
        "elements": elements,
        "step": step,
        "facts": _facts(classifier),
    }


def _facts(classifier: Classifier) -> list[str]:
    """What is known of a model, in short sentences."""
    config, facts = classifier.network.config, []
    if config.model_type == "lgn":
        kinds = {"rotation": "rotations", "left": "learned actions on columns", "cyclic": "learned cyclic actions"}
        kind = kinds.get(config.action, "learned actions") if config.group_order > 1 else "free filters, no group"
    else:
        learned = "learned " if config.action == "learned" else ""
        kind = (
            f"{learned}group {group_title(classifier.network.group.name)}"
            if classifier.network.group.order > 1
            else "free filters, no group"
        )
    facts.append(kind)
    results = _results(classifier.folder)
    accuracy = results.get("test_accuracy")
    if isinstance(accuracy, float):
        facts.append(f"test accuracy {100 * accuracy:.2f} %")
    facts.append(f"{sum(p.numel() for p in classifier.network.parameters()):,} parameters")
    return facts


def _results(folder: Path) -> dict[str, Any]:
    for name in (EVALUATION_NAME, RESULTS_NAME):
        if (folder / name).is_file():
            results = json.loads((folder / name).read_text())
            return results if isinstance(results, dict) else {}
    return {}
