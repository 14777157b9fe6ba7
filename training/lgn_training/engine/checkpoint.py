"""Checkpoints of a run, in safetensors and JSON. Each is written whole or not at all; the newest and the best are kept."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATE_FILE = "trainer_state.json"


@dataclass
class Progress:
    """How far a run is. `epoch` and `batch` say which batch comes next; the rest goes into the results at the end."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    global_batch_size: int = 0
    best_metric: float | None = None
    best_step: int | None = None
    epochs_without_gain: int = 0
    train_seconds: float = 0.0
    images_seen: int = 0
    epoch_loss_sum: float = 0.0  # over the steps of the epoch so far
    grad_scaler: dict | None = None  # of float16 training
    data: dict | None = None  # fingerprint and sizes of the splits; None in checkpoints of older versions
    history: list[dict] = field(default_factory=list)  # one record per epoch


def atomic_folder(target: Path, fill) -> None:
    """Make the folder `target` by `fill(folder)`, so that a reader sees all of it or nothing.

    It is filled under another name, flushed to the disk and renamed. If `fill` fails, for example because no space is
    left, nothing of it remains.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        fill(partial)
        for path in partial.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Save `folder`/checkpoint-STEP and drop all others but the best.

    Raises:
        OSError: the disk is full or not writable; older checkpoints are untouched.
    """
    target = checkpoint_path(folder, progress.step)

    def fill(partial: Path) -> None:
        _save_tensors(partial / "model.safetensors", model.state_dict())
        _save_tensors(partial / "optimizer.safetensors", _optimizer_tensors(model, optimizer))
        (partial / STATE_FILE).write_text(json.dumps(asdict(progress), indent=2) + "\n")

    if damage(target):
        shutil.rmtree(target, ignore_errors=True)
        atomic_folder(target, fill)
    for other in list_checkpoints(folder):
        if other != target and int(other.name.rsplit("-", 1)[1]) != progress.best_step:
            shutil.rmtree(other)
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*") if path.name.rsplit("-", 1)[1].isdigit())


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:08d}"


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be read, None if it is whole: a file is missing, cut short or not what it should be."""
    name = STATE_FILE
    try:
        load_progress(checkpoint)
        for name in ("model.safetensors", "optimizer.safetensors"):
            with safe_open(checkpoint / name, "pt"):  # compares the header with the length of the file
                pass
    except OSError:
        return f"{name} is missing or cannot be read"
    except (SafetensorError, ValueError, TypeError) as error:  # a short file, not JSON, or another object
        return f"{name} is damaged ({error})"
    return None


def newest_whole(folder: Path, needs_best: bool) -> tuple[Path | None, dict[str, str]]:
    """The newest checkpoint that a run can continue from, and why each newer one cannot be used, by its name.

    Args:
        needs_best: a checkpoint can be used only if the one of its best epoch is whole, too: its weights are exported.
    """
    skipped = {}
    for checkpoint in reversed(list_checkpoints(folder)):
        reason = damage(checkpoint)
        if reason is None and needs_best:
            best = load_progress(checkpoint).best_step
            reason = None if best is None else damage(checkpoint_path(folder, best))
            if reason:
                reason = f"its best epoch is in {checkpoint_path(folder, best or 0).name}, where {reason}"
        if reason is None:
            return checkpoint, skipped
        skipped[checkpoint.name] = reason
    return None, skipped


def load_progress(checkpoint: Path) -> Progress:
    return Progress(**json.loads((checkpoint / STATE_FILE).read_text()))


def load_model(checkpoint: Path, model: nn.Module) -> None:
    """Fill `model` with a checkpoint's weights, all of them."""
    model.load_state_dict(_load_tensors(checkpoint / "model.safetensors"))


def load_optimizer(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill `optimizer` with a checkpoint's moments; parameters are matched by name."""
    saved = _load_tensors(checkpoint / "optimizer.safetensors")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            prefix = f"{names[id(parameter)]}:"
            moments = {key.removeprefix(prefix): tensor for key, tensor in saved.items() if key.startswith(prefix)}
            optimizer.state[parameter] = {key: tensor.to(parameter.device) for key, tensor in moments.items()}


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names[id(parameter)]}:{key}": tensor
        for parameter, moments in optimizer.state.items()
        for key, tensor in moments.items()
    }


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    # Copies: a learned group is a part of every layer, and safetensors saves no tensor under two names.
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    try:
        save_file(copies, path)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(f"{path.name}: {error}") from error


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise OSError(f"{path} is damaged ({error})") from error
