"""Batch normalisation is estimated anew from training images, and nothing else of the network changes."""

from typing import Any

import torch
from lgn_training.data import ImageSet
from lgn_training.data.batches import TrainingBatches
from lgn_training.engine.batch_norm import BATCHES, estimate_batch_norm

from lgn_hf import LGNConfig, LGNForImageClassification


def test_the_statistics_are_those_of_the_first_batches():
    images = torch.randint(256, (6 * (BATCHES + 2), 1, 9, 9), dtype=torch.uint8)
    options: Any = {"batch_size": 6, "accumulation_steps": 1, "seed": 0, "rank": 0, "world_size": 1}
    batches = TrainingBatches(ImageSet(images, None), lambda x: x.float() / 255, device=torch.device("cpu"), **options)
    network: Any = LGNForImageClassification(LGNConfig(num_groups=2, num_layers=2, image_size=9, step_size=0.5))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    norm: Any = network.lgn.norms[0]
    means = []
    for number, parts in enumerate(batches.epoch(1)):
        if number < BATCHES:
            reference: Any = LGNForImageClassification(network.config)
            reference.load_state_dict(before)
            reference.lgn.norms[0].momentum = 1.0  # keeps the mean of one batch
            reference.train()(parts[0].pixel_values)
            means.append(reference.lgn.norms[0].running_mean)
    network.eval()
    estimate_batch_norm(network, batches, 1)
    assert torch.allclose(norm.running_mean, torch.stack(means).mean(0), atol=1e-6)
    assert not network.training
    assert norm.momentum == 0.1
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"lgn.norms.0.running_mean", "lgn.norms.0.running_var"}
