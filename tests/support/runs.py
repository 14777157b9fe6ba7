"""Runs of tiny networks that nobody trained, of every kind that can be published."""

import json
from pathlib import Path

import yaml

from lgn_hf import LGNImageProcessor
from lgn_hf.runs.task import TASKS
from tests.support.networks import make_used_model


def save_run(folder: Path, network: str, task: str, example: Path) -> Path:
    """Save what a run leaves.

    Args:
        folder: to save in.
        network: its name in `NETWORKS`.
        task: its name in `TASKS`.
        example: the folder of a trained run, whose recipe and results are changed as this network needs it.
    """
    model = make_used_model(network, task).float()
    config = model.config
    model.save_pretrained(folder)
    channels = config.num_channels
    LGNImageProcessor(config.image_size, channels, [0.4] * channels, [0.3] * channels).save_pretrained(folder)
    for module in folder.glob("*.py"):
        module.unlink()

    recipe = yaml.safe_load((example / "recipe.yaml").read_text())
    recipe |= {field: value for field, value in config.to_dict().items() if field in recipe}
    recipe |= {"task": task, "whitening": "none"}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    results = json.loads((example / "all_results.json").read_text())
    results |= {f"test_{metric.name}": 0.5 for metric in TASKS[task].metrics}
    count = sum(p.numel() for name, p in model.named_parameters() if "auxiliary" not in name)  # which are not saved
    results |= {"recipe": recipe, "parameters": count}
    (folder / "all_results.json").write_text(json.dumps(results))
    return folder
