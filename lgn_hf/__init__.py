"""Linear Group Networks: sparse-coding networks that learn the group actions behind their filters.

Names are imported when they are first used: looking at actions does not take transformers, which is slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import registration  # noqa: F401  (tells transformers' Auto classes of the models)

if TYPE_CHECKING:
    from .actions import Action, Actions, load_actions
    from .model.configuration_lgn import LGNConfig
    from .model.image_processing_lgn import LGNImageProcessor
    from .model.modeling_lgn import LGNForImageClassification, LGNForImageReconstruction, LGNModel, LGNPreTrainedModel

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Actions",
    "LGNConfig",
    "LGNForImageClassification",
    "LGNForImageReconstruction",
    "LGNImageProcessor",
    "LGNModel",
    "LGNPreTrainedModel",
    "load_actions",
]

_MODULES = {
    "Action": "actions",
    "Actions": "actions",
    "LGNConfig": "model.configuration_lgn",
    "LGNForImageClassification": "model.modeling_lgn",
    "LGNForImageReconstruction": "model.modeling_lgn",
    "LGNImageProcessor": "model.image_processing_lgn",
    "LGNModel": "model.modeling_lgn",
    "LGNPreTrainedModel": "model.modeling_lgn",
    "load_actions": "actions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
