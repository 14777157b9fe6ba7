"""Linear groups in networks that exist: convert their convolutions, train, merge, save and load.

- `conversion`: `convert`; `targets` chooses modules, and `obstacles` says why one cannot be converted;
- `actions`: the kinds of action, by name; `converted_convolution`: the layer;
- `starting_values`: from the weights that are there, by `matching` for a known action, `cyclic_fit` or `slice_fit`
  for one to find;
- `report`: what happened; `hooks` and `trainer_callback`: what learned matrices need during training;
- `merging`: `merge`; `replacement`: one module in the place of another;
- `description`: a conversion as JSON; `storage`: any network on disk; `transformers_config` and `pretrained`: those of
  transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .actions import ACTIONS
from .conversion import convert
from .converted_convolution import ConvertedConv2d
from .description import describe_conversion
from .hooks import attach
from .merging import merge
from .report import ConversionReport, ConversionRow
from .storage import load_converted, save_converted

if TYPE_CHECKING:
    from .pretrained import converted_from_pretrained
    from .trainer_callback import AttachCallback

__all__ = [
    "ACTIONS",
    "AttachCallback",
    "ConversionReport",
    "ConversionRow",
    "ConvertedConv2d",
    "attach",
    "convert",
    "converted_from_pretrained",
    "describe_conversion",
    "load_converted",
    "merge",
    "save_converted",
]

_NEED_TRANSFORMERS = {"AttachCallback": "trainer_callback", "converted_from_pretrained": "pretrained"}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TRANSFORMERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_NEED_TRANSFORMERS[name]}", __name__), name)
