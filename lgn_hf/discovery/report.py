"""What `lgn-hf discover` shows and writes: a table, the actions, the dictionary, and figures that convince a person."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..actions import RECORDS_NAME, TENSORS_NAME, Actions, known_operations, operation_text
from ..files import Output, write_whole
from .dictionary import Dictionary
from .points import filter_side
from .result import Discovery, FoundAction

SUMMARY_NAME, DICTIONARY_NAME = "discovery.json", "dictionary.safetensors"
FORMAT = "lgn_hf.discovery"
OUTPUT = Output(
    (SUMMARY_NAME, DICTIONARY_NAME, TENSORS_NAME, RECORDS_NAME, "figures/*.png"), SUMMARY_NAME, f'"format": "{FORMAT}"'
)
MOST_DRAWN = 8  # actions
ATOMS_DRAWN = 10  # beside what they are matched to


def columns() -> list[str]:
    """The columns of the table."""
    return ["", "order", "residual", "p-value", "held out", "nearest operation", "correlation"]


def rows(found: Discovery) -> list[list[str]]:
    """One row per action, best first."""
    table = []
    for number, action in enumerate(found.actions, 1):
        text, correlation = nearest_words(action)
        held_out = "" if action.held_out is None else f"{action.held_out:.2f}"
        numbers = [str(number), str(action.order), f"{action.residual:.3f}", f"{action.p_value:.1g}", held_out]
        table.append([*numbers, text, correlation])
    return table


def nearest_words(action: FoundAction) -> tuple[str, str]:
    """The nearest known operation in words, and the correlation with it; empty texts if none is known."""
    if not action.nearest:
        return "", ""
    best = action.nearest[0]
    text = operation_text(best["operation"], best["parameters"]) or best["operation"]
    return text, f"{best['correlation']:+.2f}"


def write_report(folder: str | os.PathLike, found: Discovery, points: Dictionary | Tensor, source: str) -> None:
    """Write what was found into a folder that is new, empty, or an earlier output of this function.

    - `discovery.json`: settings, null, group and actions;
    - `dictionary.safetensors`: the atoms, or the points, and how often they are on;
    - `actions.safetensors` and `actions.json`, if an action was found: action k is `layers.0.groups.{k}.channels.0`, best
      first. `lgn_hf.load_actions` reads them if the points are square filters;
    - `figures/`: the actions, the atoms that they match, the null, and all atoms.

    Raises:
        ValueError: the folder holds something else.
    """
    folder = Path(folder)
    OUTPUT.check(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for path in OUTPUT.files[1:]:
        for old in folder.glob(path):
            old.unlink()
    write_whole(folder / SUMMARY_NAME, json.dumps(_summary(found, source), indent=1, allow_nan=False) + "\n")
    if isinstance(points, Dictionary):
        points.save(folder / DICTIONARY_NAME)
    else:
        _save_tensors(folder / DICTIONARY_NAME, {"atoms": points.double()})
    if found.actions:
        _write_actions(folder, found, source)
    draw_figures(folder / "figures", found, points)


def _summary(found: Discovery, source: str) -> dict[str, Any]:
    group = found.group
    return {
        "format": FORMAT,
        "source": source,
        "num_points": found.num_points,
        "dim": found.dim,
        "determined": found.determined,
        "reason": found.reason,
        "alpha": found.alpha,
        "orders": list(found.orders),
        "summary": found.summary(),
        "group": None if group is None else {"name": group.name, "order": group.order, "table": group.table.tolist()},
        "actions": [_record(action) for action in found.actions],
        "null": {str(order): [float(x) for x in values] for order, values in found.null.items()},
        "best": {str(order): float(value) for order, value in found.best.items()},
        "notes": list(found.notes),
    }


def _record(action: FoundAction) -> dict[str, Any]:
    return {
        "order": action.order,
        "residual": float(action.residual),
        "mismatch": float(action.mismatch),
        "p_value": float(action.p_value),
        "held_out": action.held_out,
        "permutation": action.permutation.tolist(),
    }


def _write_actions(folder: Path, found: Discovery, source: str) -> None:
    matrices = torch.stack([action.matrix for action in found.actions])
    size = filter_side(matrices.shape[-1])
    if size is None:  # not filters: their diagnostics do not apply
        _save_tensors(
            folder / TENSORS_NAME, {f"layers.0.groups.{k}.channels.0": m.float() for k, m in enumerate(matrices)}
        )
        return
    order = max(action.order for action in found.actions)
    config = {"action": "discovered", "filter_size": size, "num_layers": 1, "num_groups": len(matrices)}
    actions = Actions(matrices[None, :, None], order, name=f"symmetries of {source}", config=config)
    for record, action in zip(actions.diagnose(), found.actions, strict=True):
        record.update(_record(action))
    actions.save(folder)


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    from safetensors.torch import save

    write_whole(path, save({name: t.contiguous() for name, t in tensors.items()}, metadata={"format": "pt"}))


def draw_figures(folder: Path, found: Discovery, points: Dictionary | Tensor) -> list[Path]:
    """Draw what can be drawn. Returns the paths of the figures."""
    from ..plotting import atom_gallery, found_action_plot, matched_atom_plot, null_plot, save_figure

    atoms = points.atoms if isinstance(points, Dictionary) else points.double()
    by_use = points.frequency.argsort(descending=True, stable=True) if isinstance(points, Dictionary) else None
    order = torch.arange(len(atoms)) if by_use is None else by_use
    size = filter_side(atoms.shape[1])
    figures = {}
    if found.null:
        by_order: dict[int, list[float]] = {p: [a.mismatch for a in found.actions if a.order == p] for p in found.null}
        figures["null"] = null_plot(found.null, by_order, found.best)
    if size is not None:
        figures["dictionary"] = atom_gallery(
            atoms[order], f"{len(atoms)} atoms" + (", the most used first" if by_use is not None else "")
        )
    best = found.actions[:MOST_DRAWN]
    if best and size is not None:
        titles = [f"{i}: order {action.order}" for i, action in enumerate(best, 1)]
        names = [", ".join(nearest_words(action)) if action.nearest else "" for action in best]
        matrices = torch.stack([action.matrix for action in best])
        figures["actions"] = found_action_plot(matrices, [nearest_matrix(a, size) for a in best], titles, names)
    if best and _drawable(atoms.shape[1]):
        action = best[0]
        moved = order[(action.permutation[order] != order)]
        chosen = moved[torch.linspace(0, len(moved) - 1, min(ATOMS_DRAWN, len(moved))).long()]
        figures["matched_atoms"] = matched_atom_plot(
            atoms, action.matrix, action.permutation, chosen.tolist(), f"under action 1, of order {action.order}"
        )
    return [save_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]


def nearest_matrix(action: FoundAction, size: int) -> Tensor | None:
    """The matrix of the nearest known operation, with the sign of the correlation."""
    if not action.nearest:
        return None
    best = action.nearest[0]
    for operation in known_operations(size):
        if (operation.name, operation.parameters) == (best["operation"], best["parameters"]):
            return operation.matrix * (1 if best["correlation"] >= 0 else -1)
    return None


def _drawable(dim: int) -> bool:
    return filter_side(dim) is not None or (dim % 3 == 0 and filter_side(dim // 3) is not None)
