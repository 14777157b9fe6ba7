"""Complete runs and their records, for tests."""

import csv
import json
from pathlib import Path

from lgn_training.zoo.tables import BEGIN, END

from lgn_hf import LGNConfig

EMPTY_PAGE = f"# Zoo\n\n{BEGIN.format('results')}\n{END.format('results')}\n"


def save_run(folder: Path, model: str, seed: int = 0, **results) -> Path:
    """A complete run, as far as it is recorded."""
    LGNConfig(image_size=8).save_pretrained(folder)
    recipe = {"task": "classification", "seed": seed, "action": "learned", "whitening": "zca"}
    found = {
        "recipe_name": model,
        "recipe": {**recipe, "regularizer": "inverse", "projection": "frobenius"},
        "data": {"source": "/data/mnist/", "train": 57000, "validation": 3000, "test": 10000, "fingerprint": "f"},
        "machine": {"mixed_precision": "no", "processor": "CPU", "threads_per_process": 1},
        "versions": {"torch": "2"},
        "parameters": 30000,
        "epochs": 30,
        "test_accuracy": 0.97,
        **results,
    }
    (folder / "all_results.json").write_text(json.dumps(found))
    return folder


def read_table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv") as file:
        return list(csv.DictReader(file))
