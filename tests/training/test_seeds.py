"""`--seeds`: one run for each seed, one after the other or all at once."""

import json
import statistics
from pathlib import Path

import pytest
import torch
from lgn_training.engine import loop

from tests.training.test_run import TINY, run, weights

pytestmark = pytest.mark.slow  # whole trainings


def test_several_seeds_train_one_after_the_other(tmp_path):
    """Each as a run of its own would; a second call with --resume finds them complete, and trains one that was added."""
    arguments = [*TINY, "--max_steps", "3", "--output_dir"]
    done = run(*arguments, str(tmp_path / "runs"), "--seeds", "0", "2")
    run(*arguments, str(tmp_path / "alone"), "--seed", "2")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["seed-0", "seed-2"]
    alone = weights(tmp_path / "alone")
    assert all(torch.equal(tensor, weights(tmp_path / "runs" / "seed-2")[name]) for name, tensor in alone.items())
    results = [json.loads((tmp_path / "runs" / f"seed-{n}" / "all_results.json").read_text()) for n in (0, 2)]
    assert [(found["seed"], "seeds" in found["recipe"]) for found in results] == [(0, False), (2, False)]
    accuracies = [found["test_accuracy"] for found in results]
    assert "seeds 0, 2" in done.stdout
    spread = f"{statistics.mean(accuracies):.4f} │ {statistics.stdev(accuracies):.4f} "
    assert spread in " ".join(done.stdout.split())
    again = run(*arguments, str(tmp_path / "runs"), "--seeds", "0", "1", "2", "--resume")
    assert again.stderr.count("this run is complete") == 2
    assert "seeds 0, 1, 2" in again.stdout


@pytest.fixture(scope="module")
def at_once(tmp_path_factory) -> tuple[list[str], Path]:
    """Arguments of a run of two seeds, and the folder in which they trained at once."""
    folder = tmp_path_factory.mktemp("runs") / "at-once"
    arguments = [
        *TINY,
        "--max_train_samples",
        "200",
        "--num_train_epochs",
        "2",
        "--seeds",
        "0",
        "2",
        "--random_crop",
        "1",
    ]
    arguments += ["--whitening", "patch", "--gradient_accumulation_steps", "2", "--class_weight", "balanced"]
    run(*arguments, "--seeds_at_once", "--output_dir", str(folder))
    return arguments, folder


def check_same_runs(found: Path, expected: Path) -> None:
    """To rounding, which grows from step to step."""
    for seed in ("seed-0", "seed-2"):
        results, others = (
            json.loads((folder / seed / "all_results.json").read_text()) for folder in (found, expected)
        )
        for record, other in zip(results["history"], others["history"], strict=True):
            assert record == pytest.approx(other, rel=1e-3)
        assert results["recipe"] == others["recipe"]
        assert {path.name for path in (found / seed).iterdir()} == {path.name for path in (expected / seed).iterdir()}
        for name, tensor in weights(expected / seed).items():
            torch.testing.assert_close(weights(found / seed)[name], tensor, rtol=0, atol=1e-3)


def test_several_seeds_train_at_once(at_once, tmp_path):
    """Each as a run of its own would, with its own validation images, batches, whitening, results and folder."""
    arguments, folder = at_once
    run(*arguments, "--output_dir", str(tmp_path / "apart"))
    check_same_runs(folder, tmp_path / "apart")


def test_seeds_that_train_at_once_resume_from_different_steps(at_once, tmp_path, monkeypatch):
    arguments, folder = at_once
    arguments = [*arguments, "--seeds_at_once", "--save_steps", "1", "--output_dir", str(tmp_path / "runs")]
    save = loop.save_checkpoint

    def failing(place, model, optimizer, progress):
        if progress.step == 3 and place.name == "seed-2":
            raise OSError("the disk is full")
        return save(place, model, optimizer, progress)

    monkeypatch.setattr(loop, "save_checkpoint", failing)
    assert run(*arguments, check=False).stderr.splitlines()[-1] == "run.py: the disk is full"
    monkeypatch.undo()
    again = run(*arguments, "--save_steps", "0", "--resume")
    newest = [
        f"continuing from {tmp_path}/runs/seed-{seed}/checkpoint-0000000{step}" for seed, step in ((0, 3), (2, 2))
    ]
    assert [line for line in again.stderr.splitlines() if line.startswith("continuing")] == newest
    check_same_runs(tmp_path / "runs", folder)
    assert run(*arguments, "--resume").stderr.count("this run is complete") == 2
