"""The learning curve shows what the history of a run has."""

import numpy as np
import pytest

from lgn_hf.plotting import learning_curve


def test_losses_and_the_metric_are_drawn_against_epochs():
    history = [
        {"epoch": 1, "train_loss": 2.0, "validation_loss": 2.5, "validation_accuracy": 0.25},
        {"epoch": 1.5, "train_loss": 1.0, "validation_loss": 1.5, "validation_accuracy": 0.5},
    ]
    losses, metric = learning_curve(history, "accuracy", "accuracy").axes
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in losses.lines}
    assert drawn == {"training": [[1, 2], [1.5, 1]], "validation": [[1, 2.5], [1.5, 1.5]]}
    assert np.asarray(metric.lines[0].get_xydata()).tolist() == [[1, 0.25], [1.5, 0.5]]
    assert metric.get_ylabel() == "validation accuracy"


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "train_loss": 2.0}]], ids=["nothing", "no validation"])
def test_a_run_without_validation_has_its_losses_alone(history):
    (losses,) = learning_curve(history, "mse", "mean squared error").axes
    assert len(losses.lines) == len(history)


@pytest.mark.parametrize(("least", "scale"), [(0.21, "linear"), (0.2, "log"), (0.0, "linear")])
def test_losses_that_fall_far_have_a_logarithmic_scale(least, scale):
    history = [{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": least}]
    assert learning_curve(history, "mse", "mean squared error").axes[0].get_yscale() == scale
