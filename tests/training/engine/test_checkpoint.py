"""Checkpoints: whole or absent, exact, the newest and the best kept, and nothing pickled."""

import errno
import json

import pytest
import torch
from lgn_training.arguments import RunArguments
from lgn_training.engine.checkpoint import (
    Progress,
    atomic_folder,
    list_checkpoints,
    load_model,
    load_optimizer,
    load_progress,
    newest_whole,
    save_checkpoint,
)
from lgn_training.engine.optimization import make_optimizer

from lgn_hf import LGNConfig, LGNForImageClassification


def trained(steps: int, seed: int = 0):
    """A tiny network after some steps, with its optimiser."""
    torch.manual_seed(seed)
    model = LGNForImageClassification(LGNConfig(num_groups=2, num_layers=2, image_size=10, pool_size=1)).train()
    optimizer = make_optimizer(model, RunArguments(weight_decay=0.01))
    advance(model, optimizer, steps)
    return model, optimizer


def advance(model, optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        images = torch.randn(4, 1, 10, 10, generator=generator)
        model(images, labels=torch.tensor([0, 1, 0, 1])).loss.backward()
        optimizer.step()
        model.project_()


def test_training_goes_on_from_a_checkpoint_to_the_bit(tmp_path):
    model, optimizer = trained(3)
    save_checkpoint(tmp_path, model, optimizer, Progress(step=3))
    advance(model, optimizer, 3)

    other, other_optimizer = trained(0, seed=9)
    load_model(tmp_path / "checkpoint-00000003", other)
    load_optimizer(tmp_path / "checkpoint-00000003", other, other_optimizer)
    advance(other, other_optimizer, 3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_progress_survives(tmp_path):
    model, optimizer = trained(1)
    progress = Progress(step=7, epoch=2, batch=3, best_metric=0.5, history=[{"epoch": 1, "train_loss": 0.25}])
    assert load_progress(save_checkpoint(tmp_path, model, optimizer, progress)) == progress


def test_the_newest_and_the_best_are_kept(tmp_path):
    model, optimizer = trained(1)
    for step in range(1, 6):
        save_checkpoint(tmp_path, model, optimizer, Progress(step=step, best_step=min(step, 2)))
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-00000002", "checkpoint-00000005"]


def test_a_checkpoint_is_safetensors_and_json_only(tmp_path):
    folder = save_checkpoint(tmp_path, *trained(1), Progress(step=1))
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
    }
    json.loads((folder / "trainer_state.json").read_text())


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    model, optimizer = trained(1)
    save_checkpoint(tmp_path, model, optimizer, Progress(step=1))

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, model, optimizer, Progress(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001"]


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    def fill(folder):
        (folder / "a").write_text("1")
        assert list_checkpoints(tmp_path) == []  # what a reader sees meanwhile

    atomic_folder(tmp_path / "checkpoint-1", fill)
    assert list_checkpoints(tmp_path) == [tmp_path / "checkpoint-1"]


DAMAGES = {
    "state missing": ("trainer_state.json", None, "trainer_state.json is missing"),
    "state empty": ("trainer_state.json", 0, "trainer_state.json is damaged"),
    "state cut": ("trainer_state.json", 30, "trainer_state.json is damaged"),
    "weights missing": ("model.safetensors", None, "model.safetensors is missing"),
    "weights cut": ("model.safetensors", 1000, "model.safetensors is damaged"),
    "optimiser empty": ("optimizer.safetensors", 0, "optimizer.safetensors is damaged"),
    "optimiser cut": ("optimizer.safetensors", 1000, "optimizer.safetensors is damaged"),
}


def harm(path, length: int | None) -> None:
    """Remove a file, or cut it to some bytes."""
    if length is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_run_continues_from_the_newest_whole_checkpoint(tmp_path, kind):
    name, length, reason = DAMAGES[kind]
    model, optimizer = trained(1)
    older = save_checkpoint(tmp_path, model, optimizer, Progress(step=1, best_step=1))
    newer = save_checkpoint(tmp_path, model, optimizer, Progress(step=2, best_step=1))
    assert newest_whole(tmp_path, needs_best=True) == (newer, {})
    harm(newer / name, length)
    found, skipped = newest_whole(tmp_path, needs_best=True)
    assert found == older
    assert list(skipped) == [newer.name]
    assert reason in skipped[newer.name]
    save_checkpoint(tmp_path, model, optimizer, Progress(step=2, best_step=1))
    assert newest_whole(tmp_path, needs_best=True) == (newer, {})  # a damaged one is replaced


def test_a_checkpoint_whose_best_epoch_is_damaged_is_not_continued(tmp_path):
    """Its weights could not be exported at the end."""
    model, optimizer = trained(1)
    best = save_checkpoint(tmp_path, model, optimizer, Progress(step=1, best_step=1))
    newer = save_checkpoint(tmp_path, model, optimizer, Progress(step=2, best_step=1))
    harm(best / "model.safetensors", 1000)
    found, skipped = newest_whole(tmp_path, needs_best=True)
    assert found is None
    assert "its best epoch is in checkpoint-00000001, where model.safetensors is damaged" in skipped[newer.name]
    assert newest_whole(tmp_path, needs_best=False) == (newer, {})


def test_a_damaged_checkpoint_is_named(tmp_path):
    model, optimizer = trained(1)
    folder = save_checkpoint(tmp_path, model, optimizer, Progress(step=1))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(OSError, match=r"checkpoint-00000001/model.safetensors is damaged"):
        load_model(folder, model)
