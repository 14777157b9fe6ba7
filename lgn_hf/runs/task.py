"""What a network can be trained for: one record for each task, read by training, publishing and cards alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model.modeling_lgn import LGNPreTrainedModel


@dataclass(frozen=True)
class Metric:
    """A number that says how good a model is.

    name: in results, after `test_` or `validation_`. hub_name: what the Hub calls it. words: what a card calls it.
    """

    name: str
    hub_name: str
    words: str
    higher_is_better: bool

    def better(self, a: float, b: float) -> float:
        """The better of two values."""
        return max(a, b) if self.higher_is_better else min(a, b)


@dataclass(frozen=True)
class Task:
    """What a network can be trained for.

    name: the `task` of a recipe. model_name: the class of the LGN with the head for it. pipeline_tag: the Hub's name of the task.
    metrics: what is measured; the first is the main one. selection: the metric by which the best epoch is chosen.
    needs_labels: whether it is trained on labels.
    """

    name: str
    model_name: str
    pipeline_tag: str
    metrics: tuple[Metric, ...]
    selection: Metric
    needs_labels: bool

    @property
    def model_class(self) -> type[LGNPreTrainedModel]:
        """The network with the head for the task. It is imported here, as it needs torch and transformers."""
        from ..model import modeling_lgn

        return getattr(modeling_lgn, self.model_name)


ACCURACY = Metric("accuracy", "accuracy", "accuracy", higher_is_better=True)
MSE = Metric("mse", "mse", "mean squared error", higher_is_better=False)
RELATIVE_ERROR = Metric("relative_error", "relative_error", "energy missed", higher_is_better=False)

TASKS = {
    task.name: task
    for task in (
        Task("classification", "LGNForImageClassification", "image-classification", (ACCURACY,), ACCURACY, True),
        Task(
            "reconstruction",
            "LGNForImageReconstruction",
            "image-feature-extraction",
            (MSE, RELATIVE_ERROR),
            MSE,
            False,
        ),
    )
}
