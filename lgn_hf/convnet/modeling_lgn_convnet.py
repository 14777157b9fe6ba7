"""Residual convolution networks in which every filter is in an orbit of one linear group."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from ..model.filters import unvec, vec
from ..model.labels import LossSettings, infer_problem_type, prepare_labels
from ..model.loading_checks import CheckedPreTrainedModel, model_name
from ..model.outputs import LGNImageClassifierOutput
from ..nn.learned_groups import GroupModule, LearnedGroup
from ..nn.linear_group import LinearGroup
from ..nn.orbit_convolution import OrbitConv2d
from ..nn.orbit_norm import OrbitNorm2d
from ..nn.orbit_pool import OrbitPool2d
from .configuration_lgn_convnet import LGNConvNetConfig

if TYPE_CHECKING:
    try:  # transformers demands that users of remote code have installed what is imported outside `try`
        from lgn_hf.actions import Actions
    except ImportError:
        raise

AUTO_MAP = {
    "AutoConfig": "configuration_lgn_convnet.LGNConvNetConfig",
    "AutoImageProcessor": "image_processing_lgn.LGNImageProcessor",
    "AutoModel": "modeling_lgn_convnet.LGNConvNetModel",
    "AutoModelForImageClassification": "modeling_lgn_convnet.LGNConvNetForImageClassification",
    "AutoBackbone": "modeling_lgn_convnet.LGNConvNetBackbone",
}


class OrbitBlock(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))), then ReLU; a 1 x 1 convolution widens x where the widths differ."""

    def __init__(self, config: LGNConvNetConfig, group: LinearGroup | GroupModule, before: int, after: int):
        super().__init__()
        self.conv1 = _convolution(config, group, before, after)
        self.norm1 = _norm(config, group, after)
        self.conv2 = _convolution(config, group, after, after)
        self.norm2 = _norm(config, group, after)
        self.widen, self.widen_norm = nn.Identity(), nn.Identity()
        if before != after:
            self.widen = OrbitConv2d(before, after, 1, group, kind="regular", bias=False)
            self.widen_norm = _norm(config, group, after)

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(maps)), inplace=True)
        return F.relu(self.widen_norm(self.widen(maps)) + self.norm2(self.conv2(inner)), inplace=True)


