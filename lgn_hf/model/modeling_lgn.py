"""Linear Group Networks as transformers models: filters from group actions, the unfolded layers, and the two heads."""

from __future__ import annotations

import copy
import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithNoAttention
from transformers.utils.generic import ModelOutput, can_return_tuple

from .configuration_lgn import LGNConfig
from .convolutions import synthesis
from .filters import unit_norm, unvec, vec
from .group_actions import GroupAction, make_action, random_unit_norm
from .regularizers import regularization
from .unfolding import encode, fista_momentum

AUTO_MAP = {
    "AutoConfig": "configuration_lgn.LGNConfig",
    "AutoModel": "modeling_lgn.LGNModel",
    "AutoModelForImageClassification": "modeling_lgn.LGNForImageClassification",
    "AutoModelForImageToImage": "modeling_lgn.LGNForImageReconstruction",
    "AutoImageProcessor": "image_processing_lgn.LGNImageProcessor",  # its own file does not name it, on purpose
}


@dataclass
class LGNImageClassifierOutput(ModelOutput):
    """What `LGNForImageClassification` returns.

    Attributes:
        loss: task loss, plus the regularization loss in training mode; with labels only.
        logits: (B, num_labels).
        task_loss: cross-entropy.
        regularization_loss: mu times the invertibility losses of all actions (0 where there is nothing to regularize).
        hidden_states: the codes z_1..z_L, each (B, K*p, H', W'), if asked for.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    task_loss: Tensor | None = None
    regularization_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class LGNImageReconstructionOutput(ModelOutput):
    """What `LGNForImageReconstruction` returns.

    Attributes:
        loss: task loss, plus the regularization loss in training mode.
        reconstruction: (B, C, H, W), in the space of `pixel_values` (standardised and whitened).
        task_loss: mean squared error.
        regularization_loss: mu times the invertibility losses of all actions (0 where there is nothing to regularize).
        hidden_states: the codes z_1..z_L, each (B, K*p, H', W'), if asked for.
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    task_loss: Tensor | None = None
    regularization_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


def _same(old: Sequence[Tensor], new: Sequence[Tensor]) -> bool:
    """Whether tensors have the same values. (Their version counters miss what is written through `.data`.)"""
    return all(
        a.dtype == b.dtype and a.device == b.device and torch.equal(a, b) for a, b in zip(old, new, strict=True)
    )


def pooling_matrix(shape: Sequence[int], size: int, like: Tensor) -> Tensor:
    """Adaptive average pooling of flat H x W codes to size x size as one matrix, (H*W, size*size): several times faster
    on CPUs than `F.adaptive_avg_pool2d`."""
    rows, columns = (
        F.adaptive_avg_pool1d(torch.eye(side, dtype=like.dtype, device=like.device)[None], size)[0] for side in shape
    )
    return torch.kron(rows, columns)


