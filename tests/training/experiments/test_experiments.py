"""The program: its names, its help, and mistakes in one line."""

import pytest
from lgn_training.experiments.__main__ import main, output_of
from lgn_training.experiments.registry import EXPERIMENTS

from tests.conftest import ROOT

MEASURED = ROOT / "training" / "lgn_training" / "experiments" / "measured"


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


def test_an_experiment_writes_into_no_folder_that_holds_something_else(tmp_path, capsys):
    (tmp_path / "result.json").write_text('{"experiment": "planted"}')
    assert main(["structures", "--output_dir", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("(result.json): choose a folder that is new or empty")
    (tmp_path / "result.json").unlink()
    (tmp_path / "runs.jsonl").touch()  # an experiment that was interrupted goes on
    assert main(["structures", "--output_dir", str(tmp_path)]) == 1
    assert "name their folders with --source" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_knows_its_own_output(name):
    output_of(name).check(MEASURED / name)


def test_every_experiment_has_a_committed_result_and_the_help_lists_it(capsys):
    assert {path.parent.name for path in MEASURED.glob("*/result.json")} == EXPERIMENTS.keys()
    with pytest.raises(SystemExit):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # argparse breaks lines at hyphens
    for experiment in EXPERIMENTS.values():
        assert f"{experiment.name}: " in words