class LGNConvNetPreTrainedModel(CheckedPreTrainedModel):
    """Base class: loading, saving and initialisation."""

    config: LGNConvNetConfig
    config_class = LGNConvNetConfig
    base_model_prefix = "lgn_convnet"
    main_input_name = "pixel_values"
    accepts_loss_kwargs = False
    input_modalities = ("image",)  # pyrefly: ignore[bad-assignment]
    _no_split_modules = ["OrbitBlock"]  # noqa: RUF012
    _never_dropped = ("stem", "stages.", "action.")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, OrbitConv2d):
            module.restore_group()
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(module, LearnedGroup):
            module.restore()
            init.copy_(module.basis, module.draw())
        elif isinstance(module, OrbitNorm2d):
            for tensor, value in module.initial_values():
                init.constant_(tensor, value)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            init.uniform_(module.bias, -bound, bound)
        else:
            super()._init_weights(module)

    def save_pretrained(self, save_directory, **kwargs):  # pyrefly: ignore[bad-override]
        """As in transformers, with the modules for remote loading.

        Raises:
            ValueError: the convolutions were merged, so the configuration does not describe the weights any more.
        """
        self._check_not_merged()
        self.config.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, **kwargs)
        if type(self)._auto_class is None:  # otherwise transformers has copied the modules that it loaded
            try:
                from lgn_hf.remote_code import write_modules
            except ImportError:
                return
            write_modules(save_directory, self.config.model_type)

    def _check_tensors(self, place: Any, device_map: Any) -> None:
        super()._check_tensors(place, device_map)
        try:
            is_finite = bool(self.group_actions().isfinite().all())
        except RuntimeError:  # of torch.linalg.inv
            is_finite = False
        if not is_finite:
            raise OSError(f"{place} has a singular action.basis: the elements of a learned group need its inverse")

    @property
    def group(self) -> LinearGroup:
        """The group as it is now."""
        action = self._action
        return action.group() if isinstance(action, nn.Module) else action

    def project_(self) -> None:
        """Nothing to do after a step: the group law holds by construction."""

    def group_actions(self) -> Tensor:
        """The matrices rho(g) on vectorised filters, identity first: (|G|, d, d)."""
        return self._action.elements

    def base_filters(self) -> Tensor:
        """The basis filters of the first layer, one per orbit: (K, C, n, n).

        Raises:
            ValueError: the convolutions were merged.
        """
        self._check_not_merged()
        return self._encoder.stem.weight

    def filter_bank(self) -> Tensor:
        """The orbits of these filters, rho(g) W (eq. 9): (K, |G|, C, n, n), identity first."""
        filters = vec(self.base_filters().to(torch.promote_types(self.dtype, torch.float32)))  # (K, C, d)
        orbits = torch.einsum("gij,kcj->kgci", self.group_actions().to(filters), filters)
        return unvec(orbits, self.config.filter_size)

    def actions(self) -> Actions:
        """The elements of the group as they are now, as a container to look at, apply, diagnose and save.

        It has one layer, which stands for all, and one action per element of the group. Each acts on the basis filters
        of the first layer. The fields of the configuration that are lists are left out.

        Raises:
            ImportError: the package lgn-hf is not installed (this module may have come with a model repository).
        """
        try:
            from lgn_hf.actions import Actions
        except ImportError as error:
            raise ImportError("looking at actions takes the package: pip install lgn-hf") from error

        elements, config = self.group_actions(), self.config
        filters = self.base_filters().flatten(0, 1).expand(1, len(elements), -1, -1, -1)
        fields = {name: getattr(config, name) for name in (*config.own_fields(), "num_labels")}
        return Actions(
            elements[None, :, None],
            len(elements),
            basis=filters,
            name=model_name(self),
            config={
                "model_type": config.model_type,
                "group_name": self._action.name,
                **{
                    name: value
                    for name, value in fields.items()
                    if name != "group_generators" and not isinstance(value, list)
                },
            },
        )

    def _check_not_merged(self) -> None:
        if not isinstance(self._encoder.stem, OrbitConv2d):
            raise ValueError("the orbits of this network were merged into plain filters: use it before `merge`")

    @property
    def _action(self) -> LinearGroup | GroupModule:
        return self._encoder.action

    @property
    def _encoder(self) -> LGNConvNetModel:
        return cast("LGNConvNetModel", self.base_model)


class LGNConvNetModel(LGNConvNetPreTrainedModel):
    """The network up to its last maps. Its `action` is the group, fixed or learned, that all layers share."""

    def __init__(self, config: LGNConvNetConfig):
        super().__init__(config)
        group = config.linear_group
        self.action = LearnedGroup(group) if config.action == "learned" else group
        maps = config.num_maps
        self.stem = _convolution(config, self.action, config.num_channels, maps[0], kind="lifting")
        self.stem_norm = _norm(config, self.action, maps[0])
        self.stages = nn.ModuleList()
        before = maps[0]
        for after, depth in zip(maps, config.depths, strict=True):
            widths = [before] + [after] * depth
            self.stages.append(nn.Sequential(*(OrbitBlock(config, self.action, *pair) for pair in pairwise(widths))))
            before = after
        if config.action == "learned":  # every layer holds it; it is saved once
            self._tied_weights_keys = {r"(stem|stages\..*)\.group\.basis": "action.basis"}
        self.pool = nn.Identity() if config.orbit_pooling == "none" else OrbitPool2d(group, config.orbit_pooling)  # pyrefly: ignore[bad-argument-type]
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """Encode images.

        Args:
            pixel_values: (B, C, H, W), floating.
            output_hidden_states: also return the maps of every stage as `hidden_states`.

        Returns:
            `last_hidden_state`, the last maps, orbit by orbit: (B, K|G|, H', W'); `pooler_output`, these pooled over the group and
            the pixels: (B, K).

        Raises:
            ValueError: `pixel_values` has another shape or an integer type.
        """
        _check_images(pixel_values, self.config)
        maps = F.relu(self.stem_norm(self.stem(pixel_values.to(self.stem.weight.dtype))), inplace=True)
        states = []
        for i, stage in enumerate(self.stages):
            if i or self.config.downsample_in_first_stage:
                maps = halve(maps, self.config.downsampling)
            maps = stage(maps)
            states.append(maps)
        pooled = self.pool(maps)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=maps,
            pooler_output=pooled.amax((2, 3)) if self.config.spatial_pooling == "max" else pooled.mean((2, 3)),
            hidden_states=tuple(states) if wanted else None,
        )


