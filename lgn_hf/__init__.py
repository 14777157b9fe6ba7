"""Linear Group Networks: sparse-coding networks that learn the group actions behind their filters."""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForImageToImage,
)

from .configuration_lgn import LGNConfig
from .image_processing_lgn import LGNImageProcessor
from .modeling_lgn import LGNForImageClassification, LGNForImageReconstruction, LGNModel, LGNPreTrainedModel

AutoConfig.register("lgn", LGNConfig, exist_ok=True)
AutoModel.register(LGNConfig, LGNModel, exist_ok=True)
AutoModelForImageClassification.register(LGNConfig, LGNForImageClassification, exist_ok=True)
AutoModelForImageToImage.register(LGNConfig, LGNForImageReconstruction, exist_ok=True)
AutoImageProcessor.register(LGNConfig, image_processor_classes={"pil": LGNImageProcessor}, exist_ok=True)

__version__ = "0.1.0"

__all__ = [
    "LGNConfig",
    "LGNForImageClassification",
    "LGNForImageReconstruction",
    "LGNImageProcessor",
    "LGNModel",
    "LGNPreTrainedModel",
]
