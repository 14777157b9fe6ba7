"""Quick runs of the program, for tests."""

import json
from pathlib import Path

from lgn_training.experiments.__main__ import main

from lgn_hf import LGNConfig, LGNForImageClassification

SMALL = {"image_size": 8, "num_labels": 10, "num_groups": 2, "num_layers": 2, "filter_size": 4}


def run(folder: Path, *argv: str) -> dict:
    """The result of a quick run, in `folder`/out."""
    assert main([*argv, "--quick", "--output_dir", str(folder / "out")]) == 0
    return json.loads((folder / "out" / "result.json").read_text())


def folder_of_model(path: Path, **fields) -> str:
    LGNForImageClassification(LGNConfig(**{**SMALL, **fields})).save_pretrained(path)
    return str(path)
