"""Operations of a step are counted as the equations say, and do not grow with the network."""

import pytest
from lgn_training.benchmark.operations import group_operations, step_operations

from lgn_hf import LGNConfig, LGNForImageClassification


def test_a_step_of_four_layers_is_twenty_products():
    config = LGNConfig()
    multiply_adds = config.code_size**2 * config.num_filters * config.filter_dim
    assert step_operations(config, batch_size=128) == 20 * 2 * 128 * multiply_adds


@pytest.mark.parametrize("regularizer", ["none", "inverse", "logdet", "nuclear"])
@pytest.mark.parametrize("action", ["learned", "left"])
def test_group_operations_do_not_grow_with_groups_channels_and_layers(action, regularizer):
    small, large = (
        LGNForImageClassification(LGNConfig(action=action, regularizer=regularizer, **sizes))
        for sizes in ({}, {"num_groups": 9, "num_channels": 3, "num_layers": 7, "filter_size": 5})
    )
    operations = group_operations(small)
    assert operations == group_operations(large)
    assert operations < 150
