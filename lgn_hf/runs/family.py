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
    tasks: the class of the network with the head for each task in `TASKS`. free_twin: the field of a recipe, and the value
    that leaves all filters free. encoder: the class of the network without a head. basis_names: what its basis filters may be
    called in a checkpoint.
    """

    model_type: str
    config: str
    models: str
    tasks: Mapping[str, str]
    free_twin: tuple[str, Any]
    encoder: str
    basis_names: tuple[str, ...]

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

    def model_class(self, architectures: list[str] | None) -> Any:
        """The network that a configuration names first, else the network without a head."""
        module, name = import_module(f"lgn_hf.{self.models}"), (architectures or [""])[0]
        return getattr(module, name if name in module.__all__ else self.encoder)


FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "lgn",
            "model.configuration_lgn.LGNConfig",
            "model.modeling_lgn",
            {"classification": "LGNForImageClassification", "reconstruction": "LGNForImageReconstruction"},
            ("group_order", 1),
            "LGNModel",
            ("lgn.basis", "basis"),
        ),
        Family(
            "lgn_convnet",
            "convnet.configuration_lgn_convnet.LGNConvNetConfig",
            "convnet.modeling_lgn_convnet",
            {"classification": "LGNConvNetForImageClassification"},
            ("group", "trivial"),
            "LGNConvNetModel",
            ("lgn_convnet.stem.weight", "stem.weight"),
        ),
    )
}


def family_of(recipe: Mapping[str, Any]) -> Family:
    """The family of a run, from its recipe. Recipes of the first family need not name it."""
    name = recipe.get("model_type", "lgn")
    return FAMILIES[name if isinstance(name, str) and name in FAMILIES else "lgn"]


def read_config(place: Any) -> Any:
    """The configuration in a folder or repository, of whichever family it is.

    Raises:
        ValueError: it is not the configuration of one of the families, or a field has a wrong value.
        OSError: the configuration is missing.
    """
    from transformers import PreTrainedConfig

    from ..model.configuration_checks import errors_of_one_line

    with errors_of_one_line(place, " or ".join(FAMILIES)):
        model_type = PreTrainedConfig.get_config_dict(place)[0].get("model_type", "lgn")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(f"{place}: config.json has model_type {model_type!r:.80}: must be {' or '.join(FAMILIES)}")
    return FAMILIES[model_type].config_class.from_pretrained(place)
