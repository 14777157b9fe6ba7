"""The experiments find what is known beforehand, and each leaves its figures and its result."""

import json
import sys

import pytest
import torch
from lgn_training import experiments, planted, trained
from lgn_training.fitting import fit
from torch import Tensor

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.actions import average_pooling
from lgn_hf.model.filters import rotation_matrix, unvec

SMALL = {"image_size": 8, "num_labels": 10, "num_groups": 2, "num_layers": 2, "filter_size": 4}


def run(tmp_path, monkeypatch, *argv: str) -> dict:
    """The result of a quick run of the program."""
    monkeypatch.setattr(sys, "argv", ["experiments.py"])
    assert experiments.main([*argv, "--quick", "--output_dir", str(tmp_path / "out")]) == 0
    return json.loads((tmp_path / "out" / "result.json").read_text())


def folder_of_model(path, **fields) -> str:
    LGNForImageClassification(LGNConfig(**{**SMALL, **fields})).save_pretrained(path)
    return str(path)


# known


def test_known_matrices_are_named_and_random_ones_are_not(tmp_path, monkeypatch):
    rows = run(tmp_path, monkeypatch, "known")["rows"]
    assert all(row["as known"] for row in rows if not row["noise"])
    assert [row["matrix"] for row in rows if not row["as known"]] == ["cyclic"]  # noise grows with every power
    assert all(row["label"] is None for row in rows if row["matrix"].startswith("random"))


# patches


def test_patches_lie_inside_their_images_and_are_column_major():
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
    images = (16 * rows + columns).to(torch.uint8).expand(50, 1, 9, 9)
    found = unvec(experiments.random_patches(images, 6, seed=0) * 255, 6).round()
    assert torch.equal(found[:, 1:] - found[:, :-1], torch.full((50, 5, 6), 16.0).double())
    assert torch.equal(found[:, :, 1:] - found[:, :, :-1], torch.ones(50, 6, 5).double())
    assert set((found[:, 0, 0] // 16).tolist()) == set((found[:, 0, 0] % 16).tolist()) == {0.0, 1.0, 2.0, 3.0}


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="5 x 5: too small for patches of 6 x 6"):
        experiments.random_patches(torch.zeros(1, 1, 5, 5, dtype=torch.uint8), 6, seed=0)


def test_least_squares_is_exact_where_the_patches_span_everything():
    true = torch.stack([average_pooling(4, 3), rotation_matrix(4, 30)])
    inputs = torch.randn(40, 16, dtype=torch.float64)
    found, rank = experiments.least_squares(inputs, inputs @ true.mT)
    assert rank == 16
    assert experiments.relative_error(found, true).max() < 1e-12


def test_least_squares_has_the_least_norm_where_they_do_not():
    true = rotation_matrix(4, 30)
    inputs = torch.randn(10, 16, dtype=torch.float64)
    found, rank = experiments.least_squares(inputs, inputs @ true.mT[None])
    seen = torch.linalg.pinv(inputs) @ inputs
    assert rank == 10
    torch.testing.assert_close(found[0], true @ seen)


def test_gradient_descent_learns_each_operator_from_white_patches():
    true = torch.stack([average_pooling(3, 2), rotation_matrix(3, 90)])
    found, losses = experiments.descend(torch.randn(1280, 9), true, epochs=100, seed=0)
    assert len(losses) == 100
    assert losses[-1] < 1e-4 * losses[0]
    assert experiments.relative_error(found, true).max() < 1e-2


def test_patches_of_real_images(tmp_path, monkeypatch, capsys):
    result = run(tmp_path, monkeypatch, "patches")
    operators = [row["operator"] for row in result["rows"]]
    assert len(operators) == 11
    assert "pooling r=5, then rotation by 60" in operators
    assert result["rank"] == 36
    assert max(row["least squares"] for row in result["rows"]) < 1e-3
    assert all(row["least squares"] < row["gradient descent"] < 2 for row in result["rows"])
    assert result["loss"] == sorted(result["loss"], reverse=True)
    assert result["data"]["source"] == "digits"
    assert len(result["data"]["fingerprint"]) == 64
    assert {"command", "seed", "machine", "versions", "commit", "date"} <= result.keys()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"result.json", "figure-3.png", "figure-4.png", "figure-5.png"}
    assert "average pooling r=3" in capsys.readouterr().out


# limits


