"""The Auto classes of transformers learn of our models as soon as transformers loads them, and not before.

To register takes the model classes, and so most of transformers: 2.6 s to import where `import lgn_hf` takes 0.05 s and
looking at some actions 1.6 s. So each of these functions runs at the end of the import of the module that it registers
with, whoever imports that; at once where it is imported already. (transformers imports configuration_auto while it still
defines its model classes, so what needs those waits for the later modules.)
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
    from .model.configuration_lgn import LGNConfig
    from .model.modeling_lgn import LGNForImageClassification, LGNForImageReconstruction, LGNModel

    auto.AutoModel.register(LGNConfig, LGNModel, exist_ok=True)
    auto.AutoModelForImageClassification.register(LGNConfig, LGNForImageClassification, exist_ok=True)
    auto.AutoModelForImageToImage.register(LGNConfig, LGNForImageReconstruction, exist_ok=True)


@when_imported("transformers.models.auto.image_processing_auto")
def _register_image_processor(auto: ModuleType) -> None:
    from .model.configuration_lgn import LGNConfig
    from .model.image_processing_lgn import LGNImageProcessor

    auto.AutoImageProcessor.register(LGNConfig, image_processor_classes={"pil": LGNImageProcessor}, exist_ok=True)
