"""The trained models that `--source` names."""

from __future__ import annotations

import argparse
import hashlib

from torch import Tensor

from lgn_hf.runs.trained_model import TrainedModel, open_trained_model
from lgn_training.texts import Row


def open_models(args: argparse.Namespace) -> dict[str, TrainedModel]:
    """Every model, by the name of its folder, or as it was given if that name repeats."""
    opened = [open_trained_model(source) for source in args.source]
    names = [source.name for source in opened]
    names = [name if names.count(name) == 1 else given for name, given in zip(names, args.source, strict=True)]
    return dict(zip(names, opened, strict=True))


def require_models(args: argparse.Namespace) -> None:
    """Refuse a command line without `--source`."""
    if not args.source:
        raise ValueError(f"{args.name} looks at trained models: name their folders with --source")


def flat_actions(source: TrainedModel) -> Tensor:
    """The actions of a model, (L*K*C, d, d), in the order of `Actions.diagnose`."""
    return source.actions.matrices.flatten(0, 2)


def model_facts(models: dict[str, TrainedModel]) -> Row:
    """What a result says about the models: their names, and the SHA-256 of their actions."""
    digests = {
        name: hashlib.sha256(flat_actions(source).contiguous().numpy().data).hexdigest()
        for name, source in models.items()
    }
    return {"source": list(digests), "fingerprint": digests}
