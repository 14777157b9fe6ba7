"""Diagnostics on matrices whose answer is known: planted exactly, planted with noise, and random ones."""

import json
import math

import numpy as np
import pytest
import torch
from lgn_training.experiments.known_matrices import KNOWN, NOISE, D, N, cyclic_matrix, draw, noisy, orthogonal, toeplitz_matrix
from scipy.optimize import linear_sum_assignment

from lgn_hf.actions import (
    MIN_Z,
    SCORES,
    THRESHOLDS,
    action_distance,
    cycles,
    cyclic_order,
    cyclic_residuals,
    diagnose,
    diagnostics,
    nearest,
    optimal_matching,
    permutation_test,
    power_separation,
    scale_levels,
    scores,
)
from lgn_hf.model.filters import rotation_matrix


@pytest.fixture(scope="module")
def records():
    """The diagnosis of everything planted, exactly and with noise."""
    matrices = torch.stack([build() for build, _, _ in KNOWN.values()])
    both = diagnose(torch.cat([matrices, torch.stack([noisy(m) for m in matrices])]), N, null_samples=60)
    return dict(zip([(name, noise) for noise in (0, NOISE) for name in KNOWN], both, strict=True))


class TestPlanted:
    @pytest.mark.parametrize("noise", [0, NOISE])
    @pytest.mark.parametrize("name", [name for name in KNOWN if name != "cyclic"])
    def test_the_label_is_what_was_planted(self, records, name, noise):
        assert records[name, noise]["label"] == KNOWN[name][1]

    def test_a_cyclic_action_is_found_up_to_a_little_noise(self, records):
        """The p-th power has p times the noise, and more where A is ill-conditioned."""
        record, (slightly,) = records["cyclic", 0], diagnose(noisy(cyclic_matrix(), 0.03)[None], N, null_samples=50)
        assert record["label"] == slightly["label"] == "cyclic of order 5"
        assert records["cyclic", NOISE]["label"] is None

    @pytest.mark.parametrize("name", [name for name in KNOWN if KNOWN[name][2]])
    def test_the_score_is_1_and_beats_the_null(self, records, name):
        score = KNOWN[name][2]
        exact, with_noise = records[name, 0]["scores"][score], records[name, NOISE]["scores"][score]
        assert exact["value"] == pytest.approx(1, abs=1e-6)
        assert exact["z"] > 2 * MIN_Z
        assert with_noise["value"] < 1 - 1e-3

    @pytest.mark.parametrize("name", ["random", "random of rank 1"])
    def test_random_matrices_do_not_beat_the_null(self, records, name):
        for noise in (0, NOISE):
            scored = records[name, noise]["scores"]
            assert all(abs(score["z"]) < MIN_Z for key, score in scored.items() if key != "orthogonality")
            assert scored["orthogonality"]["z"] < MIN_Z

    def test_no_random_matrix_of_many_is_labelled(self):
        assert [record["label"] for record in diagnose(draw(40, 16, 16), 4, null_samples=50)] == [None] * 40