def test_the_best_left_action_is_the_nearest_one():
    matrix = torch.randn(16, 16, dtype=torch.float64)
    basis = torch.eye(16, dtype=torch.float64).view(16, 4, 4)
    spanning = torch.stack([torch.kron(torch.eye(4, dtype=torch.float64), b).flatten() for b in basis], dim=1)
    nearest = spanning @ torch.linalg.lstsq(spanning, matrix.flatten()[:, None]).solution
    torch.testing.assert_close(experiments.best_left(matrix, 4), nearest.view(16, 16))


def test_a_left_action_is_its_own_best():
    left = LGNForImageClassification(LGNConfig(action="left")).group_actions()[0, 0, 0].detach()
    torch.testing.assert_close(experiments.best_left(left, 6), left)


def test_proposition_1_in_numbers(tmp_path, monkeypatch):
    rows = {row["operator"]: row for row in run(tmp_path, monkeypatch, "limits")["rows"]}
    n = 6
    # The mean of the diagonal blocks of the swap is I but for 1 - 1/n at two corners; of transposition, I / n.
    kept = n * (n - 2 + 2 * (1 - 1 / n) ** 2)
    assert rows["corner swap"]["left"] == pytest.approx((1 - kept / n**2) ** 0.5)
    assert rows["transposition"]["left"] == pytest.approx((1 - 1 / n**2) ** 0.5)
    assert rows["up-down flip"]["left"] == 0  # it treats all columns alike
    assert max(row["vectorised"] for row in rows.values()) < 1e-12
    assert (tmp_path / "out" / "limits.png").stat().st_size > 0


# dft and structures


def test_the_fourier_basis_makes_circulants_diagonal():
    first = torch.randn(9, dtype=torch.float64)
    circulant = torch.stack([first.roll(i) for i in range(9)], dim=1)
    assert trained.dft_shares(circulant)["on the diagonal"] == pytest.approx(1)
    anti = circulant.flip(0)
    assert trained.dft_shares(anti)["on the diagonal"] < 0.5
    assert trained.dft_shares(anti)["in the d largest"] == pytest.approx(1)


def test_dft_of_references_and_learned_actions(tmp_path, monkeypatch):
    source = folder_of_model(tmp_path / "mine")
    result = run(tmp_path, monkeypatch, "dft", "--source", source)
    shares = {row["matrix"]: row["on the diagonal"] for row in result["rows"]}
    assert shares["circulant"] == pytest.approx(1)
    assert shares["random"] < 0.15  # 1/d on average
    assert shares["random"] < shares["Toeplitz"] < 1
    assert 0 < shares["mine, mean of 4"] < 1
    assert sorted(result["figures"]) == ["dft-learned.png", "dft.png"]


def test_structures_of_several_models(tmp_path, monkeypatch):
    folders = [
        folder_of_model(tmp_path / name, num_layers=1, group_order=2, filter_size=3) for name in ("a", "b", "c")
    ]
    for folder, dataset in zip(folders, ("mnist", "mnist", "digits"), strict=True):
        (tmp_path / folder / "all_results.json").write_text(
            json.dumps({"recipe": {"dataset": dataset, "task": "classification"}})
        )
    result = run(tmp_path, monkeypatch, "structures", "--source", *folders)
    assert [row["model"] for row in result["rows"]] == ["a", "b", "c"]
    assert [len(records) for records in result["actions"].values()] == [2, 2, 2]
    rows = [row for rows in result["actions"].values() for row in rows]
    assert result["by task"]["classification"]["actions"] == 6
    assert result["by task"]["classification"]["beyond chance"]["toeplitz"] == sum(
        r["z"]["toeplitz"] > 5 for r in rows
    )
    assert result["by task"].keys() == {"classification"}
    assert all(0.5 < pair["distance"] < 0.8 for pair in result["distances"])  # unrelated: 0.71
    assert len(result["distances"]) == 3
    assert 0 < result["permutation test"]["p_value"] <= 1
    assert set(result["data"]["fingerprint"]) == {"a", "b", "c"}
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in result["figures"])
    assert {"structures.png", "a-gallery.png", "a-spectra.png", "a-effects.png", "a-orbits.png"} <= set(
        result["figures"]
    )


