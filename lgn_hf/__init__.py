"""Linear Group Networks: sparse-coding networks that learn the group actions behind their filters.

Importing the package is fast: it loads neither torch nor transformers. The names below are imported on first use,
and the Auto classes of transformers learn of the models when transformers itself is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import registration  # noqa: F401  (registers the models with the Auto classes of transformers)

if TYPE_CHECKING:
    from .actions import Action, Actions, load_actions
    from .conversion import convert, converted_from_pretrained, load_converted, merge, save_converted
    from .convnet.configuration_lgn_convnet import LGNConvNetConfig
    from .convnet.modeling_lgn_convnet import (
        LGNConvNetBackbone,
        LGNConvNetForImageClassification,
        LGNConvNetModel,
        LGNConvNetPreTrainedModel,
    )
    from .discovery import discover, learn_dictionary
    from .model.configuration_lgn import LGNConfig
    from .model.image_processing_lgn import LGNImageProcessor
    from .model.modeling_lgn import (
        LGNBackbone,
        LGNForImageClassification,
        LGNForImageReconstruction,
        LGNModel,
        LGNPreTrainedModel,
    )

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Actions",
    "LGNBackbone",
    "LGNConfig",
    "LGNConvNetBackbone",
    "LGNConvNetConfig",
    "LGNConvNetForImageClassification",
    "LGNConvNetModel",
    "LGNConvNetPreTrainedModel",
    "LGNForImageClassification",
    "LGNForImageReconstruction",
    "LGNImageProcessor",
    "LGNModel",
    "LGNPreTrainedModel",
    "convert",
    "converted_from_pretrained",
    "discover",
    "learn_dictionary",
    "load_actions",
    "load_converted",
    "merge",
    "save_converted",
]

# Name -> the module that defines it.
_MODULES = {
    "Action": "actions",
    "Actions": "actions",
    "LGNBackbone": "model.modeling_lgn",
    "LGNConfig": "model.configuration_lgn",
    "LGNConvNetBackbone": "convnet.modeling_lgn_convnet",
    "LGNConvNetConfig": "convnet.configuration_lgn_convnet",
    "LGNConvNetForImageClassification": "convnet.modeling_lgn_convnet",
    "LGNConvNetModel": "convnet.modeling_lgn_convnet",
    "LGNConvNetPreTrainedModel": "convnet.modeling_lgn_convnet",
    "LGNForImageClassification": "model.modeling_lgn",
    "LGNForImageReconstruction": "model.modeling_lgn",
    "LGNImageProcessor": "model.image_processing_lgn",
    "LGNModel": "model.modeling_lgn",
    "LGNPreTrainedModel": "model.modeling_lgn",
    "discover": "discovery",
    "learn_dictionary": "discovery",
    "convert": "conversion",
    "converted_from_pretrained": "conversion",
    "load_actions": "actions",
    "load_converted": "conversion",
    "merge": "conversion",
    "save_converted": "conversion",
}

_ROOMS = ("conversion", "discovery", "nn")  # `lgn_hf.nn.LinearGroup` needs no `import lgn_hf.nn`


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
