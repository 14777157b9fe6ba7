"""The Auto classes of transformers learn of the LGN as soon as transformers loads them, and not before.

Registering needs the model classes, and so all of transformers: seconds, for someone who only wants to look at some
actions. So `import lgn_hf` registers with those of transformers' modules that are loaded already, and leaves a finder
on `sys.meta_path` that registers with the others at the end of their import, whoever imports them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def _register_config(auto: ModuleType) -> None:
    from .configuration_lgn import LGNConfig

    auto.AutoConfig.register("lgn", LGNConfig, exist_ok=True)


def _register_models(auto: ModuleType) -> None:
    from .configuration_lgn import LGNConfig
    from .modeling_lgn import LGNForImageClassification, LGNForImageReconstruction, LGNModel

    auto.AutoModel.register(LGNConfig, LGNModel, exist_ok=True)
    auto.AutoModelForImageClassification.register(LGNConfig, LGNForImageClassification, exist_ok=True)
    auto.AutoModelForImageToImage.register(LGNConfig, LGNForImageReconstruction, exist_ok=True)


def _register_image_processor(auto: ModuleType) -> None:
    from .configuration_lgn import LGNConfig
    from .image_processing_lgn import LGNImageProcessor

    auto.AutoImageProcessor.register(LGNConfig, image_processor_classes={"pil": LGNImageProcessor}, exist_ok=True)


# One function a module: transformers imports configuration_auto while its model classes are still being defined, so
# that whatever needs those classes must wait for modeling_auto.
REGISTER: dict[str, Callable[[ModuleType], None]] = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.image_processing_auto": _register_image_processor,
}


class _RegisteringLoader(Loader):
    """Loads a module as its own loader does, then registers with it."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        REGISTER[module.__name__](module)


class _RegisteringFinder(MetaPathFinder):
    """Finds the modules of `REGISTER` where the other finders do, and has them loaded by a `_RegisteringLoader`."""

    def find_spec(self, fullname, path, target=None) -> ModuleSpec | None:
        if fullname not in REGISTER:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


def register() -> None:
    """Register with the Auto classes: now where they are loaded, else at the end of their import.

    Where the package is imported anew, the finder of the import before is removed: the two would ask each other without end.
    """
    own = _RegisteringFinder.__qualname__
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__qualname__ != own]
    sys.meta_path.insert(0, _RegisteringFinder())
    for name, function in REGISTER.items():
        if name in sys.modules:
            function(importlib.import_module(name))  # waits, if another thread is still importing it
