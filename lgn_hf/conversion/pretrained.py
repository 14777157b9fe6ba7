"""Converted transformers models from the Hub or a folder."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from ..nn import LearnedGroup
from .converted_convolution import ConvertedConv2d
from .description import apply_description, check_description, describe_conversion
from .transformers_config import FIELD, remember_conversion

METHOD = "lgn_conversion"


def converted_from_pretrained(auto_class: Any, name_or_path: str, **kwargs: Any) -> Any:
    """Load a converted model that `save_pretrained` or `push_to_hub` saved.

    Args:
        auto_class: an Auto class such as `AutoModelForImageClassification`, or the class of the model.
        name_or_path: a repository on the Hub, or a folder.
        kwargs: those of `from_pretrained`.

    Returns:
        The model, converted, in eval mode.

    Raises:
        ValueError: the model was not converted, or its description does not fit it.

    Example:
        >>> model = converted_from_pretrained(AutoModelForImageClassification, "user/model")  # doctest: +SKIP
    """
    config = kwargs.pop("config", None)
    if not isinstance(config, PreTrainedConfig):
        names = (
            "revision",
            "token",
            "cache_dir",
            "subfolder",
            "trust_remote_code",
            "local_files_only",
            "force_download",
        )
        wanted = {name: kwargs[name] for name in names if name in kwargs}
        config = AutoConfig.from_pretrained(name_or_path if config is None else config, **wanted)
    description = getattr(config, FIELD, None)
    if description is None:
        raise ValueError(f"{name_or_path} is not a converted model: its configuration has no {FIELD}")
    check_description(description)
    model = auto_class.from_pretrained(
        name_or_path, config=config, quantization_config=_ConversionConfig(description), **kwargs
    )
    with_info = isinstance(model, tuple)  # output_loading_info=True
    _clean_up(model[0] if with_info else model)
    return model


# transformers replaces modules between building a model and loading its weights for quantizers only. A conversion does
# the same, so it is a quantizer for the time of loading, and leaves no trace of that.


@register_quantization_config(METHOD)
class _ConversionConfig(QuantizationConfigMixin):
    def __init__(self, description: dict[str, Any]):
        self.quant_method = METHOD  # pyrefly: ignore[bad-assignment]
        self.description = description


@register_quantizer(METHOD)
class _ConversionLoader(HfQuantizer):
    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> None:
        apply_description(model, self.quantization_config.description)  # pyrefly: ignore[missing-attribute]

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        for module in model.modules():
            if isinstance(module, LearnedGroup):
                module._apply(lambda tensor: tensor)  # constants are not in the file
        for module in model.modules():
            if isinstance(module, ConvertedConv2d):
                module._apply(lambda tensor: tensor)

        return model

    def is_serializable(self) -> bool:  # pyrefly: ignore[bad-override]
        return True

    @property
    def is_trainable(self) -> bool:  # pyrefly: ignore[bad-override]
        return True


def _clean_up(model: Any) -> None:
    model.hf_quantizer.remove_quantization_config(model)
    del model.is_quantized
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            vars(module.config).pop("_is_quantized", None)
    remember_conversion(model, describe_conversion(model))
