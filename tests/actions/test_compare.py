"""How the actions of two models are compared."""

import pytest
import torch

from lgn_hf import Actions
from lgn_hf.actions import action_distance, compare
from tests.support.networks import make_model


class TestComparison:
    def test_of_a_model_with_itself_in_another_order(self):
        actions = make_model("learned-colour").actions()
        turned = Actions(3 * actions.matrices[:, [1, 0]], actions.order)
        found = compare(actions, turned, samples=20)
        assert found.whole.value == pytest.approx(0, abs=1e-7)
        assert found.whole.z < -5
        assert {layer: part.value for layer, part in found.layers.items()} == pytest.approx({0: 0, 1: 0}, abs=1e-7)
        assert all(pair.cosine == pytest.approx(1) for pair in found.pairs)
        swapped = {pair.a: pair.b for pair in found.pairs}
        assert swapped["layers.0.groups.0.channels.2"] == "layers.0.groups.1.channels.2"

    def test_is_the_distance_of_the_diagnostics(self):
        a, b = (make_model("learned", seed=seed).actions() for seed in (1, 2))
        found = compare(a, b[1:, :1], samples=2)
        assert found.whole.value == pytest.approx(
            action_distance(a.matrices.flatten(0, 2), b[1:, :1].matrices.flatten(0, 2))
        )
        assert list(found.layers) == [1, 2]
        assert found.layers[2].value == pytest.approx(
            action_distance(a[2].matrices.flatten(0, 2), b[2, :1].matrices.flatten(0, 2))
        )

    def test_unrelated_actions_are_at_chance(self):
        a, b = (Actions(torch.randn(2, 4, 1, 16, 16), 4) for _ in range(2))
        assert abs(compare(a, b).whole.z) < 4

    @pytest.mark.slow
    def test_copies_of_an_action_are_no_evidence(self):
        """Chance is that of the one action that there is, whose every copy is as far away."""
        one, other = (Actions(torch.randn(1, 1, 1, 16, 16), 4) for _ in range(2))
        copies = [Actions(actions.matrices.expand(2, 5, 1, 16, 16), 4) for actions in (one, other)]
        expected, found = compare(one, other, samples=400).whole, compare(*copies, samples=400).whole
        assert found.value == pytest.approx(expected.value)
        assert found.deviation == pytest.approx(expected.deviation, rel=0.2)
        assert abs(found.z) < 4

    def test_chance_is_drawn_from_the_seed(self):
        a, b = (make_model("learned", seed=seed).actions() for seed in (1, 2))
        assert compare(a, b, samples=5) == compare(a, b, samples=5)
        assert compare(a, b, samples=5).whole.chance != compare(a, b, samples=5, seed=1).whole.chance

    def test_needs_filters_of_one_size(self):
        with pytest.raises(ValueError, match="acts on 3 x 3 filters, the second on 4 x 4"):
            compare(make_model("learned").actions(), make_model("even-filter").actions())

    def test_needs_samples(self):
        with pytest.raises(ValueError, match="samples=1"):
            compare(make_model("learned").actions(), make_model("learned").actions(), samples=1)
