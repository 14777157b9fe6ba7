"""Converted networks on disk, in transformers and on the Hub."""

import copy
import json

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForImageClassification, ResNetForImageClassification

import lgn_hf
from lgn_hf.conversion import describe_conversion
from lgn_hf.nn import LearnedGroup, LinearGroup
from tests.conversion.networks import small, transformers_model

pytestmark = pytest.mark.usefixtures("quick_fit")

WAYS = [
    {},
    {"sharing": "model"},
    {"sharing": "filter"},
    {"action": "learned", "sharing": "channel"},
    {"action": "rotation", "order": 2},
    {"action": "dihedral"},
    {"action": LinearGroup.shifts(3, ("vertical",)), "target_modules": ["0"]},
    {"action": LearnedGroup(LinearGroup.rotations(3, 6)), "sharing": "model", "target_modules": ["0"]},
]


def wide() -> nn.Module:
    """As `small`, with a number of maps that 6 divides."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3), nn.Conv2d(16, 16, 3))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_network_is_saved_and_loaded(way, tmp_path):
    make = wide if "target_modules" in way else small
    model = make()
    lgn_hf.convert(model, init="draw", **way)
    lgn_hf.save_converted(model, tmp_path / "saved")
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert files == ["conversion.json", "converted.safetensors"]
    facts = json.loads((tmp_path / "saved" / "conversion.json").read_text())
    assert facts["format_version"] == 1

    base = make()
    for parameter in base.parameters():
        nn.init.normal_(parameter)
    loaded = lgn_hf.load_converted(base, tmp_path / "saved")
    assert loaded is base
    images = torch.randn(1, 3, 16, 16)
    assert torch.equal(loaded(images), model(images))
    assert describe_conversion(loaded) == facts == describe_conversion(model)


def test_matrices_that_have_no_recipe_are_saved_as_numbers(tmp_path):
    basis = torch.eye(9, dtype=torch.float64) + 0.1
    group = LinearGroup(basis @ LinearGroup.rotations(3).elements @ torch.linalg.inv(basis))
    model = small()
    lgn_hf.convert(model, action=group, init="draw")
    lgn_hf.save_converted(model, tmp_path)
    loaded = lgn_hf.load_converted(small(1), tmp_path)
    assert torch.equal(loaded[0].group.elements, group.elements)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3)), "does not fit Sequential: 3 of 4 converted layers are not in it"),
        (lambda: small()[:5].append(nn.Linear(1, 1)), "do not fit Sequential: .* is not in the"),
        (lambda: nn.Sequential(nn.Linear(3, 3), *small()[1:]), "0 is a Linear, not an nn.Conv2d"),
        (lambda: nn.Sequential(nn.Conv2d(3, 12, 3), *small()[1:]), "0.weight has shape"),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 5), *small()[1:]), "0 kernel_size="),
    ],
)
def test_a_base_that_does_not_fit_is_one_error_and_stays(base, message, tmp_path):
    model = small()
    lgn_hf.convert(model, init="draw")
    lgn_hf.save_converted(model, tmp_path)
    base = base()
    modules = list(base.modules())
    with pytest.raises(ValueError, match=message) as error:
        lgn_hf.load_converted(base, tmp_path)
    assert "\n" not in str(error.value)
    assert all(a is b for a, b in zip(modules, base.modules(), strict=True))


def test_damaged_folders_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no conversion\.json"):
        lgn_hf.load_converted(small(), tmp_path)
    model = small()
    with pytest.raises(ValueError, match="has no converted convolutions"):
        lgn_hf.save_converted(model, tmp_path)
    lgn_hf.convert(model, init="draw")
    lgn_hf.save_converted(model, tmp_path)
    path = tmp_path / "conversion.json"
    facts = json.loads(path.read_text())
    for change, message in [
        ({"format_version": 2}, "format_version 2"),
        ({"layers": {"0": 9}}, "names a group that it does not have"),
        ({"groups": [{"kind": "spiral"}] * len(facts["groups"])}, "no group is of kind 'spiral'"),
        ({"groups": [{}] * len(facts["groups"])}, "incomplete"),
        ({"layers": {}}, "no layers"),
    ]:
        path.write_text(json.dumps({**facts, **change}))
        with pytest.raises(ValueError, match=message):
            lgn_hf.load_converted(small(), tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        lgn_hf.load_converted(small(), tmp_path)


def same(model, loaded) -> None:
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images).logits, loaded(images).logits)
    assert list(model.state_dict()) == list(loaded.state_dict())


@pytest.mark.parametrize(
    "way", [{}, {"sharing": "model"}, {"action": "rotation"}, {"action": "learned", "sharing": "filter"}], ids=str
)
def test_a_transformers_model_is_saved_and_loaded(way, tmp_path):
    model = transformers_model()
    lgn_hf.convert(model, init="draw", **way)
    model.save_pretrained(tmp_path)
    loaded = lgn_hf.converted_from_pretrained(AutoModelForImageClassification, tmp_path)
    assert type(loaded) is ResNetForImageClassification
    same(model, loaded)
    assert not loaded.training
    assert loaded.config.lgn_conversion == model.config.lgn_conversion
    for trace in ("quantization_config", "_is_quantized", "hf_quantizer", "quantization_method"):
        assert trace not in json.dumps(loaded.config.to_dict())
        assert trace not in loaded.__dict__
    copy.deepcopy(loaded).half().float().to("cpu", torch.float64)  # quantized models refuse this

    lgn_hf.merge(loaded)
    assert "lgn_conversion" not in loaded.config.to_dict()
    loaded.save_pretrained(tmp_path / "merged")
    merged = ResNetForImageClassification.from_pretrained(tmp_path / "merged")
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(merged(images).logits, model(images).logits, rtol=1e-5, atol=1e-5)


def test_a_loaded_model_trains_and_saves_again(tmp_path):
    model = transformers_model()
    lgn_hf.convert(model, init="draw")
    model.save_pretrained(tmp_path / "first")
    loaded = lgn_hf.converted_from_pretrained(AutoModelForImageClassification, tmp_path / "first").train()
    loaded(torch.randn(2, 3, 32, 32), labels=torch.tensor([0, 1])).loss.backward()
    torch.optim.SGD(loaded.parameters(), lr=0.1).step()
    loaded.save_pretrained(tmp_path / "second")
    same(loaded.eval(), lgn_hf.converted_from_pretrained(AutoModelForImageClassification, tmp_path / "second"))


def test_dtype_head_and_base_model(tmp_path):
    model = transformers_model()
    lgn_hf.convert(model, init="draw")
    model.save_pretrained(tmp_path)
    half = lgn_hf.converted_from_pretrained(AutoModelForImageClassification, tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    images = torch.randn(1, 3, 32, 32)
    assert half(images.bfloat16()).logits.isfinite().all()
    base, info = lgn_hf.converted_from_pretrained(AutoModel, tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    expected = model.resnet(images).last_hidden_state
    assert torch.equal(base(images).last_hidden_state, expected)
    base.save_pretrained(tmp_path / "base")
    whole = lgn_hf.converted_from_pretrained(AutoModelForImageClassification, tmp_path / "base")
    assert torch.equal(whole.resnet(images).last_hidden_state, expected)


def test_plain_loading_is_an_error_and_plain_models_too(tmp_path):
    model = transformers_model()
    model.save_pretrained(tmp_path / "plain")
    with pytest.raises(ValueError, match="is not a converted model"):
        lgn_hf.converted_from_pretrained(AutoModel, tmp_path / "plain")
    lgn_hf.convert(model, init="draw")
    model.save_pretrained(tmp_path / "converted")
    with pytest.raises(RuntimeError, match="mismatch"):
        ResNetForImageClassification.from_pretrained(tmp_path / "converted")


def test_the_hub_keeps_a_converted_model(hub_here):
    model = transformers_model()
    lgn_hf.convert(model, init="draw")
    model.push_to_hub("tester/converted")
    loaded = lgn_hf.converted_from_pretrained(AutoModelForImageClassification, "tester/converted")
    same(model, loaded)
