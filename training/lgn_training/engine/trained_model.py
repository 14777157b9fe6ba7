"""A trained model, from a folder or the Hub."""

from __future__ import annotations

from typing import Any

from lgn_hf import LGNImageProcessor
from lgn_hf.repository import find_folder
from lgn_hf.runs.family import FAMILIES, read_config


def load_trained(name: str) -> tuple[str, Any, LGNImageProcessor]:
    """The task of a model, the model and its image processor.

    Args:
        name: folder of a trained or published model, else the name of a repository.

    Raises:
        ValueError: the model is not trained for one of the tasks, or its weights do not fit its configuration.
        OSError: there is no model of this name.
    """
    tasks = {name: (task, family) for family in FAMILIES.values() for task, name in family.tasks.items()}
    folder = find_folder(name)
    try:
        architecture = str((read_config(folder).architectures or ["no model"])[0])
        if architecture not in tasks:
            raise ValueError(f"{name} holds {architecture:.80}: only {' and '.join(tasks)} can be tested")
        task, family = tasks[architecture]
        model = family.network_class(task).from_pretrained(folder)
        return task, model, LGNImageProcessor.from_pretrained(folder)
    except OSError as error:
        raise OSError(f"{name} is neither a folder of a model nor a repository that can be read: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"{name}: the weights do not fit config.json: {error}") from None
