"""The page of what `lgn-hf discover` found: atoms beside those that they are matched to, and the null."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..actions import TENSORS_NAME, load_actions, operation_text
from ..discovery.points import filter_side
from ..discovery.report import DICTIONARY_NAME, FORMAT, SUMMARY_NAME
from ..files import write_whole
from .atlas_document import numbered
from .embedding import TEMPLATES, fill, script_safe
from .modules import join_modules
from .page_head import page_head

FOUND_PAGE = "found.html"
FOUND_TEMPLATES = TEMPLATES / "found"
TITLE = "What was found"
DESCRIPTION = "Symmetries that were found in data: atoms beside those that they are matched to, and chance."


def build_found(folders: Sequence[str | os.PathLike], out_dir: str | os.PathLike, *, space: str | None = None) -> Path:
    """Write `found.html`.

    Args:
        folders: outputs of `lgn-hf discover`.
        out_dir: where to write the page.
        space: the static Space, USER/NAME, that the page is made for, see `page_head`.

    Raises:
        ValueError: a folder is not an output of `lgn-hf discover`, or its points are not filters.
    """
    searches = [found_document(folder) for folder in folders]
    for search, name in zip(searches, numbered([search["source"] for search in searches]), strict=True):
        search["name"] = name
    page = fill(
        FOUND_TEMPLATES / "found.html",
        PAGE_HEAD=page_head(TITLE, DESCRIPTION, space),
        FOUND_STYLE=(FOUND_TEMPLATES / "found.css").read_text(encoding="utf-8"),
        FOUND_DATA=script_safe({"searches": searches}),
        FOUND_SCRIPT=join_modules(FOUND_TEMPLATES),
    )
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    write_whole(Path(out_dir, FOUND_PAGE), page)
    return Path(out_dir, FOUND_PAGE)


def found_document(folder: str | os.PathLike) -> dict[str, Any]:
    """A search as plain JSON.

    Of each action, `pairs` has one row (atom k, matched atom, residual) per atom, with

        residual = |A w_k - w_pi(k)| / |w_pi(k)|,

    and `moved` has the images A w_k of all atoms.
    """
    folder = Path(folder)
    try:
        summary = json.loads((folder / SUMMARY_NAME).read_bytes())
        atoms = load_file(folder / DICTIONARY_NAME)["atoms"].double()
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ValueError(f"{folder} is not an output of lgn-hf discover ({error!s:.200})") from None
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise ValueError(f"{folder} is not an output of lgn-hf discover")
    channels = 1 if filter_side(atoms.shape[1]) else 3
    side = filter_side(atoms.shape[1] // channels)
    if side is None or atoms.shape[1] != channels * side**2:
        raise ValueError(f"{folder}: points of dimension {atoms.shape[1]} are not filters: the page draws filters")
    return {
        "source": summary["source"],
        "summary": summary["summary"].splitlines()[0],
        "side": side,
        "channels": channels,
        "atoms": _base64(atoms),
        "null": summary["null"],
        "best": summary["best"],
        "actions": _actions(folder, summary, atoms),
    }


def _actions(folder: Path, summary: dict[str, Any], atoms: Tensor) -> list[dict[str, Any]]:
    if not summary["actions"]:
        return []
    tensors = load_file(folder / TENSORS_NAME)
    records = load_actions(folder).diagnose() if filter_side(atoms.shape[1]) else []
    found = []
    for number, record in enumerate(summary["actions"]):
        matrix = tensors[f"layers.0.groups.{number}.channels.0"].double()
        matched = torch.tensor(record["permutation"])
        moved = atoms @ matrix.T
        residual = (moved - atoms[matched]).norm(dim=1) / atoms[matched].norm(dim=1).clamp_min(1e-12)
        near = records[number]["nearest"][0] if records and records[number]["nearest"] else None
        found.append(
            {
                **{name: record[name] for name in ("order", "residual", "mismatch", "p_value")},
                "nearest": near and operation_text(near["operation"], near["parameters"]),
                "correlation": near and near["correlation"],
                "pairs": [
                    [k, pi, float(f"{r:.6g}")]
                    for k, (pi, r) in enumerate(zip(matched.tolist(), residual.tolist(), strict=True))
                ],
                "moved": _base64(moved),
            }
        )
    return found


def _base64(tensor: Tensor) -> str:
    """Little-endian float32, row-major."""
    return base64.b64encode(tensor.contiguous().numpy().astype("<f4").tobytes()).decode()