class LGNConvNetForImageClassification(LGNConvNetPreTrainedModel):
    """A linear classifier on maps that are pooled over the group and the image.

    Where the group consists of symmetries of the pixel grid, the logits do not change when the image is moved by one.
    """

    def __init__(self, config: LGNConvNetConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.lgn_convnet = LGNConvNetModel(config)
        widths = config.num_maps if config.orbit_pooling == "none" else config.num_orbits
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(widths[-1], config.num_labels or 0)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> LGNImageClassifierOutput:
        """Classify images.

        Args:
            pixel_values: (B, C, H, W), floating.
            labels: (B,), class indices; (B, num_labels), several labels at once; or numbers, if `num_labels` is 1.
            output_hidden_states: also return the maps of every stage as `hidden_states`.

        Returns:
            `logits`, (B, num_labels); with labels also `loss`.

        Raises:
            ValueError: `pixel_values` has another shape or an integer type, or labels do not fit.
        """
        outputs = self.lgn_convnet(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        loss = None
        if labels is not None:
            num_labels = logits.shape[-1]
            problem_type = self.config.problem_type or infer_problem_type(labels, num_labels)
            labels = prepare_labels(labels, logits, problem_type)
            loss = self.loss_function(labels, logits, LossSettings(num_labels, problem_type))
        nothing = logits.new_zeros(()) if self.training or labels is not None else None
        return LGNImageClassifierOutput(loss, logits, loss, nothing, outputs.hidden_states)


class LGNConvNetBackbone(BackboneMixin, LGNConvNetModel):
    """The maps of chosen stages, for the detection and segmentation heads of transformers."""

    def __init__(self, config: LGNConvNetConfig):
        super().__init__(config)
        self.num_features = config.num_maps

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Encode images: `feature_maps` of the stages in `config.out_features`, (B, K|G|, H', W') each."""
        outputs = LGNConvNetModel.forward(self, pixel_values, output_hidden_states=True, return_dict=True)
        states: Any = outputs.hidden_states
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BackboneOutput(
            feature_maps=tuple(states[index] for index in self.out_indices), hidden_states=states if wanted else None
        )


def halve(maps: Tensor, how: str = "max") -> Tensor:
    """The max or mean of neighbouring pixels, so that H and W are halved, rounded up, and symmetries of the grid stay.

    An even side has windows of 2 pixels. An odd side has windows of 3 around every second pixel.
    """
    sides: Any = maps.shape[-2:]
    if torch.jit.is_tracing():  # where sizes are tensors, but the windows of ONNX are constants
        sides = [*map(int, sides)]
    kernel, padding = [2 + side % 2 for side in sides], [side % 2 for side in sides]
    if how == "max":
        return F.max_pool2d(maps, kernel, stride=2, padding=padding)
    return F.avg_pool2d(maps, kernel, stride=2, padding=padding, count_include_pad=False)


def _convolution(
    config: LGNConvNetConfig, group: LinearGroup | GroupModule, before: int, after: int, kind: Any = "regular"
) -> OrbitConv2d:
    size = config.filter_size
    return OrbitConv2d(before, after, size, group, kind=kind, padding=size // 2, bias=False)


def _norm(config: LGNConvNetConfig, group: LinearGroup | GroupModule, maps: int) -> nn.Module:
    return OrbitNorm2d(maps, group) if config.share_norms else nn.BatchNorm2d(maps)


def _check_images(pixel_values: Tensor, config: LGNConvNetConfig) -> None:
    if pixel_values.dim() != 4 or pixel_values.shape[1] != config.num_channels:
        raise ValueError(
            f"pixel_values has shape {tuple(pixel_values.shape)}: this model takes (batch, {config.num_channels}, "
            f"height, width), trained on {config.image_size} x {config.image_size}"
        )
    if not pixel_values.is_floating_point():
        raise ValueError(f"pixel_values is {pixel_values.dtype}: the image processor makes floating ones")


__all__ = [
    "LGNConvNetBackbone",
    "LGNConvNetForImageClassification",
    "LGNConvNetModel",
    "LGNConvNetPreTrainedModel",
]
