"""`convert` and `merge` keep what the network around the layers relies on."""

import copy

import pytest
import torch
from torch import nn

import lgn_hf
from lgn_hf.conversion import ConvertedConv2d
from lgn_hf.nn import (
    LearnedGroup,
    LearnedMatrices,
    LinearGroup,
    OrbitConv1d,
    OrbitConv2d,
    OrbitConvTranspose2d,
)
from tests.conversion.networks import small, transformers_model

pytestmark = pytest.mark.usefixtures("quick_fit")

C4 = LinearGroup.rotations(3)
WAYS = [
    {"action": "cyclic"},
    {"action": "cyclic", "sharing": "filter"},
    {"action": "cyclic", "sharing": "channel"},
    {"action": "cyclic", "sharing": "model"},
    {"action": "cyclic", "init": "draw"},
    {"action": "learned"},
    {"action": "learned", "sharing": "channel", "order": 2},
    {"action": "rotation"},
    {"action": "rotation", "init": "draw"},
    {"action": "dihedral"},
    {"action": LinearGroup.reflections(3, ("left-right", "up-down"))},
    {"action": LearnedGroup(LinearGroup.dihedral(3), noise=0.1)},
    {"action": LearnedMatrices(LinearGroup.rotations(3), draw=False), "sharing": "model"},
]


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_merge_gives_ordinary_convolutions_with_the_same_outputs(way):
    model = small()
    keys, classes = list(model.state_dict()), [type(module) for module in model.modules()]
    images = torch.randn(2, 3, 16, 16)
    report = lgn_hf.convert(model, **way)
    assert report.converted
    assert all(isinstance(model.get_submodule(name), ConvertedConv2d) for name in report.converted)
    outputs = model(images)
    assert lgn_hf.merge(model) is model
    assert relative(model(images), outputs) < 1e-5
    assert (list(model.state_dict()), [type(module) for module in model.modules()]) == (keys, classes)
    for module in model.modules():
        parts = [*module.__dict__.values(), *module._buffers.values(), *module._parameters.values()]
        assert not any(type(part).__module__.startswith("lgn_hf") for part in parts)
        assert not {"kind", "group", "output_order", "matrices"} & {*module.__dict__, *module._buffers}


def test_report_has_one_row_per_convolution():
    model = small()
    shapes = {name: module.weight.shape for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    report = lgn_hf.convert(model, order=4)
    assert [row.name for row in report] == list(shapes)
    assert report.converted == ["0", "2", "3", "4"]
    assert "1 x 1" in report["5"].reason
    assert "6 output maps" in report["6"].reason
    first = report["0"]
    assert first.parameters_before == 8 * 27 + 8
    assert first.parameters_after == 2 * 27 + 8 + 81
    assert first.group == "C_4"
    assert 0 < first.residual < 1
    assert report["6"].parameters_before == report["6"].parameters_after
    after = sum(p.numel() for m in model.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())
    assert report.parameters_after == after
    text = str(report)
    assert "4 of 6 convolutions" in text
    assert f"{report.parameters_after:,}" in text


@pytest.mark.parametrize("sharing", ["layer", "model", "filter", "channel"])
def test_sharing_says_how_many_actions_there_are(sharing):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 5))
    lgn_hf.convert(model, sharing=sharing)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if "group" in name}
    small_, large = (9, 9), (25, 25)
    assert (
        shapes
        == {
            "layer": {"0.group.basis": small_, "1.group.basis": small_, "2.group.basis": large},
            "model": {"0.group.basis": small_, "2.group.basis": large},
            "filter": {f"{i}.group.basis": (2, 1, *(large if i == 2 else small_)) for i in range(3)},
            "channel": {f"{i}.group.basis": (2, 3 if i == 0 else 8, *(large if i == 2 else small_)) for i in range(3)},
        }[sharing]
    )
    if sharing == "model":
        assert model[1].group is model[0].group
        twin = copy.deepcopy(model)
        assert twin[1].group is twin[0].group is not model[0].group
        model(torch.randn(1, 3, 16, 16)).sum().backward()
        assert model[0].group.basis.grad is not None


@pytest.mark.slow
def test_dry_run_changes_nothing_and_reports_the_same():
    model = small()
    before = copy.deepcopy(model)
    modules = list(model.modules())
    dry = lgn_hf.convert(model, dry_run=True)
    assert all(a is b for a, b in zip(modules, model.modules(), strict=True))
    assert all(
        torch.equal(a, b) for a, b in zip(before.state_dict().values(), model.state_dict().values(), strict=True)
    )
    assert dry.rows == lgn_hf.convert(model).rows
    assert "dry run" in str(dry)


