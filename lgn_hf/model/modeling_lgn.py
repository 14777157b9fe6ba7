"""Linear Group Networks as transformers models: the unfolded layers, and a head for each of two tasks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, BaseModelOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from .configuration_lgn import LGNConfig
from .convolutions import is_eager, is_onnx_export, synthesis
from .filters import random_unit_norm
from .group_actions import action_kind
from .labels import LossSettings, infer_problem_type, prepare_labels
from .outputs import LGNImageClassifierOutput, LGNImageReconstructionOutput
from .pooling import pooling_matrix
from .pretrained_lgn import LGNPreTrainedModel
from .regularizers import REGULARIZERS
from .unfolding import encode, fista_momentum


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
        # By name: remote code may have loaded the configuration with copies of these modules that have other classes.
        kind = action_kind(config.action, config.group_order)
        self.action = kind(config.group_order, size, config.action_shape, config.rotation_angle)
        self.threshold = nn.Parameter(torch.empty(config.num_layers, config.num_filters))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(config.num_filters) for _ in range(config.num_layers - 1 if config.batch_norm else 0)
        )
        self.gradient_checkpointing = False  # transformers sets it, and `_gradient_checkpointing_func`
        self._bank: tuple[list[Tensor], Tensor] | None = None  # (parameters, the filter bank built from them)
        self.auxiliary_inverses = None
        if REGULARIZERS[config.regularizer or "none"].trains_inverses and not self.action.is_fixed:
            dim = config.filter_dim
            self.auxiliary_inverses = nn.Parameter(torch.empty(*self.action.batch_shape, dim, dim))
            self.register_load_state_dict_post_hook(_fill_auxiliary_inverses)
        self.post_init()

    def reset_parameters(self) -> None:
        """Draw Gaussian basis filters and auxiliary matrices of unit norm; set thresholds to 1.

        If the actions come from a checkpoint, the auxiliary matrices are their inverses instead. (The inverses of
        fresh, badly conditioned actions would be hundreds of times larger than what training can follow.)
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
        """The pseudo-inverses of the generators in float64: (L', K', C', d, d)."""
        return torch.linalg.pinv(self.action.generators(self.basis.double()))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Convert parameters, as `to` does, also to `torch.channels_last`, which torch refuses for five dimensions.

        `to` hands every tensor of four or five dimensions to the conversion. Those of five are no images: they keep
        their layout, and change dtype and device as vectors.
        """

        def convert(tensor: Tensor) -> Tensor:
            return fn(tensor.flatten()).view(tensor.shape) if tensor.dim() == 5 else fn(tensor)

        return super()._apply(convert, recurse)

    @property
    def wide_basis(self) -> Tensor:
        """The basis filters in the dtype of orbits, float32 at least: (1 or L, K, C, n, m)."""
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
            checkpoint=self._gradient_checkpointing_func if self.recomputes_layers else None,
        )
        return BaseModelOutputWithNoAttention(
            last_hidden_state=codes[-1], hidden_states=tuple(codes) if all_codes else None
        )

    @property
    def recomputes_layers(self) -> bool:
        """Whether layers keep their codes alone and compute the rest again for the gradient.

        Compiled graphs decide for themselves what to compute again.
        """
        return self.gradient_checkpointing and self.training and is_eager()

    def current_filters(self) -> Tensor:
        """The filter bank as the layers read it: (L, K*p, C, n, m).

        It is built anew if it needs gradients or is traced, otherwise only if a parameter has changed since the last
        call.
        """

        def build() -> Tensor:
            return self.filter_bank().flatten(1, 2).to(self.basis.dtype)

        parameters = [self.basis, *self.action.parameters()]
        wants_gradient = torch.is_grad_enabled() and any(p.requires_grad for p in parameters)
        # On an accelerator, comparing parameters costs more than building filters.
        if wants_gradient or not is_eager() or self.basis.device.type != "cpu":
            return build()
        if self._bank is None or not _have_same_values(self._bank[0], parameters):
            with torch.inference_mode(False), torch.no_grad():  # a later call may need the gradient of its images
                self._bank = ([p.detach().clone() for p in parameters], build())
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


def _fill_auxiliary_inverses(model: LGNModel, keys: Any) -> None:
    """After loading a state without auxiliary matrices, compute those that belong to its actions."""
    missing = [key for key in keys.missing_keys if key.rpartition(".")[2] == "auxiliary_inverses"]
    if missing and model.auxiliary_inverses is not None:
        keys.missing_keys[:] = [key for key in keys.missing_keys if key not in missing]
        with torch.no_grad():
            model.auxiliary_inverses.copy_(model.inverses())


def _have_same_values(old: Sequence[Tensor], new: Sequence[Tensor]) -> bool:
    """Compare values, since the version counters of tensors miss what is written through `.data`."""
    return all(
        a.dtype == b.dtype and a.device == b.device and torch.equal(a, b) for a, b in zip(old, new, strict=True)
    )


class LGNForImageClassification(LGNPreTrainedModel):
    """An LGN whose last code, average-pooled to `pool_size` x `pool_size`, feeds a linear classifier."""

    _auto_class = "AutoModelForImageClassification"

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
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
            labels: (B,), class indices; (B, num_labels), several labels at once; or numbers, if `num_labels` is 1.
                `config.problem_type` decides where it is set.
            output_hidden_states: also return the codes z_1..z_L.

        Returns:
            `logits`, (B, num_labels); with labels also `loss` and its parts.

        Raises:
            ValueError: `pixel_values` has another shape or an integer type, or labels do not fit.
        """
        outputs = self.lgn(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        logits = self.classifier(self._pool(outputs.last_hidden_state))
        loss = task_loss = None
        regularization_loss: Any = None
        if self.training or labels is not None:
            regularization_loss = self.regularization_loss()
        if labels is not None:
            task_loss = self._task_loss(labels, logits)
            loss = task_loss + regularization_loss if self.training else task_loss
        return LGNImageClassifierOutput(loss, logits, task_loss, regularization_loss, outputs.hidden_states)

    def _task_loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        num_labels = logits.shape[-1]
        problem_type = self.config.problem_type or infer_problem_type(labels, num_labels)
        labels = prepare_labels(labels, logits, problem_type)
        if self.training and self.config.problem_type is None and is_eager():
            # Pipelines read it. Another model may have the same configuration, for other labels.
            self.config = self.lgn.config = copy.copy(self.config)
            self.config.problem_type = problem_type  # pyrefly: ignore[bad-assignment]
        return self.loss_function(labels, logits, LossSettings(num_labels, problem_type))

    def _pool(self, codes: Tensor) -> Tensor:
        """Pool codes, (B, F, H, W) to (B, F * pool_size^2), and keep the matrix for the next call."""
        key = (codes.shape[-2:], codes.dtype, codes.device)
        if not is_eager():
            matrix = pooling_matrix(codes.shape[-2:], self.config.pool_size, codes)
        else:
            if self._pooling is None or self._pooling[0] != key:
                with torch.inference_mode(False), torch.no_grad():
                    self._pooling = (key, pooling_matrix(codes.shape[-2:], self.config.pool_size, codes))
            matrix = self._pooling[1]
        return (codes.flatten(2) @ matrix).flatten(1)


class LGNForImageReconstruction(LGNPreTrainedModel):
    """A sparse autoencoder without batch normalisation: D z_L, with D a dictionary of K*p filters.

    D is free (`decoder="free"`, as in the papers' code) or the orbits of the last layer (`decoder="tied"`).
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
        """Draw a Gaussian dictionary whose n x m slices have unit norm."""
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
        if is_onnx_export():  # losses are for training
            return LGNImageReconstructionOutput(reconstruction=reconstruction, hidden_states=outputs.hidden_states)
        task_loss = F.mse_loss(reconstruction, pixel_values.to(reconstruction.dtype))
        regularization_loss = self.regularization_loss()
        loss = task_loss + regularization_loss if self.training else task_loss
        return LGNImageReconstructionOutput(
            loss, reconstruction, task_loss, regularization_loss, outputs.hidden_states
        )


class LGNBackbone(BackboneMixin, LGNModel):
    """An LGN whose codes feed the detection and segmentation heads of transformers.

    Example:
        >>> config = LGNConfig(out_features=["layer2", "layer4"])
        >>> [tuple(code.shape) for code in LGNBackbone(config)(torch.zeros(1, 1, 28, 28)).feature_maps]
        [(1, 20, 25, 25), (1, 20, 25, 25)]
    """

    _auto_class = "AutoBackbone"
    has_attentions = False

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.num_features = [config.num_filters] * config.num_layers

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs) -> BackboneOutput:
        """Encode images.

        Args:
            pixel_values: (B, C, H, W), floating.
            output_hidden_states: also return the codes z_1..z_L as `hidden_states`.

        Returns:
            `feature_maps`, the codes of the layers in `config.out_features`: (B, K*p, H', W') each.

        Raises:
            ValueError: `pixel_values` has another shape or an integer type.
        """
        outputs = LGNModel.forward(self, pixel_values, output_hidden_states=True, return_dict=True)
        codes = cast("tuple[Tensor, ...]", outputs.hidden_states)
        asked = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BackboneOutput(
            feature_maps=tuple(codes[index] for index in self.out_indices), hidden_states=codes if asked else None
        )


__all__ = [
    "LGNBackbone",
    "LGNForImageClassification",
    "LGNForImageReconstruction",
    "LGNImageClassifierOutput",
    "LGNImageReconstructionOutput",
    "LGNModel",
    "LGNPreTrainedModel",
]
