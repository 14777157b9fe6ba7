"""The queue has runs whose recipes exist, and a command for each."""

from pathlib import Path

from lgn_training.zoo.queue import read_queue

from tests.conftest import ROOT


def test_the_zoo_s_own_queue_has_recipes_that_exist():
    queue = read_queue(ROOT / "training" / "zoo.yaml", Path("runs"))
    assert len({run.folder for run in queue}) == len(queue)
    published = [(run.name, run.epochs) for run in queue if run.publish]
    assert len(set(published)) == len(published)


def test_so_do_the_data_that_a_network_is_tested_on_besides():
    queue = read_queue(ROOT / "training" / "zoo.yaml", Path("runs"))
    dense = next(run for run in queue if run.recipe == "dense-r60-mnist")
    command = dense.command(Path("data"))
    assert command[command.index("--also_test_on") + 1] == "rotated:data/mnist"
    other = next(run for run in queue if run.recipe == "r60-mnist")
    assert "--also_test_on" not in other.command(Path("data"))
