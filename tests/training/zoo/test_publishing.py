"""The longest complete run of a model becomes its folder, which is built anew only if something in it changes."""

import dataclasses

import torch
from lgn_training.zoo import publishing, records
from lgn_training.zoo.publishing import finish, is_baseline, is_published
from lgn_training.zoo.queue import Run

from lgn_hf import LGNImageProcessor
from lgn_hf.hub.examples import save_examples
from tests.training.zoo.complete_runs import save_run


def test_of_a_model_s_runs_the_longest_that_is_done_is_published(tmp_path):
    short = Run("lgn-mnist", "lgn-mnist", 1, 0, tmp_path / "short", publish=True)
    long = Run("lgn-mnist", "lgn-mnist", 2, 0, tmp_path / "long", publish=True)
    other_seed = Run("lgn-mnist", "lgn-mnist", 3, 1, tmp_path / "other")
    queue = [short, long, other_seed]
    assert [is_published(run, queue) for run in queue] == [False, False, False]
    for folder in ("short", "other"):
        save_run(tmp_path / folder, "lgn-mnist")
    assert [is_published(run, queue) for run in queue] == [True, False, False]
    save_run(tmp_path / "long", "lgn-mnist")
    assert [is_published(run, queue) for run in queue] == [False, True, False]


def test_a_folder_is_built_for_a_new_run_and_for_a_new_baseline(tmp_path, monkeypatch):
    built = []

    def build(run, card, *, baseline, examples, **_):
        built.append(baseline)
        save_run(card, run.name, **records.read_results(run))
        save_examples(examples, LGNImageProcessor(), card)
        if baseline:
            (card / publishing.BASELINE_NAME).touch()

    monkeypatch.setattr(publishing, "build", build)
    monkeypatch.setattr(publishing, "is_built", lambda card: (card / "all_results.json").is_file())
    monkeypatch.setattr(Run, "examples", lambda run, data: [torch.zeros(1, 28, 28, dtype=torch.uint8)])
    run = Run("lgn-mnist", "lgn-mnist", 1, 0, tmp_path / "lgn-mnist-0", baseline="free-mnist", publish=True)
    free = Run("free-mnist", "free-mnist", 1, 0, tmp_path / "free-mnist-0")
    save_run(run.folder, "lgn-mnist", steps=2, train_seconds=1.0)
    for _ in range(2):
        finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None]
    save_run(run.folder, "lgn-mnist", steps=4, train_seconds=2.0)
    finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None, None]
    save_run(free.folder, "free-mnist")
    longer = dataclasses.replace(free, epochs=2)
    finish(longer, [longer, run], tmp_path / "cards", None)
    assert built == [None, None]
    for _ in range(2):
        finish(free, [free, run], tmp_path / "cards", None)
    assert built == [None, None, free.folder]
    (tmp_path / "cards" / "lgn-mnist" / "examples" / "1.png").unlink()
    finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None, None, free.folder, free.folder]


def test_a_baseline_is_trained_alike(tmp_path):
    run = Run("lgn-mnist", "lgn-mnist", 30, 0, tmp_path, {"whitening": "patch"}, baseline="free-mnist")
    free = Run("free-mnist", "free-mnist", 30, 0, tmp_path, {"whitening": "patch"})
    assert is_baseline(free, run)
    for fields in ({"seed": 1}, {"epochs": 100}, {"options": {"whitening": "zca"}}, {"name": "free-mnist-plus"}):
        assert not is_baseline(dataclasses.replace(free, **fields), run)