class TestScores:
    @pytest.mark.parametrize("name", SCORES)
    def test_ignores_scale_and_sign(self, name):
        matrices = draw(3, D, D)
        torch.testing.assert_close(SCORES[name](1e9 * matrices), SCORES[name](matrices))
        if name != "cyclicity":
            torch.testing.assert_close(SCORES[name](-matrices), SCORES[name](matrices))

    @pytest.mark.parametrize("name", SCORES)
    def test_is_between_0_and_1_in_any_batch(self, name):
        matrices = torch.stack([torch.eye(D), torch.ones(D, D), torch.zeros(D, D), torch.randn(D, D)]).view(2, 2, D, D)
        values = SCORES[name](matrices)
        assert values.shape == (2, 2)
        assert values.dtype == torch.float64
        assert ((values >= 0) & (values <= 1)).all()
        assert values[1, 0] == 0  # the zero matrix has no structure
        torch.testing.assert_close(values[1, 1], SCORES[name](matrices[1, 1]))

    def test_skew_symmetry_of_symmetric_matrices_is_0(self):
        assert diagnostics.skew_symmetry(draw(D, D) + draw(D, D).T) == 0

    def test_circulant_is_the_energy_on_the_diagonal_of_the_dft(self):
        """F A F^-1 with NumPy (appendix D)."""
        matrix = noisy(toeplitz_matrix())
        transformed = np.fft.ifft(np.fft.fft(matrix.numpy(), axis=0), axis=1)
        expected = (np.abs(np.diag(transformed)) ** 2).sum() / (np.abs(transformed) ** 2).sum()
        assert float(diagnostics.circulant(matrix)) == pytest.approx(expected, abs=1e-12)

    def test_toeplitz_is_the_best_fit_diagonal_by_diagonal(self):
        matrix = draw(D, D).numpy()
        fit = sum(np.diag(np.full(D - abs(k), np.diag(matrix, k).mean()), k) for k in range(1 - D, D))
        expected = 1 - ((matrix - fit) ** 2).sum() / (matrix**2).sum()
        assert float(diagnostics.toeplitz(torch.from_numpy(matrix))) == pytest.approx(expected, abs=1e-12)

    def test_structures_that_contain_others_explain_more(self):
        values = scores(draw(20, D, D))
        assert (values["circulant"] < values["toeplitz"]).all()
        assert (values["toeplitz"] < values["block_toeplitz"]).all()

    @pytest.mark.parametrize("size", [2, 3, 6])
    def test_scale_levels_are_the_quadrants_and_the_blocks_beyond(self, size):
        ones = torch.ones(size, size, dtype=torch.float64)
        quadrants, blocks = scale_levels(torch.stack([ones.kron(ones), draw(size, size).kron(ones)]))
        assert (quadrants + blocks).tolist() == pytest.approx([1, 1])
        assert blocks[0] == pytest.approx(0, abs=1e-12)
        assert size == 2 or blocks[1] > 0.05

    def test_block_concentration_counts_as_many_blocks_as_a_side_has(self):
        """Equal shares 0, n blocks 1, and in between in proportion."""
        ones = torch.ones(3, 3, dtype=torch.float64)
        energies = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 1, 1]], dtype=torch.float64)
        matrices = torch.stack([ones.kron(ones), torch.eye(3).double().kron(ones), energies.kron(ones)])
        assert diagnostics.block_concentration(matrices).tolist() == pytest.approx([0, 1, 0.25])

    def test_orthogonality_is_the_distance_to_the_polar_factor(self):
        matrix = draw(D, D)
        u, sigma, vh = torch.linalg.svd(matrix)
        distance = (matrix - sigma.mean() * u @ vh).norm() / matrix.norm()
        assert float(diagnostics.orthogonality(matrix)) == pytest.approx(1 - float(distance))

    def test_a_matrix_need_not_act_on_squares_to_be_toeplitz(self):
        assert diagnostics.toeplitz(torch.ones(5, 5)) == 1
        with pytest.raises(ValueError, match=r"d = n\*n rows, got \(5, 5\)"):
            scores(torch.ones(5, 5))

    @pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 0)])
    def test_only_square_matrices(self, shape):
        with pytest.raises(ValueError, match=r"square matrices \(..., d, d\), got \(" + str(shape[0])):
            scores(torch.ones(shape))

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_only_finite_matrices(self, bad):
        with pytest.raises(ValueError, match="NaN or infinity"):
            scores(torch.full((4, 4), bad))


