"""The program: its names, its help, and mistakes in one line."""

import pytest
from lgn_training.experiments.__main__ import main
from lgn_training.experiments.registry import EXPERIMENTS

from tests.conftest import ROOT


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
    assert main([*argv, "--quick", "--output_dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert message in error[0]


def test_every_experiment_has_a_committed_result_and_the_help_lists_it(capsys):
    measured = ROOT / "training" / "lgn_training" / "experiments" / "measured"
    assert {path.parent.name for path in measured.glob("*/result.json")} == EXPERIMENTS.keys()
    with pytest.raises(SystemExit):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # argparse breaks lines at hyphens
    for experiment in EXPERIMENTS.values():
        assert f"{experiment.name}: " in words
