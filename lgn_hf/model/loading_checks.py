"""What every network of the package refuses when it is loaded: weights that are not those of the whole model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

MOST_NAMES = 12  # of tensors, in one message
ALIGNMENT = 64  # bytes; torch's own allocations start at multiples of it


class CheckedPreTrainedModel(PreTrainedModel):
    """A model that loads whole checkpoints of finite numbers from safetensors, and nothing else."""

    # Tensors of the encoder that a checkpoint must not have in vain: the model would drop a part of the network.
    _never_dropped: tuple[str, ...] = ()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path, *model_args, output_loading_info: bool = False, **kwargs
    ) -> Any:
        """As in transformers, but only safetensors are read, and a checkpoint that lacks a tensor is an error.

        With `ignore_mismatched_sizes` a head is drawn anew if its shape differs (a classifier for other labels), or if it
        is missing because the checkpoint is of another class (`config.architectures`), to fine-tune an encoder.

        Raises:
            OSError: the weights cannot be read, lack a tensor of this model, or hold NaN or infinity.
            ValueError: the configuration has a wrong value, or `device_map` offloads parts of the model.
            RuntimeError: a tensor does not have the shape that the configuration says.
        """
        place = pretrained_model_name_or_path
        kwargs.setdefault("use_safetensors", True)
        try:
            loaded: Any = super().from_pretrained(place, *model_args, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise OSError(
                f"{place}: the safetensors weights are damaged or incomplete ({error}); download or save them again"
            ) from error
        model, info = loaded
        model._check_keys(place, info, can_draw_head=bool(kwargs.get("ignore_mismatched_sizes")))
        model._check_tensors(place, kwargs.get("device_map"))
        model._align_tensors()
        return (model, info) if output_loading_info else model

    def _check_keys(self, place: Any, info: dict[str, Any], can_draw_head: bool) -> None:
        """Refuse a checkpoint that lacks tensors of this model, or has tensors that the model would drop."""
        name = type(self).__name__
        missing = sorted(info["missing_keys"])
        is_other_class = name not in (self.config.architectures or [name])
        lacks_head_alone = is_other_class and not any(key.startswith(f"{self.base_model_prefix}.") for key in missing)
        if missing and not (lacks_head_alone and can_draw_head):
            raise OSError(
                f"{place} is not a complete {name} checkpoint: it lacks "
                + _listed(missing)
                + (
                    " (ignore_mismatched_sizes=True draws them anew, to fine-tune its encoder)"
                    if lacks_head_alone
                    else ""
                )
            )
        prefix = f"{self.base_model_prefix}."
        encoder = self.base_model.state_dict().keys()
        resized = sorted(key for key, *_ in info["mismatched_keys"] if key.removeprefix(prefix) in encoder)
        if resized:
            raise OSError(
                f"{place} has tensors of other shapes than this {name}: {_listed(resized)} "
                "(ignore_mismatched_sizes draws a head anew, not an encoder)"
            )
        surplus = [key for key in info["unexpected_keys"] if key.removeprefix(prefix).startswith(self._never_dropped)]
        if surplus:
            raise OSError(f"{place} has tensors that this {name} would drop: " + _listed(sorted(surplus)))

    def _check_tensors(self, place: Any, device_map: Any) -> None:
        """Refuse weights that are not in memory, or not finite."""
        tensors = self.state_dict()
        if any(tensor.is_meta for tensor in tensors.values()):
            raise ValueError(
                f"device_map={device_map!r:.80} would leave parts of {place} out of memory: "
                "must be one device that holds the whole model, since filters are made of all actions at once"
            )
        broken = [key for key, tensor in tensors.items() if not tensor.isfinite().all()]
        if broken:
            raise OSError(f"{place} has weights of NaN or infinity: " + _listed(broken))

    @torch.no_grad()
    def _align_tensors(self) -> None:
        """Move tensors that the file put at odd places in memory.

        Products of these round differently, so a copy of the model would give other bits than the model itself.
        """
        for tensor in self.state_dict(keep_vars=True).values():
            if tensor.data_ptr() % ALIGNMENT:
                tensor.data = tensor.clone(memory_format=torch.preserve_format)


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def model_name(model: PreTrainedModel) -> str | None:
    """The repository or folder that a model was loaded from, without its place on this machine."""
    source = model.name_or_path or ""
    is_folder = os.path.isabs(source) or os.path.isdir(source)
    return (Path(source).name if is_folder else source) or None
