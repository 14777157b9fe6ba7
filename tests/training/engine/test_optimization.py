"""The learning rate is a function of the step; the optimiser is the papers' Adam."""

import pytest
import torch
from lgn_training.arguments import RunArguments
from lgn_training.engine.optimization import learning_rate, make_optimizer

from lgn_hf import LGNConfig, LGNForImageClassification


def rates(steps=80, **fields) -> list[float]:
    args = RunArguments(learning_rate=1.0, **fields)
    return [learning_rate(step, steps, args) for step in range(steps)]


def test_the_papers_halve_at_50_75_and_87_percent():
    assert rates() == [1.0] * 40 + [0.5] * 20 + [0.25] * 10 + [0.125] * 10


def test_the_rotation_paper_divides_by_three_at_each_third():
    found = rates(steps=9, lr_milestones=[1 / 3, 2 / 3], lr_decay=1 / 3)
    assert found == pytest.approx([1.0] * 3 + [1 / 3] * 3 + [1 / 9] * 3)


def test_cosine_and_linear_fall_from_the_peak_towards_zero():
    for kind in ("cosine", "linear"):
        found = rates(lr_scheduler_type=kind)
        assert found[0] == 1.0
        assert found == sorted(found, reverse=True)
        assert 0 < found[-1] < 0.02
        assert found[40] == pytest.approx(0.5)


def test_constant_stays():
    assert set(rates(lr_scheduler_type="constant")) == {1.0}


def test_warm_up_rises_to_the_peak_and_is_never_zero():
    found = rates(warmup_ratio=0.25, lr_scheduler_type="constant")
    assert found[:20] == sorted(found[:20])
    assert 0 < found[0] < 0.1
    assert found[20:] == [1.0] * 60


def test_without_weight_decay_the_optimizer_is_adam():
    config = LGNConfig(num_groups=2, num_layers=2, image_size=10, pool_size=1)
    ours, reference = LGNForImageClassification(config), LGNForImageClassification(config)
    reference.load_state_dict(ours.state_dict())
    first = make_optimizer(ours, RunArguments())
    second = torch.optim.Adam(reference.parameters(), lr=0.01)
    for _ in range(3):
        images, labels = torch.randn(4, 1, 10, 10), torch.tensor([0, 1, 0, 1])
        for model, optimizer in ((ours, first), (reference, second)):
            optimizer.zero_grad()
            model(images, labels=labels).loss.backward()
            optimizer.step()
    for name, parameter in ours.named_parameters():
        assert torch.allclose(parameter, reference.get_parameter(name), atol=1e-6), name


def test_weight_decay_spares_thresholds_norms_and_biases():
    model = LGNForImageClassification(LGNConfig(num_groups=2, num_layers=2))
    optimizer = make_optimizer(model, RunArguments(weight_decay=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert names == {"lgn.basis", "lgn.action.weight", "lgn.auxiliary_inverses", "classifier.weight"}