class TestCyclicity:
    @pytest.mark.parametrize("order", [2, 3, 4, 7, 24])
    def test_roots_of_the_identity_have_their_order(self, order):
        """In any basis and at any scale."""
        basis = orthogonal(D, D)
        residuals = cyclic_residuals(5 * basis @ cycles(D, order, 1) @ basis.T)
        assert residuals[order - 1] < 1e-6
        assert cyclic_order(residuals) == order
        assert (residuals[: order - 1] > 0.3).all()

    def test_residuals_are_the_distance_to_multiples_of_the_identity(self):
        matrix = torch.eye(D, dtype=torch.float64) + draw(D, D) / D
        for q, residual in enumerate(cyclic_residuals(matrix, 5).tolist(), 1):
            power = torch.linalg.matrix_power(matrix, q)
            expected = (power - power.trace() / D * torch.eye(D, dtype=torch.float64)).norm() / power.norm()
            assert residual == pytest.approx(float(expected), abs=1e-9)

    def test_minus_the_identity_has_order_2(self):
        residuals = cyclic_residuals(-torch.eye(4))
        assert residuals[0] == 1
        assert cyclic_order(residuals) == 2

    def test_what_is_nearly_the_identity_has_order_1(self):
        assert cyclic_order(cyclic_residuals(torch.eye(D) + 0.01 * draw(D, D))) == 1

    def test_nilpotent_and_zero_matrices_never_return(self):
        residuals = cyclic_residuals(torch.stack([torch.ones(4, 4).triu(1), torch.zeros(4, 4)]))
        assert (residuals == 1).all()

    def test_powers_neither_overflow_nor_vanish(self):
        matrix = orthogonal(D, D)
        for scale in (1e-30, 1e30):
            torch.testing.assert_close(cyclic_residuals(scale * matrix), cyclic_residuals(matrix))

    def test_power_separation(self):
        """Orthogonal elements are 0.71 apart, a collapsed orbit 0, A and -A 1."""
        shift_by_1 = cycles(D, 4, 1)
        collapsed = torch.ones(D, D, dtype=torch.float64)
        assert power_separation(shift_by_1, 4) == pytest.approx(0.5**0.5)
        assert power_separation(collapsed, 4) == pytest.approx(0, abs=1e-6)
        assert power_separation(-torch.eye(D), 2) == 1
        assert power_separation(torch.stack([shift_by_1, collapsed]), 1).tolist() == [1, 1]


class TestNearest:
    def test_reports_the_best_of_each_family(self):
        (records,) = nearest(rotation_matrix(N, 57)[None], N)
        assert len({record["operation"] for record in records}) == 3
        assert records[0]["operation"] == "rotation"
        assert records[0]["parameters"] == {"degrees": 57}
        assert records[0]["correlation"] == pytest.approx(1)
        assert [record["correlation"] for record in records] == sorted(
            (r["correlation"] for r in records), reverse=True
        )

    def test_a_negated_operation_is_named_as_such(self):
        (record,) = diagnose(-3 * rotation_matrix(N, 30)[None], N, null_samples=20)
        assert record["nearest"][0]["correlation"] == pytest.approx(-1)
        assert record["label"] == "negated rotation by 30 degrees"

    def test_z_is_against_the_best_of_the_family(self):
        """360 rotations find something in noise; that is no discovery."""
        best = [records[0] for records in nearest(draw(30, D, D, seed=5), N)]
        assert max(abs(record["z"]) for record in best) < MIN_Z
        assert abs(np.mean([record["z"] for record in best])) < 2


class TestDiagnose:
    def test_is_ready_for_actions_json(self, records):
        for record in records.values():
            assert set(record["scores"]) == set(SCORES)
            assert record == json.loads(json.dumps(record, allow_nan=False))
            assert len(record["eigenvalues"]) == len(record["singular_values"]) == D
        json.dumps(diagnostics.NULL)

    def test_numbers_of_a_diagonal_matrix(self):
        diagonal = torch.tensor([1.0, -4, 2, 0.5])
        (record,) = diagnose(diagonal.diag()[None], 2, null_samples=20)
        assert record["eigenvalues"] == [[-4, 0], [2, 0], [1, 0], [0.5, 0]]
        assert record["singular_values"] == [4, 2, 1, 0.5]
        assert record["condition_number"] == 8
        assert record["log_abs_det"] == pytest.approx(math.log(4))

    def test_what_is_infinite_is_null(self):
        (record,) = diagnose(torch.diag(torch.tensor([1.0, 0, 0, 0]))[None], 2, null_samples=20)
        assert record["condition_number"] is None
        assert record["log_abs_det"] is None

    def test_the_zero_matrix_is_unstructured(self):
        (record,) = diagnose(torch.zeros(1, 16, 16), 4, null_samples=20)
        assert record["label"] is None
        assert all(score["z"] <= 0 for score in record["scores"].values())

    def test_does_not_depend_on_the_batch(self):
        matrices = draw(5, 16, 16)
        together, alone = diagnose(matrices, 4, null_samples=20), diagnose(matrices[2:3], 4, null_samples=20)
        for name, score in alone[0]["scores"].items():
            assert score["z"] == pytest.approx(together[2]["scores"][name]["z"], rel=1e-6)

    def test_no_actions_no_records(self):
        assert diagnose(torch.zeros(0, 16, 16), 4, null_samples=20) == []

    @pytest.mark.parametrize("size", [1, 11])
    def test_filters_of_any_size(self, size):
        (record,) = diagnose(draw(1, size**2, size**2), size, null_samples=4)
        assert (len(record["nearest"]) > 0) == (size == 1)

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match=r"size=4: actions are \(N, 16, 16\), got \(2, 9, 9\)"):
            diagnose(draw(2, 9, 9), 4)

    def test_every_label_has_a_threshold(self):
        assert set(THRESHOLDS) == {"nearest", *SCORES}