def test_filters_whose_threshold_is_out_of_reach_are_never_on(tmp_path, monkeypatch):
    """And those with a very low one always; the others are on where their code is not zero, whatever its size."""
    folder = tmp_path / "model"
    model = LGNForImageClassification(LGNConfig(**SMALL, group_order=3))
    thresholds = torch.tensor([[1e6, 0.0, -1e6], [1e6, -1e6, -1e6]]).repeat(1, 2)  # layers by groups of three
    model.base_model.threshold.data.copy_(thresholds)
    model.save_pretrained(folder)
    LGNImageProcessor(8).save_pretrained(folder)
    recipe = {"recipe": {"dataset": "digits", "task": "classification"}}
    (folder / "all_results.json").write_text(json.dumps(recipe))

    rows = run(tmp_path, monkeypatch, "codes", "--source", str(folder))["rows"]
    assert [(row["layer"], row["filters"]) for row in rows] == [(0, 6), (1, 6), ("all", 12)]
    assert rows[2]["never on"] == rows[0]["never on"] + rows[1]["never on"]
    assert rows[0]["never on, by power"][0] == rows[1]["never on, by power"][0] == 2
    assert rows[1]["never on, by power"] == [2, 0, 0]
    assert (rows[1]["never on"], rows[1]["always on"], rows[1]["non-zero"]) == (2, 4, pytest.approx(4 / 6))
    assert rows[0]["non-zero"] == pytest.approx(1 / 2, abs=0.17)
    assert [row["median threshold"] for row in rows[:2]] == [0.0, -1e6]

    images = torch.randn(3, 1, 8, 8)
    shares = trained.active_shares(model, images)
    with torch.no_grad():
        hidden = model(images, output_hidden_states=True).hidden_states
    assert torch.equal(shares[0].flatten(), (hidden[0] > 0).double().mean((0, 2, 3)))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["structures"], "name their folders with --source"),
        (["codes"], "name their folders with --source"),
        (["dft", "--source", "nowhere/at/all/here"], "nowhere"),
        (["patches", "--dataset", "nowhere/at/all/here"], "nowhere"),
    ],
)
def test_what_a_user_can_get_wrong_ends_in_one_line(argv, message, tmp_path, capsys):
    assert experiments.main([*argv, "--quick", "--output_dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert message in error[0]


# regularizers


def test_regularizers_quickly(tmp_path, monkeypatch):
    rows = run(tmp_path, monkeypatch, "regularizers")["rows"]
    assert [row["regularizer"] for row in rows] == ["untrained", "none", "inverse", "nuclear", "logdet"]
    for row in rows[1:]:
        assert row["step ms"] > 0
        assert 0 <= row["accuracy"]["median"] <= 1
    assert all(1 <= row["condition number"]["min"] <= row["condition number"]["max"] for row in rows)
    assert rows[1]["step / none"] == {"median": 1, "min": 1, "max": 1}


def test_fit_lowers_the_loss_and_keeps_the_projection():
    network = LGNForImageClassification(LGNConfig(**SMALL, projection="rms"))
    images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 10

    def loss(batch: Tensor) -> Tensor:
        return network(images[batch], labels=labels[batch]).loss

    before = float(loss(torch.arange(40)).detach())
    fit(network, loss, 40, steps=30)
    assert float(loss(torch.arange(40)).detach()) < before - 0.1  # it began at log 10
    assert not network.training
    torch.testing.assert_close(network.group_actions().norm(dim=(-2, -1)), torch.full((2, 2, 1), 4.0))


def test_fit_refuses_a_loss_that_is_no_number():
    network = LGNForImageClassification(LGNConfig(**SMALL))
    with pytest.raises(ValueError, match="the loss is nan after 2 steps"):
        fit(network, lambda batch: torch.nan * network.base_filters().sum(), 4, steps=2)


# planted

SYMMETRIES = [("rotation", 2), ("rotation", 4), ("shift", 4), ("corner_swap", 2), ("random", 3), ("random", 8)]


@pytest.mark.parametrize(("symmetry", "order"), SYMMETRIES)
def test_planted_actions_are_orthogonal_and_of_their_order(symmetry, order):
    action = planted.planted_action(symmetry, order, torch.Generator().manual_seed(0))
    eye = torch.eye(16, dtype=torch.float64)
    torch.testing.assert_close(action @ action.T, eye)
    for power in range(1, order + 1):
        distance = (torch.linalg.matrix_power(action, power) - eye).norm()
        assert (distance < 1e-9) == (power == order)


def test_an_order_that_a_symmetry_lacks_is_refused():
    with pytest.raises(ValueError, match="group_order=3: rotation has order 2 or 4"):
        planted.planted_action("rotation", 3, torch.Generator())
    with pytest.raises(ValueError, match="must be one of rotation, shift, corner_swap, random"):
        planted.planted_action("mirror", 2, torch.Generator())


def test_planted_images_are_nonnegative_sums_of_orbits():
    setting = planted.Setting(symmetry="rotation", num_groups=2, images=200)
    found = planted.plant(setting, seed=0)
    torch.testing.assert_close(found.filters[:, 1], torch.rot90(found.filters[:, 0], dims=(-2, -1)))
    dictionary = found.filters.flatten(2).flatten(0, 1).T.double()  # (16, 8)
    codes = torch.linalg.lstsq(dictionary, found.images.flatten(1).T.double()).solution
    torch.testing.assert_close(dictionary @ codes, found.images.flatten(1).T.double(), atol=1e-5, rtol=0)
    active = codes > 1e-4
    assert codes.min() > -1e-4
    assert codes[active].min() > planted.LEAST - 1e-3
    assert float(active.double().mean()) == pytest.approx(planted.RATE, abs=0.03)


def test_noise_is_relative_to_the_clean_images():
    clean, noisy = (planted.plant(planted.Setting(noise=noise), seed=0).images for noise in (0.0, 0.5))
    assert float((noisy - clean).std() / clean.std()) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("setting", [planted.Setting(), planted.Setting("shift", 2, 4, 3)])
def test_the_truth_is_recovered_whole(setting):
    truth = planted.plant(setting, seed=0)
    network = planted.make_network(setting, "learned", "inverse")
    planted.start_at(network, truth)
    assert planted.recovery(network, truth) == pytest.approx(dict.fromkeys(planted.recovery(network, truth), 1.0))
    assert planted.unexplained(network, truth.images) < 0.2  # held thresholds shorten the codes


def test_scale_another_generator_and_another_first_filter_do_not_count():
    setting = planted.Setting(group_order=8, num_groups=2)
    truth = planted.plant(setting, seed=0)
    network = planted.make_network(setting, "learned", "none")
    cubed = torch.linalg.matrix_power(truth.generator, 3)  # generates the same group of order 8
    planted.start_at(network, planted.Planted(0.7 * cubed, truth.filters.roll(1, dims=1), truth.images))
    assert planted.recovery(network, truth) == pytest.approx(dict.fromkeys(planted.recovery(network, truth), 1.0))


def test_orbits_in_another_order_are_no_orbits():
    assert planted.orbit_agreement(torch.tensor([[0, 1, 2, 3], [7, 6, 5, 4]]), 4) == 1
    assert planted.orbit_agreement(torch.tensor([[2, 3, 0, 1], [4, 6, 5, 7]]), 4) == pytest.approx((1 + 1 / 3) / 2)
    assert planted.orbit_agreement(torch.tensor([[0, 4, 1, 5]]), 4) == 0


def test_untrained_networks_recover_next_to_nothing():
    setting = planted.Setting()
    truth = planted.plant(setting, seed=0)
    found = planted.recovery(planted.make_network(setting, "learned", "none"), truth)
    assert abs(found["generator"]) < 0.3
    assert found["filters"] < 0.8


def test_cyclic_orbits_close_whatever_they_are():
    setting = planted.Setting()
    truth = planted.plant(setting, seed=0)
    found = planted.recovery(planted.make_network(setting, "cyclic", "none"), truth)
    assert found["closing"] == pytest.approx(1, abs=1e-3)
    assert found["generator"] < 0.5


def test_planted_quickly(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "planted")
    assert [row["action"] for row in result["rows"]] == ["free", "learned", "cyclic"]
    for row in result["rows"]:
        assert 0 < row["unexplained"] < 1.5
        assert 0 < row["filters"]["found"] <= 1
    assert result["rows"][0]["generator"] is None  # free filters have no generator
    assert result["rows"][1]["generator"].keys() == {"found", "chance"}
    assert len(result["data"]["fingerprint"]) == 1
    assert result["figures"] == ["planted.png"]


def test_every_full_setting_can_be_planted():
    settings = experiments.planted_settings(quick=False)
    for setting in {setting for setting, *_ in settings}:
        assert planted.plant(setting, seed=0).images.isfinite().all()
    assert {(action, regularizer) for _, action, regularizer, _ in settings} == set(planted.NETWORKS)
    assert {setting.symmetry for setting, *_ in settings} == set(planted.ORDERS)
