"""LGNs as backbones: codes as feature maps, and the heads of transformers on them."""

import json

import pytest
import torch
from transformers import (
    AutoBackbone,
    AutoConfig,
    DetrConfig,
    DetrForObjectDetection,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

from lgn_hf import LGNBackbone, LGNConfig
from tests.model.test_loading import run_python
from tests.support.networks import HEADS, make_config, make_images, make_used_model

ALL_LAYERS = ["layer1", "layer2", "layer3"]


@pytest.mark.parametrize(
    ("fields", "indices"),
    [
        ({}, [2]),
        ({"out_features": ["layer1", "layer3"]}, [0, 2]),
        ({"out_indices": [0, 1]}, [0, 1]),
        ({"out_indices": (-2,)}, [1]),
    ],
)
def test_feature_maps_are_codes(fields, indices):
    config = make_config("learned", **fields)
    model = AutoBackbone.from_config(config).eval()
    assert type(model) is LGNBackbone
    assert model.stage_names == ALL_LAYERS
    assert model.channels == [config.num_filters] * len(indices)
    images = make_images(config).float()
    outputs = model(images, output_hidden_states=True)
    assert len(outputs.hidden_states) == config.num_layers
    assert len(outputs.feature_maps) == len(indices)
    for feature_map, index in zip(outputs.feature_maps, indices, strict=True):
        assert torch.equal(feature_map, outputs.hidden_states[index])
    assert model(images).hidden_states is None
    assert torch.equal(model(images, return_dict=False)[0][-1], outputs.feature_maps[-1])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"out_features": ["stem"]}, "out_features"),
        ({"out_features": ["layer4"]}, "out_features"),
        ({"out_indices": [3]}, "out_indices"),
        ({"out_features": ["layer1"], "out_indices": [1]}, "out_features"),
    ],
)
def test_layers_that_it_lacks_are_refused(fields, named):
    with pytest.raises(ValueError, match=named):
        make_config("learned", **fields)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["learned", "learned-tied", "rotation-60", "cyclic"])
def test_any_checkpoint_is_a_backbone(name, head, tmp_path):
    model = make_used_model(name, head).float().eval()
    model.save_pretrained(tmp_path)
    images = make_images(model.config).float()
    codes = model(images, output_hidden_states=True).hidden_states
    backbone = LGNBackbone.from_pretrained(tmp_path, out_features=["layer1", "layer3"])
    for found, expected in zip(backbone(images).feature_maps, codes[::2], strict=True):
        torch.testing.assert_close(found, expected)
    backbone.save_pretrained(tmp_path / "again")
    again = LGNBackbone.from_pretrained(tmp_path / "again")
    assert again.out_features == ["layer1", "layer3"]
    assert torch.equal(again(images).feature_maps[0], backbone(images).feature_maps[0])


def test_the_hub_s_models_are_backbones(hub_here):
    make_used_model("learned").float().push_to_hub("tester/backbone")
    backbone = AutoBackbone.from_pretrained("tester/backbone", out_indices=[0])
    assert type(backbone) is LGNBackbone
    assert backbone.out_features == ["layer1"]


def test_configurations_say_it_only_where_it_is_not_the_default(tmp_path):
    for fields, written in (({}, None), ({"out_indices": [0]}, ["layer1"]), ({"out_indices": [2]}, None)):
        make_config("learned", **fields).save_pretrained(tmp_path)
        assert json.loads((tmp_path / "config.json").read_text()).get("out_features") == written
        assert LGNConfig.from_pretrained(tmp_path).out_features == (written or ["layer3"])
    changed = AutoConfig.from_pretrained(tmp_path, out_features=ALL_LAYERS)
    assert changed.out_indices == [0, 1, 2]


# Heads of transformers

SMALL = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
SMALL |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_queries": 5}


def colour(**fields):
    return make_config("learned", num_channels=3, image_size=16, **fields)


def upernet():
    config = UperNetConfig(
        backbone_config=colour(out_features=ALL_LAYERS), hidden_size=8, pool_scales=[1, 2], num_labels=3,
        auxiliary_in_channels=6, auxiliary_channels=4,
    )  # fmt: skip
    return UperNetForSemanticSegmentation(config), "logits", (2, 3, 24, 24)


def detr():
    config = DetrConfig(use_timm_backbone=False, backbone=None, backbone_config=colour(), num_labels=3, **SMALL)
    return DetrForObjectDetection(config), "pred_boxes", (2, 5, 4)


def maskformer():
    config = MaskFormerConfig(
        backbone_config=colour(out_indices=[0, 1, 2]), fpn_feature_size=32, mask_feature_size=16,
        decoder_config=DetrConfig(**SMALL),
    )  # fmt: skip
    return MaskFormerForInstanceSegmentation(config), "masks_queries_logits", (2, 5, 24, 24)


@pytest.mark.parametrize("make", [upernet, detr, maskformer])
def test_heads_of_transformers_stand_on_it(make, tmp_path):
    model, answer, shape = make()
    images = torch.randn(2, 3, 24, 24)
    expected = model.eval()(images)[answer]
    assert expected.shape == shape
    expected.sum().backward()
    assert any(name.endswith("basis") and p.grad is not None and p.grad.any() for name, p in model.named_parameters())
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(images)[answer], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_remote_code_has_the_backbone(tmp_path):
    make_used_model("learned").float().save_pretrained(tmp_path / "model")
    script = """
        import sys
        sys.modules["lgn_hf"] = None
        from transformers import AutoBackbone, AutoConfig
        folder = sys.argv[1] + "/model"
        config = AutoConfig.from_pretrained(folder, trust_remote_code=True, out_indices=[0, 1])
        backbone = AutoBackbone.from_config(config, trust_remote_code=True)
        assert type(backbone).__module__.startswith("transformers_modules")
        assert type(backbone).from_pretrained(folder, out_indices=[0, 1]).channels == [6, 6]
    """
    run_python(script, tmp_path, flags=["-I"], HF_HOME=str(tmp_path / "home"))