class TestDistance:
    def test_ignores_order_and_scale(self):
        actions = draw(5, 16, 16)
        again = actions[torch.tensor([3, 1, 4, 0, 2])] * torch.tensor([1.0, 2, 3, 4, 5])[:, None, None]
        assert action_distance(actions, again) == pytest.approx(0, abs=1e-6)
        assert action_distance(actions, -actions[:1]) > 0.6

    def test_unrelated_sets_are_half_the_root_of_2_apart(self):
        assert action_distance(draw(1, D, D), draw(1, D, D, seed=1)) == pytest.approx(0.5**0.5, abs=0.02)

    def test_a_smaller_set_is_matched_into_the_larger(self):
        actions = draw(5, 16, 16)
        assert action_distance(actions, actions[3:]) == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("shapes", [((2, 4, 4), (2, 9, 9)), ((0, 4, 4), (2, 4, 4)), ((4, 4), (4, 4))])
    def test_sets_must_be_comparable(self, shapes):
        with pytest.raises(ValueError, match="of the same d"):
            action_distance(*(torch.ones(shape) for shape in shapes))

    @pytest.mark.parametrize("shape", [(1, 1), (6, 6), (4, 9), (9, 4), (30, 30)])
    def test_the_matching_is_optimal(self, shape):
        """Against SciPy, also where costs are equal or negative."""
        rng = np.random.default_rng(0)
        for costs in (rng.normal(size=shape), rng.integers(0, 3, shape).astype(float)):
            rows, columns = optimal_matching(costs)
            assert len(set(rows)) == len(set(columns)) == min(shape)
            assert costs[rows, columns].sum() == pytest.approx(costs[linear_sum_assignment(costs)].sum())

    def test_permutation_test_finds_a_difference_that_is_there(self):
        tasks = {"a": draw(3, 16, 16), "b": draw(3, 16, 16, seed=1)}
        labels = [*"aaaabbbb"]
        sets = [tasks[label] + 0.5 * draw(3, 16, 16, seed=2 + i) for i, label in enumerate(labels)]
        found = permutation_test(sets, labels, permutations=999)
        assert found["statistic"] > 0.2
        assert found["p_value"] == pytest.approx(
            2 / 70, abs=0.02
        )  # of 70 ways to choose 4 of 8, these and their complement
        assert found["permutations"] == 999

    def test_permutation_test_finds_none_where_there_is_none(self):
        """p-values of unrelated sets are spread over [0, 1]."""
        p = [
            permutation_test([draw(1, 4, 4, seed=10 * i + j) for j in range(6)], [*"aaabbb"], permutations=199)[
                "p_value"
            ]
            for i in range(30)
        ]
        assert 0.35 < np.mean(p) < 0.75
        assert min(p) >= 1 / 20

    def test_permutation_test_is_of_sets_of_one_size(self):
        """Unrelated actions are nearer to a larger set, whatever its label."""
        few, more, many = (draw(count, 16, 16, seed=count) for count in (10, 11, 60))
        assert action_distance(few, many) < action_distance(few, more[:10]) - 0.01
        with pytest.raises(ValueError, match=r"as many actions are compared, got \(10, 16, 16\), .*, \(60, 16, 16\)"):
            permutation_test([few, few, more, many], [*"aabb"])

    @pytest.mark.parametrize("labels", [["a", "a"], ["a", "b"], ["a", "b", "a"]])
    def test_permutation_test_needs_two_labels_and_one_twice(self, labels):
        with pytest.raises(ValueError, match="two of them different and two the same"):
            permutation_test([draw(1, 4, 4)] * 2, labels)
