"""Registers the models with the Auto classes of transformers, as soon as transformers is imported.

Registration needs the model classes, and those need most of transformers, which takes seconds to import. So
`wrapt.when_imported` runs each function below at the end of the import of the module that it registers with, or at once
if that module is imported already.

There is one function per module because transformers imports configuration_auto while it still defines its model
classes: what needs those classes has to wait for the later modules.
"""

from __future__ import annotations

from types import ModuleType

from wrapt import when_imported


@when_imported("transformers.models.auto.configuration_auto")
def _register_config(auto: ModuleType) -> None:
    from .model.configuration_lgn import LGNConfig

    auto.AutoConfig.register("lgn", LGNConfig, exist_ok=True)


@when_imported("transformers.models.auto.modeling_auto")
def _register_models(auto: ModuleType) -> None:
    from .model import modeling_lgn
    from .model.configuration_lgn import LGNConfig
    from .model.pretrained_lgn import AUTO_MAP

    for auto_class, path in AUTO_MAP.items():
        module, _, name = path.partition(".")
        if module == "modeling_lgn":
            getattr(auto, auto_class).register(LGNConfig, getattr(modeling_lgn, name), exist_ok=True)


@when_imported("transformers.models.auto.image_processing_auto")
def _register_image_processor(auto: ModuleType) -> None:
    from .model.configuration_lgn import LGNConfig
    from .model.image_processing_lgn import LGNImageProcessor

    auto.AutoImageProcessor.register(LGNConfig, image_processor_classes={"pil": LGNImageProcessor}, exist_ok=True)
