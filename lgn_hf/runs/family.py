"""The families of networks: one record for each, read by training and by whoever opens a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Family:
    """A kind of network.

    model_type: as in `config.json`. config: the module and class of its configuration. models: the module of its networks.
    tasks: the class of the network with the head for each task in `TASKS`.
    """

    model_type: str
    config: str
    models: str
    tasks: Mapping[str, str]

    @property
    def config_class(self) -> Any:
        """Its configuration. Imported here, as it needs torch and transformers."""
        module, _, name = self.config.rpartition(".")
        return getattr(import_module(f"lgn_hf.{module}"), name)

    def network_class(self, task: str) -> Any:
        """The network with the head for a task.

        Raises:
            ValueError: the family has no such head.
        """
        if task not in self.tasks:
            raise ValueError(f"task={task!r}: must be {' or '.join(self.tasks)} for model_type={self.model_type!r}")
        return getattr(import_module(f"lgn_hf.{self.models}"), self.tasks[task])


FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "lgn",
            "model.configuration_lgn.LGNConfig",
            "model.modeling_lgn",
            {"classification": "LGNForImageClassification", "reconstruction": "LGNForImageReconstruction"},
        ),
        Family(
            "lgn_convnet",
            "convnet.configuration_lgn_convnet.LGNConvNetConfig",
            "convnet.modeling_lgn_convnet",
            {"classification": "LGNConvNetForImageClassification"},
        ),
    )
}


def read_config(place: Any) -> Any:
    """The configuration in a folder or repository, of whichever family it is.

    Raises:
        ValueError: it is not the configuration of one of the families, or a field has a wrong value.
        OSError: there is no configuration.
    """
    from transformers import PreTrainedConfig

    model_type = PreTrainedConfig.get_config_dict(place)[0].get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    # Files of the first family are read by its own class, which says what is wrong with them.
    return (family or FAMILIES["lgn"]).config_class.from_pretrained(place)