def without_autocast(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Leave a method of a model its own precision: powers of a matrix in bfloat16 lose the group."""

    @functools.wraps(method)
    def wrapped(self):
        with torch.autocast(self._lgn.basis.device.type, enabled=False):
            return method(self)

    return wrapped


class LGNPreTrainedModel(PreTrainedModel):
    """Loading, saving, initialisation, and the accessors of filters and actions that all LGN models share.

    Accessors always return L layers and K groups, whatever they share. What is computed, actions and orbits, is float32 at
    least; the parameters themselves come in the dtype that they have.
    """

    config: LGNConfig
    config_class = LGNConfig
    base_model_prefix = "lgn"
    main_input_name = "pixel_values"
    accepts_loss_kwargs = False  # or `Trainer` would leave the mean over accumulated batches to the loss
    input_modalities = ("image",)  # pyright: ignore[reportAssignmentType]  (transformers' own models do so)
    # The auxiliary matrices of the inverse regularizer: training only, inverted from the actions that were loaded.
    _keys_to_ignore_on_load_missing = [r"(^|\.)auxiliary_inverses$"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (GroupAction, LGNModel, LGNForImageReconstruction)):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):  # torch's own, which the papers' code keeps
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = module.in_features**-0.5
            init.uniform_(module.bias, -bound, bound)
        else:
            super()._init_weights(module)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path, *model_args, output_loading_info: bool = False, **kwargs
    ):
        """As in transformers, but a checkpoint that lacks a tensor is an error, never silently drawn weights, and only
        safetensors are read.

        Raises:
            OSError: the weights cannot be read, lack a tensor of this model, or hold NaN or infinity. With
                `ignore_mismatched_sizes` a model of another kind (`config.architectures`) may lack the head, which is
                drawn anew: to fine-tune an encoder.
            ValueError: the configuration has a wrong value, or `device_map` offloads parts of the model.
            RuntimeError: a tensor has another shape than the configuration says (unless `ignore_mismatched_sizes`,
                which draws it anew, for instance a classifier for other labels).
        """
        kwargs.setdefault("use_safetensors", True)
        try:
            loaded: Any = super().from_pretrained(
                pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
            )
        except SafetensorError as error:
            raise OSError(
                f"{pretrained_model_name_or_path}: the safetensors weights are damaged or incomplete ({error}); "
                "download or save them again"
            ) from error
        model, info = loaded
        missing = sorted(info["missing_keys"])
        other = cls.__name__ not in (model.config.architectures or [cls.__name__])
        only_head = other and not any(key.startswith(f"{cls.base_model_prefix}.") for key in missing)
        if missing and not (only_head and kwargs.get("ignore_mismatched_sizes")):
            raise OSError(
                f"{pretrained_model_name_or_path} is no complete {cls.__name__} checkpoint: it lacks "
                + ", ".join(missing)
                + (" (ignore_mismatched_sizes=True draws them anew, to fine-tune its encoder)" if only_head else "")
            )
        surplus = sorted(key for key in info["unexpected_keys"] if key.removeprefix("lgn.").startswith("norms."))
        if surplus:
            raise OSError(
                f"{pretrained_model_name_or_path} has tensors that this {cls.__name__} would drop: "
                + ", ".join(surplus)
            )
        if any(tensor.is_meta for tensor in model.state_dict().values()):
            raise ValueError(
                f"device_map={kwargs.get('device_map')!r:.80} would leave parts of {pretrained_model_name_or_path} out of memory: "
                "must be a device, on which all of it is (filters are made of all actions at once)"
            )
        broken = [key for key, tensor in model.state_dict().items() if not tensor.isfinite().all()]
        if broken:
            raise OSError(f"{pretrained_model_name_or_path} has weights of NaN or infinity: " + ", ".join(broken))
        return (model, info) if output_loading_info else model

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory, *, state_dict: dict[str, Tensor] | None = None, **kwargs
    ):
        """As in transformers; the training-only auxiliary matrices stay behind, the code for remote loading goes along."""
        state_dict = self.state_dict() if state_dict is None else state_dict
        exported = {key: value for key, value in state_dict.items() if not key.endswith("auxiliary_inverses")}
        self.config.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, state_dict=exported, **kwargs)

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

    def actions(self) -> Any:
        """All generators as they are now, by themselves: to look at, apply, diagnose and save.

        Raises:
            ImportError: the package lgn-hf is not installed (this module may have come with a model's repository).
        """
        try:
            from lgn_hf.actions import Actions
        except ImportError as error:
            raise ImportError("looking at actions takes the package: pip install lgn-hf") from error

        config, source = self.config, self.name_or_path or ""
        is_folder = os.path.isabs(source) or os.path.isdir(source)  # where it lies on this machine is not its name
        names = [f.name for f in fields(LGNConfig) if "help" in f.metadata]
        return Actions(
            self.group_actions(),
            config.group_order,
            basis=self.base_filters(),
            name=(Path(source).name if is_folder else source) or None,
            config={**{name: getattr(config, name) for name in names}, "num_labels": config.num_labels},
        )

    @without_autocast
    def orbit_operators(self) -> Tensor:
        """Operator i maps vec(basis filter) to vec(filter i) of its group: (L, K, C or 1, p, d, d)."""
        return self._expanded(self._lgn.action.operators(self._lgn.wide_basis))

    @without_autocast
    def filter_bank(self) -> Tensor:
        """The orbits of the basis filters (eq. 9): (L, K, p, C, n, m). Filter k*p + i of a layer is power i of group k
        (eq. 11)."""
        orbits = self._lgn.action.orbit(vec(self._lgn.wide_basis))  # (1 or L, K, C, p, d)
        return self._expanded(unvec(orbits, self.config.filter_size).transpose(2, 3))

    @without_autocast
    def regularization_loss(self) -> Tensor:
        """mu times the invertibility loss, summed over layers, groups and channels (eq. 12, eq. 14 or appendix B); an
        action that groups, channels or untied layers share counts once.

        0 where there is nothing to regularize: `regularizer="none"`, fixed rotations, groups of order 1.
        """
        lgn, config = self._lgn, self.config
        kind, weight = config.regularizer, config.regularizer_weight
        if kind in (None, "none") or weight is None or not lgn.action.is_learned:
            return lgn.basis.new_zeros(())
        basis, inverses = lgn.wide_basis, lgn.auxiliary_inverses
        inverses = None if inverses is None else inverses.to(basis.dtype)
        losses = regularization(kind, lgn.action.generators(basis), inverses)
        return weight * (config.num_layers // config.num_distinct_layers) * losses.sum()

    @torch.no_grad()
    def project_(self) -> None:
        """Rescale basis filters and actions in place, as the papers do after every optimiser step.

        Each n x m slice of a basis filter goes to unit Frobenius norm, each d x d action to norm 1
        (`projection="frobenius"`) or sqrt(d) (`"rms"`: singular values of mean square 1). Cyclic and fixed actions
        stay; `"none"` does nothing.
        """
        if self.config.projection == "none":
            return
        lgn = self._lgn
        lgn.basis.copy_(unit_norm(lgn.basis))
        lgn.action.project_(1.0 if self.config.projection == "frobenius" else math.sqrt(self.config.filter_dim))

    @property
    def _lgn(self) -> LGNModel:
        return cast(LGNModel, self.base_model)

    def _expanded(self, tensor: Tensor) -> Tensor:
        """All layers and groups, (L, K, ...), of those that have their own."""
        return tensor.expand(self.config.num_layers, self.config.num_groups, *tensor.shape[2:])


def _invert_missing(model: LGNModel, keys: Any) -> None:
    """A state that was saved without auxiliary matrices has those that belong to its actions."""
    missing = [key for key in keys.missing_keys if key.rpartition(".")[2] == "auxiliary_inverses"]
    if missing and model.auxiliary_inverses is not None:
        keys.missing_keys[:] = [key for key in keys.missing_keys if key not in missing]
        with torch.no_grad():
            model.auxiliary_inverses.copy_(model.inverses())


class LGNModel(LGNPreTrainedModel):
    """The unfolded network: L steps of convolutional FISTA (`unfold`) whose filters are orbits of group actions.

    `algorithm="ista"` has no momentum; `batch_norm=False` leaves the normalisation out.

    Example:
        >>> LGNModel(LGNConfig())(torch.zeros(2, 1, 28, 28)).last_hidden_state.shape
        torch.Size([2, 20, 25, 25])
    """

    _auto_class = "AutoModel"

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        size = config.filter_size
        self.basis = nn.Parameter(
            torch.empty(config.num_distinct_layers, config.num_groups, config.num_channels, size, size)
        )
        self.action = make_action(config)
        self.threshold = nn.Parameter(torch.empty(config.num_layers, config.num_filters))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(config.num_filters) for _ in range(config.num_layers - 1 if config.batch_norm else 0)
        )
        self._bank: tuple[list[Tensor], Tensor] | None = None  # the parameters of a filter bank, and the bank
        self.auxiliary_inverses = None
        if config.regularizer == "inverse" and self.action.is_learned:
            dim = config.filter_dim
            self.auxiliary_inverses = nn.Parameter(torch.empty(*self.action.batch_shape, dim, dim))
            self.register_load_state_dict_post_hook(_invert_missing)
        self.post_init()

    def reset_parameters(self) -> None:
        """Gaussian basis filters and auxiliary matrices of unit norm, thresholds of 1.

        Where the actions come from a checkpoint, the auxiliary matrices are their inverses instead. (Those of fresh,
        badly conditioned actions would be hundreds of times larger than what training can follow.)
        """
        init.copy_(self.basis, random_unit_norm(self.basis))
        init.ones_(self.threshold)
        if self.auxiliary_inverses is not None:
            if all(getattr(p, "_is_hf_initialized", False) for p in self.action.parameters()):
                inverses = self.inverses()
            else:
                inverses = random_unit_norm(self.auxiliary_inverses)
            init.copy_(self.auxiliary_inverses, inverses)

    def inverses(self) -> Tensor:
        """The inverses of the generators, float64: (L', K', C', d, d)."""
        return torch.linalg.pinv(self.action.generators(self.basis.double()))

    @property
    def wide_basis(self) -> Tensor:
        """The basis filters in float32 at least, (1 or L, K, C, n, m): what orbits are computed in."""
        return self.basis.to(torch.promote_types(self.basis.dtype, torch.float32))

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs
    ) -> BaseModelOutputWithNoAttention:
        """Encode images.

        Args:
            pixel_values: (B, C, H, W), floating.
            output_hidden_states: also return the codes z_1..z_L as `hidden_states`.

        Returns:
            `last_hidden_state`, the code z_L: (B, K*p, H', W').

        Raises:
            ValueError: `pixel_values` has another shape or an integer type.
        """
        config = self.config
        self._check_images(pixel_values)
        images = pixel_values.to(self.basis.dtype)
        all_codes = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        filters = self.current_filters()
        norms = [cast(nn.BatchNorm2d, norm) for norm in self.norms]
        momentum = fista_momentum(config.num_layers) if config.algorithm == "fista" else [0.0] * config.num_layers
        codes = encode(
            images,
            filters,
            self.thresholds(),
            norms,
            momentum,
            config.step_size,
            config.padding,
            all_codes=bool(all_codes),
        )
        return BaseModelOutputWithNoAttention(
            last_hidden_state=codes[-1], hidden_states=tuple(codes) if all_codes else None
        )

    def current_filters(self) -> Tensor:
        """The filter bank as the layers read it, (L, K*p, C, n, m): built anew where it needs gradients, else only
        where a parameter has changed since the last call."""

        def build() -> Tensor:
            return self.filter_bank().flatten(1, 2).to(self.basis.dtype)

        sources = [self.basis, *self.action.parameters()]
        wants_gradient = torch.is_grad_enabled() and any(p.requires_grad for p in sources)
        # To compare costs an accelerator more than to build.
        if wants_gradient or torch.compiler.is_compiling() or self.basis.device.type != "cpu":
            return build()
        if self._bank is None or not _same(self._bank[0], sources):
            with torch.inference_mode(False), torch.no_grad():  # a later call may want the gradient of its images
                self._bank = ([p.detach().clone() for p in sources], build())
        return self._bank[1]

    def _check_images(self, pixel_values: Tensor) -> None:
        config = self.config
        least = config.filter_size - 2 * config.padding
        if (
            pixel_values.dim() != 4
            or pixel_values.shape[1] != config.num_channels
            or min(pixel_values.shape[2:]) < least
        ):
            raise ValueError(
                f"pixel_values has shape {tuple(pixel_values.shape)}: this model takes (batch, {config.num_channels}, "
                f"height, width), trained on {config.image_size} x {config.image_size}, at least {least} x {least}"
            )
        if not pixel_values.is_floating_point():
            raise ValueError(f"pixel_values is {pixel_values.dtype}: the image processor makes floating ones")


class LGNForImageClassification(LGNPreTrainedModel):
    """An LGN whose last code, average-pooled to `pool_size` x `pool_size`, feeds a linear classifier."""

    _auto_class = "AutoModelForImageClassification"

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.lgn = LGNModel(config)
        self._pooling: tuple[Any, Tensor] | None = None
        self.classifier = nn.Linear(config.num_filters * config.pool_size**2, config.num_labels or 0)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> LGNImageClassifierOutput:
        """Classify images.

        Args:
            pixel_values: (B, C, H, W), floating.
            labels: (B,), class indices; or as `config.problem_type` says.
            output_hidden_states: also return the codes z_1..z_L.

        Returns:
            `logits`, (B, num_labels); with labels also `loss` and its parts.

        Raises:
            ValueError: `pixel_values` has another shape or an integer type.
        """
        outputs = self.lgn(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        logits = self.classifier(self._pool(outputs.last_hidden_state))
        loss = task_loss = regularization_loss = None
        if self.training or labels is not None:
            regularization_loss = self.regularization_loss()
        if labels is not None:
            task_loss = self.loss_function(labels, logits, self.config)
            loss = task_loss + regularization_loss if self.training else task_loss
        return LGNImageClassifierOutput(loss, logits, task_loss, regularization_loss, outputs.hidden_states)

    def _pool(self, codes: Tensor) -> Tensor:
        """(B, F, H, W) to (B, F * pool_size^2), keeping the matrix for the next call."""
        key = (codes.shape[-2:], codes.dtype, codes.device)
        if torch.compiler.is_compiling():
            matrix = pooling_matrix(codes.shape[-2:], self.config.pool_size, codes)
        else:
            if self._pooling is None or self._pooling[0] != key:
                with torch.inference_mode(False), torch.no_grad():
                    self._pooling = (key, pooling_matrix(codes.shape[-2:], self.config.pool_size, codes))
            matrix = self._pooling[1]
        return (codes.flatten(2) @ matrix).flatten(1)


class LGNForImageReconstruction(LGNPreTrainedModel):
    """A sparse autoencoder: the last code, decoded by a dictionary of K*p filters, D z_L; no batch normalisation.

    D is free (`decoder="free"`, the papers' code) or the last layer's orbits (`decoder="tied"`).
    """

    _auto_class = "AutoModelForImageToImage"

    def __init__(self, config: LGNConfig):
        if config.batch_norm:
            config = copy.deepcopy(config)
            config.batch_norm = False
        super().__init__(config)
        self.lgn = LGNModel(config)
        self.dictionary = None
        if config.decoder == "free":
            size = config.filter_size
            self.dictionary = nn.Parameter(torch.empty(config.num_filters, config.num_channels, size, size))
        self.post_init()

    def reset_parameters(self) -> None:
        """A Gaussian dictionary of unit-norm slices."""
        if self.dictionary is not None:
            init.copy_(self.dictionary, random_unit_norm(self.dictionary))

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs
    ) -> LGNImageReconstructionOutput:
        """Reconstruct images; the loss compares with `pixel_values` themselves.

        Args:
            pixel_values: (B, C, H, W), floating.
            output_hidden_states: also return the codes z_1..z_L.

        Returns:
            `reconstruction`, (B, C, H, W), `loss` and its parts.

        Raises:
            ValueError: `pixel_values` has another shape or an integer type.
        """
        outputs = self.lgn(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        code = outputs.last_hidden_state
        dictionary = self.dictionary if self.dictionary is not None else self.filter_bank()[-1].flatten(0, 1)
        reconstruction = synthesis(code, dictionary.to(code.dtype), self.config.padding)
        task_loss = F.mse_loss(reconstruction, pixel_values.to(reconstruction.dtype))
        regularization_loss = self.regularization_loss()
        loss = task_loss + regularization_loss if self.training else task_loss
        return LGNImageReconstructionOutput(
            loss, reconstruction, task_loss, regularization_loss, outputs.hidden_states
        )


__all__ = [
    "LGNForImageClassification",
    "LGNForImageReconstruction",
    "LGNImageClassifierOutput",
    "LGNImageReconstructionOutput",
    "LGNModel",
    "LGNPreTrainedModel",
]
