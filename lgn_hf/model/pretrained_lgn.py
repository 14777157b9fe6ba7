"""What all LGN models share: loading, saving, initialisation, and the accessors of filters and actions."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_lgn import LGNConfig
from .filters import unit_norm, unvec, vec
from .group_actions import GroupAction
from .regularizers import REGULARIZERS

if TYPE_CHECKING:
    from .modeling_lgn import LGNModel

    try:  # transformers demands that users of remote code have installed what is imported outside `try`
        from lgn_hf.actions import Actions
    except ImportError:
        raise

# What a Hub repository says of its classes. Each network adds itself, see `LGNPreTrainedModel.__init_subclass__`.
AUTO_MAP = {
    "AutoConfig": "configuration_lgn.LGNConfig",
    "AutoImageProcessor": "image_processing_lgn.LGNImageProcessor",
}

ALIGNMENT = 64  # bytes; torch's own allocations start at multiples of it


def without_autocast(method: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Run a method of a model in its own precision: powers of a matrix in bfloat16 lose the group."""

    @functools.wraps(method)
    def wrapped(self: LGNPreTrainedModel) -> Tensor:
        with torch.autocast(self._lgn.basis.device.type, enabled=False):
            return method(self)

    return wrapped


class LGNPreTrainedModel(PreTrainedModel):
    """Base class of the LGN models.

    Accessors always return L layers and K groups, even where layers or groups share. Actions and orbits are computed in
    float32 at least; `base_filters` and `thresholds` return the parameters in the dtype that they have.
    """

    config: LGNConfig
    config_class = LGNConfig
    base_model_prefix = "lgn"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # or `Trainer` would leave the mean over accumulated batches to the loss
    input_modalities = ("image",)  # pyright: ignore[reportAssignmentType]  (as in transformers' own models)
    # Exports leave the auxiliary matrices of the inverse regularizer out; loading computes them from the actions.
    _keys_to_ignore_on_load_missing = [r"(^|\.)auxiliary_inverses$"]  # noqa: RUF012

    # Initialisation

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        module = cls.__module__.rpartition(".")[2]
        if module == "modeling_lgn":
            AUTO_MAP[cls.__dict__["_auto_class"]] = f"{module}.{cls.__name__}"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (GroupAction, LGNPreTrainedModel)):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):  # torch's own initialisation, which the papers' code uses
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = module.in_features**-0.5
            init.uniform_(module.bias, -bound, bound)
        else:
            super()._init_weights(module)

    def reset_parameters(self) -> None:
        """Draw the parameters that belong to this module itself, not to its parts."""

    # Loading and saving

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path, *model_args, output_loading_info: bool = False, **kwargs
    ):
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
        """Refuse a checkpoint that lacks tensors of this model, or has normalisation that the model would drop."""
        name = type(self).__name__
        missing = sorted(info["missing_keys"])
        is_other_class = name not in (self.config.architectures or [name])
        lacks_head_alone = is_other_class and not any(key.startswith(f"{self.base_model_prefix}.") for key in missing)
        if missing and not (lacks_head_alone and can_draw_head):
            raise OSError(
                f"{place} is not a complete {name} checkpoint: it lacks "
                + ", ".join(missing)
                + (
                    " (ignore_mismatched_sizes=True draws them anew, to fine-tune its encoder)"
                    if lacks_head_alone
                    else ""
                )
            )
        surplus = sorted(key for key in info["unexpected_keys"] if key.removeprefix("lgn.").startswith("norms."))
        if surplus:
            raise OSError(f"{place} has tensors that this {name} would drop: " + ", ".join(surplus))

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
            raise OSError(f"{place} has weights of NaN or infinity: " + ", ".join(broken))

    @torch.no_grad()
    def _align_tensors(self) -> None:
        """Move tensors that the file put at odd places in memory.

        Products of these round differently, so a copy of the model would give other bits than the model itself.
        """
        for tensor in self.state_dict(keep_vars=True).values():
            if tensor.data_ptr() % ALIGNMENT:
                tensor.data = tensor.clone(memory_format=torch.preserve_format)

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory, *, state_dict: dict[str, Tensor] | None = None, **kwargs
    ):
        """As in transformers, without the auxiliary matrices of training, and with the code for remote loading."""
        state_dict = self.state_dict() if state_dict is None else state_dict
        exported = {key: value for key, value in state_dict.items() if not key.endswith("auxiliary_inverses")}
        self.config.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, state_dict=exported, **kwargs)

    # Accessors

    def base_filters(self) -> Tensor:
        """The basis filters W: (L, K, C, n, m)."""
        return self._expanded(self._lgn.basis)

    def thresholds(self) -> Tensor:
        """The soft thresholds lambda: (L, K*p)."""
        return self._lgn.threshold

    @without_autocast
    def group_actions(self) -> Tensor:
        """The generators A, or the matrix of one step for `rotation`: (L, K, C or 1, d, d)."""
        return self._expanded(self._lgn.action.generators(self._lgn.wide_basis))

    @without_autocast
    def orbit_operators(self) -> Tensor:
        """Operator i maps vec(basis filter) to vec(filter i) of its group: (L, K, C or 1, p, d, d)."""
        return self._expanded(self._lgn.action.operators(self._lgn.wide_basis))

    @without_autocast
    def filter_bank(self) -> Tensor:
        """The orbits of the basis filters (eq. 9): (L, K, p, C, n, m).

        Filter k*p + i of a layer is power i of group k (eq. 11).
        """
        orbits = self._lgn.action.orbit(vec(self._lgn.wide_basis))  # (1 or L, K, C, p, d)
        return self._expanded(unvec(orbits, self.config.filter_size).transpose(2, 3))

    def actions(self) -> Actions:
        """All generators as they are now, as a container to look at, apply, diagnose and save.

        Raises:
            ImportError: the package lgn-hf is not installed (this module may have come with a model repository).
        """
        try:
            from lgn_hf.actions import Actions
        except ImportError as error:
            raise ImportError("looking at actions takes the package: pip install lgn-hf") from error

        config, source = self.config, self.name_or_path or ""
        is_folder = os.path.isabs(source) or os.path.isdir(source)  # its place on this machine is not its name
        return Actions(
            self.group_actions(),
            config.group_order,
            basis=self.base_filters(),
            name=(Path(source).name if is_folder else source) or None,
            config={name: getattr(config, name) for name in (*config.own_fields(), "num_labels")},
        )

    # Training

    @without_autocast
    def regularization_loss(self) -> Tensor:
        """mu times the invertibility loss, summed over layers, groups and channels (eq. 12, eq. 14 or appendix B).

        An action that groups, channels or untied layers share counts once. The loss is 0 if there is nothing to
        regularize: `regularizer="none"`, fixed rotations, or groups of order 1.
        """
        lgn, config = self._lgn, self.config
        regularizer = REGULARIZERS[config.regularizer or "none"]
        if regularizer.loss is None or lgn.action.is_fixed:
            return lgn.basis.new_zeros(())
        basis, inverses = lgn.wide_basis, lgn.auxiliary_inverses
        inverses = None if inverses is None else inverses.to(basis.dtype)
        losses = regularizer(lgn.action.generators(basis), inverses)
        layers_per_action = config.num_layers // config.num_distinct_layers
        return (config.regularizer_weight or 0.0) * layers_per_action * losses.sum()

    @torch.no_grad()
    def project_(self) -> None:
        """Rescale basis filters and actions in place, as the papers do after every optimiser step.

        Each n x m slice of a basis filter goes to unit Frobenius norm. Each d x d action goes to norm 1
        (`projection="frobenius"`) or sqrt(d) (`"rms"`: singular values of mean square 1); cyclic and fixed actions stay.
        `projection="none"` does nothing.
        """
        if self.config.projection == "none":
            return
        lgn = self._lgn
        lgn.basis.copy_(unit_norm(lgn.basis))
        lgn.action.project_(1.0 if self.config.projection == "frobenius" else math.sqrt(self.config.filter_dim))

    @property
    def _lgn(self) -> LGNModel:
        return cast("LGNModel", self.base_model)

    def _expanded(self, tensor: Tensor) -> Tensor:
        """All L layers and K groups, (L, K, ...), as views of those that exist."""
        return tensor.expand(self.config.num_layers, self.config.num_groups, *tensor.shape[2:])
