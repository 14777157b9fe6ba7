"""`lgn-hf discover`: a table, and a folder of files that the rest of the package reads."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lgn_hf import load_actions
from lgn_hf.discovery import discover, load_dictionary
from lgn_hf.discovery.report import write_report

FIGURES = {"actions.png", "dictionary.png", "matched_atoms.png", "null.png"}


def mirrored(count=18, dim=9):
    """Points that a reversal of the pixels, a rotation by 180 degrees, maps onto each other."""
    half = torch.randn(count, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.cat([half, half.flip(1)])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "points.npy"
    np.save(path, mirrored().numpy())
    return path


@pytest.fixture(scope="module")
def found():
    """What `discover` says of those points."""
    return discover(mirrored(), orders=[2], null_draws=5, power_trials=0)


class TestCommand:
    @pytest.mark.slow
    def test_finds_a_mirror_and_writes_it(self, lgn, source, tmp_path):
        folder = tmp_path / "out"
        code, out, error = lgn("discover", source, "--orders", 2, "--output_dir", folder)
        assert (code, error) == (0, "")
        assert "rotation by 180 degrees" in out
        assert "C_2" in out
        assert f"written to {folder}" in out
        assert {path.name for path in (folder / "figures").iterdir()} == FIGURES

        actions = load_actions(folder)
        expected = torch.eye(9).flip(0)
        torch.testing.assert_close(actions[0, 0, 0].matrix, expected, rtol=0, atol=1e-4)
        (record,) = actions.diagnose()
        assert record["label"] == "rotation by 180 degrees"
        assert record["residual"] < 1e-6
        assert record["p_value"] < 0.001
        assert record["permutation"] == [*range(18, 36), *range(18)]

        summary = json.loads((folder / "discovery.json").read_text())
        assert summary["group"] == {"name": "C_2", "order": 2, "table": [[0, 1], [1, 0]]}
        assert summary["determined"] is True
        assert len(summary["null"]["2"]) >= 5
        torch.testing.assert_close(load_file(folder / "dictionary.safetensors")["atoms"], mirrored())

    def test_says_that_few_points_determine_nothing(self, lgn, tmp_path):
        np.save(tmp_path / "few.npy", mirrored()[:8].numpy())
        code, out, _ = lgn("discover", tmp_path / "few.npy", "--output_dir", tmp_path / "out")
        assert code == 0
        assert "Cannot be determined" in out
        assert json.loads((tmp_path / "out" / "discovery.json").read_text())["determined"] is False
        assert not (tmp_path / "out" / "actions.safetensors").exists()

    def test_writes_into_no_folder_that_holds_something_else(self, lgn, source, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        code, _, error = lgn("discover", source, "--output_dir", tmp_path)
        assert code == 1
        assert "holds something else than earlier output of this command (mine.txt)" in error
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    @pytest.mark.parametrize("orders", ["1", "x", "", "2,0"])
    def test_refuses_other_orders(self, lgn, source, orders):
        code, _, error = lgn("discover", source, "--orders", orders)
        assert code == 2
        assert "must be whole numbers from 2 on, such as 2,3,4" in error

    def test_has_one_line_for_a_source_that_is_nowhere(self, lgn):
        code, _, error = lgn("discover", "./nowhere.npy")
        assert (code, error) == (1, "lgn-hf: there is no file nowhere.npy\n")


@pytest.mark.parametrize("words", [["2", "3", "4"], ["2,3,4"], ["2 3 4"]])
def test_orders_may_be_written_in_several_ways(words):
    from lgn_hf.commands.discover import discover as command

    context = command.make_context("discover", ["points.npy", "--orders", *words, "--seed", "1"])
    assert context.params["orders"] == (2, 3, 4)
    assert (context.params["source"], context.params["seed"]) == ("points.npy", 1)


class TestReport:
    @pytest.mark.slow
    def test_without_actions_has_no_file_of_actions(self, found, tmp_path):
        import dataclasses

        write_report(tmp_path, found, mirrored(), "points")
        assert (tmp_path / "actions.safetensors").exists()
        nothing = dataclasses.replace(found, actions=[], group=None)
        write_report(tmp_path, nothing, mirrored(), "points")
        assert {path.name for path in tmp_path.iterdir()} == {"discovery.json", "dictionary.safetensors", "figures"}
        assert {path.name for path in (tmp_path / "figures").iterdir()} == {"dictionary.png", "null.png"}

    @pytest.mark.slow
    def test_of_points_that_are_not_square_filters(self, tmp_path):
        """Their actions have no diagnostics, and their atoms cannot be drawn."""
        points = mirrored(dim=7)
        write_report(tmp_path, discover(points, orders=[2], null_draws=5, power_trials=0), points, "points")
        matrix = load_file(tmp_path / "actions.safetensors")["layers.0.groups.0.channels.0"]
        torch.testing.assert_close(matrix, torch.eye(7).flip(0), rtol=0, atol=1e-4)
        assert not (tmp_path / "actions.json").exists()
        assert {path.name for path in (tmp_path / "figures").iterdir()} == {"null.png"}

    @pytest.mark.slow
    def test_of_a_dictionary_keeps_its_statistics(self, tmp_path):
        from lgn_hf import learn_dictionary

        learned = learn_dictionary(mirrored(200), 20, steps=20)
        write_report(tmp_path, discover(learned, orders=[2], null_draws=5, power_trials=0), learned, "data")
        assert torch.equal(load_dictionary(tmp_path / "dictionary.safetensors").coactivation, learned.coactivation)
