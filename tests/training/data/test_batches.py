"""Batches depend on (seed, epoch, position) alone and cut alike for any number of processes."""

import pytest
import torch
from lgn_training.data import ImageSet
from lgn_training.data.batches import TrainingBatches, total_steps


def make(
    num_images=100, rank=0, world_size=1, batch_size=16, accumulation_steps=1, image_set=None, **options
) -> TrainingBatches:
    """Images whose every pixel is their number, unless others are given."""
    numbers = torch.arange(num_images, dtype=torch.uint8)
    pixels = numbers[:, None, None, None].expand(num_images, 1, 4, 4).contiguous()
    images = image_set or ImageSet(pixels, numbers.long())
    return TrainingBatches(
        images,
        lambda x: x.float(),
        batch_size=batch_size,
        accumulation_steps=accumulation_steps,
        seed=0,
        rank=rank,
        world_size=world_size,
        device=torch.device("cpu"),
        **options,
    )


def numbers(batches: TrainingBatches, epoch=0, first=0) -> list[list[int]]:
    return [[n for m in batch for n in m.labels.tolist()] for batch in batches.epoch(epoch, first)]


def test_an_epoch_visits_every_image_once_with_its_label():
    batches = make()
    seen = numbers(batches)
    assert [len(batch) for batch in seen] == [16] * 6 + [4]
    assert sorted(n for batch in seen for n in batch) == list(range(100))
    for (batch,) in batches.epoch(0):
        assert torch.equal(batch.pixel_values[:, 0, 0, 0].long(), batch.labels)


def test_epochs_differ_and_repeat():
    assert numbers(make(), epoch=0) != numbers(make(), epoch=1)
    assert numbers(make(), epoch=1) == numbers(make(), epoch=1)


def test_an_epoch_can_be_entered_anywhere():
    assert numbers(make(), first=3) == numbers(make())[3:]


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_processes_share_the_batches_of_one(accumulation_steps):
    one = numbers(make(batch_size=16))
    parts = [
        numbers(make(batch_size=8 // accumulation_steps, accumulation_steps=accumulation_steps, rank=r, world_size=2))
        for r in range(2)
    ]
    for whole, first, second in zip(one, *parts, strict=True):
        assert sorted(first + second) == sorted(whole)


def test_weighted_means_over_uneven_parts_are_the_mean_over_the_batch():
    """Seven images left for two processes with two accumulation steps each."""
    parts = [list(make(23, r, 2, 4, 2).epoch(0))[-1] for r in range(2)]
    labels = torch.cat([m.labels for part in parts for m in part]).float()
    assert len(labels) == 7
    mean_over_processes = sum(sum(m.weight * m.labels.float().mean() for m in part) for part in parts) / 2
    assert mean_over_processes == pytest.approx(labels.mean().item())


def test_a_last_batch_too_small_for_all_processes_is_left_out():
    assert make(33, 0, 2, 8).steps_per_epoch == 2
    assert make(34, 0, 2, 8).steps_per_epoch == 3


def test_too_few_images_are_an_error():
    with pytest.raises(ValueError, match="1 training images are too few for 2 processes"):
        make(1, 0, 2)


def test_augmentation_repeats_and_differs_between_epochs():
    batches = make(random_crop=2)
    first, again, other = (next(iter(batches.epoch(e)))[0].pixel_values for e in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_balanced_classes_have_the_same_weight():
    labels = torch.tensor([0] * 50 + [1] * 8 + [3] * 2)
    images = ImageSet(torch.zeros(60, 1, 4, 4, dtype=torch.uint8), labels)
    batches = make(image_set=images, balance_classes=True)
    parts = [part for batch in batches.epoch(0) for part in batch]
    seen, weights = (torch.cat(values) for values in zip(*((p.labels, p.image_weights) for p in parts), strict=True))
    assert [weights[seen == label].sum().item() for label in (0, 1, 3)] == pytest.approx([20, 20, 20])
    assert all(part.image_weights is None for batch in make().epoch(0) for part in batch)


def test_total_steps():
    assert total_steps(2.5, -1, 10) == 25
    assert total_steps(2.5, 7, 10) == 7
