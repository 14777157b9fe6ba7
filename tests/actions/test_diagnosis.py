"""Diagnosis of matrices whose answer is known: planted exactly, planted with noise, and random ones."""

import json
import math

import pytest
import torch
from lgn_training.experiments.known_matrices import KNOWN, NOISE, D, N, cyclic_matrix, draw, noisy

from lgn_hf.actions import MIN_Z, NULL, SCORES, THRESHOLDS, diagnose


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


class TestDiagnose:
    def test_is_ready_for_actions_json(self, records):
        for record in records.values():
            assert set(record["scores"]) == set(SCORES)
            assert record == json.loads(json.dumps(record, allow_nan=False))
            assert len(record["eigenvalues"]) == len(record["singular_values"]) == D
        json.dumps(NULL)

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