@pytest.mark.slow
def test_conversion_is_deterministic_and_leaves_the_random_numbers_alone():
    for init in ("fit", "draw"):
        torch.manual_seed(3)
        expected = torch.rand(2)
        states = []
        for _ in range(2):
            model = small()
            torch.manual_seed(3)
            lgn_hf.convert(model, init=init, seed=1)
            assert torch.equal(torch.rand(2), expected)
            states.append(model.state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = small()
    lgn_hf.convert(other, init="draw", seed=2)
    assert not torch.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("action", ["cyclic", "learned", "rotation"])
def test_draw_keeps_the_scale_of_the_weights(action):
    conv = nn.Conv2d(16, 32, 3)
    norm = conv.weight.norm().item()
    model = nn.Sequential(conv)
    report = lgn_hf.convert(model, action=action, init="draw")
    assert report["0"].residual is None
    assert model[0].filters().norm().item() == pytest.approx(norm, rel=1e-4)


def test_modes_devices_dtypes_gradients_and_hooks_are_kept():
    model = small().double().eval()
    model[0].weight.requires_grad_(False)
    bias, calls = model[0].bias, []
    handle = model[0].register_forward_hook(lambda module, args, output: calls.append(type(module)))
    lgn_hf.convert(model)
    assert not model[0].training
    assert model[0].bias is bias
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert not model[0].weight.requires_grad
    assert not model[0].group.basis.requires_grad
    images = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    outputs = model(images)
    lgn_hf.merge(model)
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad
    assert model[0].bias is bias
    assert relative(model(images), outputs) < 1e-12
    assert calls == [ConvertedConv2d, nn.Conv2d]
    handle.remove()
    model(images)
    assert len(calls) == 2


def test_a_bfloat16_network_is_converted():
    model = nn.Sequential(nn.Conv2d(3, 8, 3)).bfloat16()
    lgn_hf.convert(model)
    outputs = model(torch.ones(1, 3, 8, 8, dtype=torch.bfloat16))
    assert outputs.dtype == torch.bfloat16
    lgn_hf.merge(model)
    assert torch.equal(model(torch.ones(1, 3, 8, 8, dtype=torch.bfloat16)), outputs)


def test_a_module_under_two_names_is_converted_once():
    conv = nn.Conv2d(8, 8, 3, padding=1)
    model = nn.ModuleDict({"a": conv, "b": nn.Sequential(conv)})
    report = lgn_hf.convert(model, target_modules=["b.0"])
    assert model["a"] is model["b"][0]
    assert isinstance(model["a"], ConvertedConv2d)
    assert [(row.name, row.converted) for row in report] == [("a", True), ("b.0", True)]
    assert "same module as a" in report["b.0"].reason
    assert report["b.0"].parameters_after == 0
    lgn_hf.merge(model)
    assert model["a"] is model["b"][0]


@pytest.mark.slow
@pytest.mark.parametrize("way", [{}, {"action": "learned"}, {"action": "rotation"}, {"sharing": "model"}], ids=str)
def test_every_parameter_gets_a_gradient_and_modes_have_one_state_dict(way):
    model = transformers_model()
    lgn_hf.convert(model, **way)
    keys = list(model.state_dict())
    model.train()
    assert list(model.state_dict()) == keys
    model(torch.randn(2, 3, 32, 32), labels=torch.tensor([0, 1])).loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.slow
def test_a_converted_network_compiles_in_one_graph():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    lgn_hf.convert(model, sharing="model")
    images = torch.randn(2, 3, 12, 12)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images), model(images))
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images))


def test_there_is_nothing_to_merge():
    with pytest.raises(ValueError, match="no orbit convolutions"):
        lgn_hf.merge(small())


def test_a_network_without_weights_is_converted_by_drawing():
    with torch.device("meta"):
        model = small()
    lgn_hf.convert(model, init="draw")
    assert model[0].group.basis.is_meta
    assert model(torch.empty(1, 3, 16, 16, device="meta")).shape[1] == 6


def test_a_group_that_a_configuration_cannot_hold_is_an_error_before_anything_changes(monkeypatch):
    monkeypatch.setattr("lgn_hf.conversion.actions.LARGEST", 10)
    basis = torch.eye(9, dtype=torch.float64) + 0.1
    group = LinearGroup(basis @ LinearGroup.rotations(3).elements @ torch.linalg.inv(basis))
    model = transformers_model()
    with pytest.raises(ValueError, match="a description holds at most 10"):
        lgn_hf.convert(model, action=group, init="draw")
    assert not any(isinstance(module, ConvertedConv2d) for module in model.modules())
    lgn_hf.convert(small(), action=group, init="draw")  # which has no configuration


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (
            lambda: nn.Sequential(OrbitConv2d(2, 8, 3, C4), nn.ReLU(), OrbitConv2d(8, 8, 3, C4, "regular")),
            (1, 2, 9, 9),
        ),
        (lambda: nn.Sequential(OrbitConvTranspose2d(2, 8, 3, C4, stride=2, output_padding=1)), (1, 2, 5, 5)),
        (lambda: nn.Sequential(OrbitConv1d(2, 6, 3, LinearGroup.cyclic(3, 3), bias=False)), (1, 2, 9)),
    ],
)
def test_networks_of_orbit_convolutions_are_merged(make, shape):
    model = make()
    x = torch.randn(shape)
    outputs = model(x)
    lgn_hf.merge(model)
    assert {type(module) for module in model} <= {nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.ReLU}
    torch.testing.assert_close(model(x), outputs)
    assert all(parameter.requires_grad for parameter in model.parameters())
