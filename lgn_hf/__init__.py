"""Linear Group Networks: sparse-coding networks that learn the group actions behind their filters.

Names are imported when they are first used: looking at actions does not take transformers, which is slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registration import register

if TYPE_CHECKING:
    from .actions import Action, Actions, load_actions
    from .configuration_lgn import LGNConfig
    from .image_processing_lgn import LGNImageProcessor
    from .modeling_lgn import LGNForImageClassification, LGNForImageReconstruction, LGNModel, LGNPreTrainedModel

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
    "LGNConfig": "configuration_lgn",
    "LGNForImageClassification": "modeling_lgn",
    "LGNForImageReconstruction": "modeling_lgn",
    "LGNImageProcessor": "image_processing_lgn",
    "LGNModel": "modeling_lgn",
    "LGNPreTrainedModel": "modeling_lgn",
    "load_actions": "actions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
