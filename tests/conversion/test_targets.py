"""Which convolutions are meant, and why one cannot be converted."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import lgn_hf
from lgn_hf.nn import LearnedGroup, LinearGroup, OrbitConv2d
from tests.conversion.networks import small, transformers_model

pytestmark = pytest.mark.usefixtures("quick_fit")


class Odd(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) + 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (["0"], ["0"]),
        (["3", "4"], ["3", "4"]),
        ("[02]", ["0", "2"]),
        (lambda name, module: module.groups > 1, ["3", "4"]),
    ],
)
def test_targets_are_names_expressions_or_predicates(target, expected):
    report = lgn_hf.convert(small(), target_modules=target, init="draw")
    assert report.converted == expected
    assert {row.reason for row in report if not row.converted} == {"is not a target"}


def test_the_last_parts_of_names_are_targets():
    model = transformers_model()
    report = lgn_hf.convert(
        model, target_modules=["layer.1.convolution"], exclude_modules=r".*stages\.0.*", init="draw"
    )
    assert report.converted == ["resnet.encoder.stages.1.layers.0.layer.1.convolution"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_modules": ["convolutoin"]}, r"no module is named 'convolutoin'; the nearest are .*convolution"),
        ({"target_modules": ["0", "9"]}, "no module is named '9'"),
        ({"target_modules": "layer.*"}, "no convolution has a name"),
        ({"target_modules": "("}, "not a regular expression"),
        ({"target_modules": lambda name, module: False}, "true for none"),
        ({"target_modules": []}, "is empty"),
        ({"exclude_modules": ["nothing"]}, "exclude_modules: no module is named 'nothing'"),
        ({"target_modules": ["0"], "exclude_modules": ["0"]}, "excludes all"),
        ({"order": 1}, "order=1"),
        ({"action": "circular"}, "action='circular': must be one of cyclic, learned"),
        ({"action": 3}, "action is a int"),
        ({"sharing": "group"}, "sharing='group': must be one of layer"),
        ({"init": "random"}, "init='random'"),
        ({"action": "rotation", "sharing": "channel"}, "a fixed action is the same everywhere"),
        ({"regularizer": "inverse"}, "regularizer='inverse': must be one of none, nuclear, logdet"),
        ({"action": LearnedGroup(LinearGroup.cyclic(2, 9), (2, 1))}, r"must have batch_shape=\(\)"),
    ],
)
def test_mistakes_are_errors_that_change_nothing(arguments, message):
    model = transformers_model() if "convolutoin" in str(arguments) else small()
    modules = list(model.modules())
    with pytest.raises(ValueError, match=message):
        lgn_hf.convert(model, **arguments)
    assert all(a is b for a, b in zip(modules, model.modules(), strict=True))


def lazy() -> nn.Module:
    return nn.LazyConv2d(8, 3)


def tied() -> nn.Module:
    first, second = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
    second.weight = first.weight
    return nn.Sequential(first, second)


def broken() -> nn.Module:
    conv = nn.Conv2d(3, 8, 3)
    conv.weight.data[0, 0, 0, 0] = float("nan")
    return conv


def rerouted() -> nn.Module:
    conv = nn.Conv2d(3, 8, 3)
    conv.forward = lambda input: input
    return conv


OBSTACLES = [
    (Odd(3, 8, 3), {}, "is a Odd, whose forward is not that of nn.Conv2d"),
    (nn.Conv2d(3, 6, 3), {}, "has 6 output maps, not a multiple of |G| = 4"),
    (nn.Conv2d(3, 12, 3), {"action": "dihedral"}, "has 12 output maps, not a multiple of |G| = 8"),
    (nn.Conv2d(3, 8, 1), {}, "has a 1 x 1 kernel, on which nothing moves"),
    (nn.Conv2d(3, 8, (1, 3)), {}, "has 3 pixels in its kernel, fewer than order=4"),
    (nn.Conv2d(3, 8, (1, 3)), {"action": "rotation"}, "has a 1 x 3 kernel, which is not square"),
    (nn.Conv2d(8, 8, 3, groups=4), {}, "has 2 output maps in each of 4 groups, not a multiple of |G| = 4"),
    (nn.Conv2d(3, 24, 5), {"action": LinearGroup.shifts(3)}, "has a 5 x 5 kernel, and element"),
    (nn.Conv2d(3, 8, 5), {"action": LearnedGroup(LinearGroup.rotations(3))}, "and the learned group acts on 9 pixels"),
    (OrbitConv2d(3, 8, 3, LinearGroup.rotations(3)), {}, "is an OrbitConv2d already"),
    (parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), {}, "has a parametrized weight"),
    (lazy(), {}, "is lazy"),
    (tied(), {}, "shares its weight with another module"),
    (broken(), {}, "has weights that are not finite"),
    (rerouted(), {}, "has a forward that was replaced"),
    (nn.Conv2d(3, 8, 3, device="meta"), {}, "is on the meta device"),
]


@pytest.mark.parametrize(("module", "arguments", "reason"), OBSTACLES, ids=[case[2] for case in OBSTACLES])
def test_what_cannot_be_converted_is_skipped_with_a_reason_or_an_error_if_named(module, arguments, reason):
    good = nn.Conv2d(3, 24, 3)
    model = nn.Sequential(good, module)
    report = lgn_hf.convert(copy.deepcopy(model), **arguments, dry_run=True)
    rows = [row for row in report if row.name.startswith("1")]
    assert rows
    assert all(not row.converted and reason in row.reason for row in rows), rows
    assert report["0"].converted
    with pytest.raises(ValueError, match="cannot be converted") as error:
        lgn_hf.convert(model, **arguments, target_modules=["0", *(row.name for row in rows)])
    assert reason in str(error.value)
    assert model[0] is good


def test_other_modules_that_are_named_are_errors():
    with pytest.raises(ValueError, match=r"1 is a ReLU, not an nn\.Conv2d"):
        lgn_hf.convert(small(), target_modules=["1"])


def test_the_model_itself_cannot_be_replaced():
    (row,) = lgn_hf.convert(nn.Conv2d(3, 8, 3))
    assert not row.converted
    assert "is the model itself" in row.reason


def test_a_network_with_nothing_to_convert_is_reported(caplog):
    model = small()
    report = lgn_hf.convert(model, order=7)
    assert report.converted == []
    assert len(report) == 6
    assert "no convolution of Sequential can be converted: 0 has 8 output maps" in caplog.text
    assert type(model[0]) is nn.Conv2d
    with pytest.raises(ValueError, match=r"Linear has no nn\.Conv2d"):
        lgn_hf.convert(nn.Linear(3, 3))


def test_subclasses_that_change_nothing_are_converted():
    class Same(nn.Conv2d):
        pass

    model = nn.Sequential(Same(3, 8, 3))
    lgn_hf.convert(model)
    lgn_hf.merge(model)
    assert type(model[0]) is nn.Conv2d
    assert model(torch.zeros(1, 3, 5, 5)).shape == (1, 8, 3, 3)
