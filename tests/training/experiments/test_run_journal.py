"""A run that is in the journal is not repeated."""

from argparse import Namespace

from lgn_training.experiments.run_journal import RunJournal


def test_a_run_is_done_once(tmp_path):
    args = Namespace(output_dir=tmp_path, quick=False)
    assert RunJournal(args).once({"d": 9}, lambda: {"p": 0.5}) == {"d": 9, "p": 0.5}
    assert RunJournal(args).once({"d": 9}, lambda: {"p": 0.7}) == {"d": 9, "p": 0.5}
    assert RunJournal(args).once({"d": 16}, lambda: {"p": 0.7}) == {"d": 16, "p": 0.7}
    quick = RunJournal(Namespace(output_dir=tmp_path, quick=True))
    assert quick.once({"d": 9}, lambda: {"p": 0.1})["p"] == 0.1
