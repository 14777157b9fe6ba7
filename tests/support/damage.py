"""What can be wrong with a run, or with a built folder."""

import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file


def change_json(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def damage(path: Path, how: str) -> None:
    """What can be wrong with a run, or with a built folder."""
    if how == "unfinished":
        (path / "all_results.json").unlink()
    elif how == "no weights":
        (path / "model.safetensors").unlink()
    elif how == "other config":
        change_json(path / "config.json", num_groups=3)
    elif how == "other recipe":
        recipe = yaml.safe_load((path / "recipe.yaml").read_text())
        (path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "filter_size": 5}))
    elif how == "other results":
        change_json(path / "all_results.json", parameters=7)
    elif how == "other processor":
        change_json(path / "preprocessor_config.json", size={"height": 9, "width": 9}, whitening="none")
    elif how == "other task":
        change_json(path / "config.json", architectures=["LGNModel"])
    elif how == "other weights":  # of the right shape
        tensors = load_file(path / "model.safetensors")
        tensors["lgn.action.weight"] *= 2
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    elif how == "NaN":
        tensors = load_file(path / "whitening.safetensors")
        next(iter(tensors.values())).view(-1)[0] = torch.nan
        save_file(tensors, path / "whitening.safetensors", metadata={"format": "pt"})
    elif how == "truncated":
        (path / "actions.safetensors").write_bytes((path / "actions.safetensors").read_bytes()[:50])
    elif how == "results are no JSON":
        (path / "all_results.json").write_text("{")
    elif how == "results are a list":
        (path / "all_results.json").write_text("[]")
    elif how == "extra file":
        (path / "notes.txt").write_text("mine")
    elif how == "link":
        (path / "figures/gallery.png").unlink()
        (path / "figures/gallery.png").symlink_to("spectra.png")
    elif how == "no figure":
        (path / "figures/gallery.png").unlink()
