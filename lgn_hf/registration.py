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
def _register_configs(auto: ModuleType) -> None:
    from .convnet.configuration_lgn_convnet import LGNConvNetConfig
    from .model.configuration_lgn import LGNConfig

    for config in (LGNConfig, LGNConvNetConfig):
        auto.AutoConfig.register(config.model_type, config, exist_ok=True)


@when_imported("transformers.models.auto.modeling_auto")
def _register_models(auto: ModuleType) -> None:
    from .convnet import modeling_lgn_convnet
    from .model import modeling_lgn, pretrained_lgn

    for family, auto_map in (
        (modeling_lgn, pretrained_lgn.AUTO_MAP),
        (modeling_lgn_convnet, modeling_lgn_convnet.AUTO_MAP),
    ):
        for auto_class, path in auto_map.items():
            module, _, name = path.partition(".")
            if module == family.__name__.rpartition(".")[2]:
                model = getattr(family, name)
                getattr(auto, auto_class).register(model.config_class, model, exist_ok=True)


@when_imported("transformers.models.auto.image_processing_auto")
def _register_image_processor(auto: ModuleType) -> None:
    from .convnet.configuration_lgn_convnet import LGNConvNetConfig
    from .model.configuration_lgn import LGNConfig
    from .model.image_processing_lgn import LGNImageProcessor

    for config in (LGNConfig, LGNConvNetConfig):
        auto.AutoImageProcessor.register(config, image_processor_classes={"pil": LGNImageProcessor}, exist_ok=True)
