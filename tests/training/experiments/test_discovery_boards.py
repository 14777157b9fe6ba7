"""Tic-tac-toe: its end positions, and how a result is counted."""

import pytest
import torch
from lgn_training.experiments.discovery_boards import score
from lgn_training.experiments.tic_tac_toe import end_positions

from lgn_hf.discovery import Discovery, FoundAction
from lgn_hf.nn import LinearGroup
from tests.training.experiments.quick_runs import run


def test_tic_tac_toe_has_958_ends():
    boards, won = end_positions()
    assert boards.shape == (958, 9)
    assert len(boards.unique(dim=0)) == 958
    assert won.sum() == 626


def test_the_square_counts_and_other_permutations_do_not():
    square = LinearGroup.dihedral(3).elements[1:]
    swap = torch.eye(9, dtype=torch.float64)[[1, 0, *range(2, 9)]]
    actions = [FoundAction(m, torch.arange(3), 2, 0.0, 0.0, 0.001) for m in [*square, swap]]
    row = score(Discovery(actions, None, True, "", 958, 9, 0.01, (2, 4)))
    assert (row["found"], row["others"], row["largest p"]) == (7, 1, 0.001)
    assert score(Discovery([], None, True, "", 958, 9, 0.01, (2, 4)))["found"] == 0


@pytest.mark.slow
def test_a_quick_run_searches_one_sample(tmp_path):
    rows = run(tmp_path, "discovery-boards")["rows"]
    assert [row["N"] for row in rows] == [120]
