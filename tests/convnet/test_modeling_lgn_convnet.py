"""The network: what it computes, that it is invariant, and what users of transformers expect."""

import subprocess
import sys

import pytest
import torch
from transformers import (
    AutoBackbone,
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    pipeline,
)

from lgn_hf import (
    LGNConvNetBackbone,
    LGNConvNetConfig,
    LGNConvNetForImageClassification,
    LGNConvNetModel,
    LGNImageProcessor,
)
from lgn_hf.convnet.modeling_lgn_convnet import halve
from lgn_hf.nn import LinearGroup, OrbitConv2d, equivariance_error

SMALL = {"image_size": 12, "num_labels": 4, "num_orbits": [2, 3], "depths": [1, 2]}
NETWORKS = {
    "rotation": {},
    "dihedral": {"group": "dihedral"},
    "trivial": {"group": "trivial"},
    "given": {"group": LinearGroup.rotations(3, 8)},
    "learned": {"group": "cyclic", "action": "learned"},
    "ablated": {"share_norms": False, "orbit_pooling": "none", "dropout": 0.5},
    "mean": {"orbit_pooling": "mean", "spatial_pooling": "mean", "downsampling": "mean", "filter_size": 5},
}


def make(name="rotation", **fields):
    torch.manual_seed(0)
    return LGNConvNetForImageClassification(LGNConvNetConfig(**{**SMALL, **NETWORKS[name], **fields})).eval()


X = torch.randn(2, 1, 12, 12)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name):
    model = make(name)
    outputs = model(X, labels=torch.tensor([0, 3]), output_hidden_states=True)
    order = model.config.linear_group.order
    assert outputs.logits.shape == (2, 4)
    assert [tuple(maps.shape) for maps in outputs.hidden_states] == [(2, 2 * order, 12, 12), (2, 3 * order, 6, 6)]
    torch.testing.assert_close(outputs.loss, torch.nn.functional.cross_entropy(outputs.logits, torch.tensor([0, 3])))
    encoded = model.lgn_convnet(X)
    assert torch.equal(encoded.last_hidden_state, outputs.hidden_states[-1])
    assert all(isinstance(layer, OrbitConv2d) for layer in model.modules() if isinstance(layer, torch.nn.Conv2d))


@pytest.mark.parametrize("side", [9, 12, 13])
@pytest.mark.parametrize("name", ["rotation", "dihedral", "mean", "given"])
def test_logits_do_not_change_when_the_image_moves(name, side):
    model = make(name).double()
    errors = equivariance_error(model, model.group, torch.randn(2, 1, side, side, dtype=torch.float64))
    errors = errors[~errors.isnan()]
    assert len(errors) >= 4
    assert bool((errors < 1e-10).all())


def test_without_shared_norms_or_pooling_they_do_after_training():
    for fields in ({"share_norms": False}, {"orbit_pooling": "none"}):
        model = make(**fields).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            model(X, labels=torch.tensor([0, 3])).loss.backward()
            optimizer.step()
        assert equivariance_error(model.eval(), model.group, X)[1] > 1e-3


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("side", [6, 7])
def test_halving_keeps_the_symmetries_of_the_grid(side, how):
    maps = torch.randn(1, 1, side, side)
    half = halve(maps, how)
    assert half.shape[-1] == -(-side // 2)
    torch.testing.assert_close(halve(torch.rot90(maps, 1, (2, 3)), how), torch.rot90(half, 1, (2, 3)))
    torch.testing.assert_close(halve(maps.flip(-1), how), half.flip(-1))
    ones = torch.ones(1, 1, side, side)
    torch.testing.assert_close(halve(ones, how), ones[..., ::2, ::2])


def test_maps_are_halved_before_the_first_stage_if_asked():
    early, late = make(downsample_in_first_stage=True), make()
    assert early(X, output_hidden_states=True).hidden_states[0].shape[-1] == X.shape[-1] // 2
    assert late(X, output_hidden_states=True).hidden_states[0].shape[-1] == X.shape[-1]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_is_trained(name):
    model = make(name).train()
    model(X, labels=torch.tensor([0, 3])).loss.backward()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded(name, tmp_path):
    model = make(name)
    model.save_pretrained(tmp_path)
    for auto, kind in (
        (AutoModelForImageClassification, LGNConvNetForImageClassification),
        (AutoModel, LGNConvNetModel),
        (AutoBackbone, LGNConvNetBackbone),
    ):
        config = AutoConfig.from_pretrained(tmp_path)
        assert isinstance(auto.from_config(config), kind)
    loaded, info = LGNConvNetForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert torch.equal(loaded(X).logits, model(X).logits)
    torch.testing.assert_close(loaded.group.elements, model.group.elements)


def test_a_backbone_returns_the_stages_that_are_asked_for():
    config = LGNConvNetConfig(**SMALL, out_features=["stage1", "stage2"])
    maps = LGNConvNetBackbone(config)(X).feature_maps
    assert [tuple(each.shape) for each in maps] == [(2, 8, 12, 12), (2, 12, 6, 6)]


def test_fine_tuning_on_other_labels(tmp_path):
    make().save_pretrained(tmp_path)
    model = AutoModelForImageClassification.from_pretrained(tmp_path, num_labels=7, ignore_mismatched_sizes=True)
    assert model(X).logits.shape == (2, 7)
    assert torch.equal(model.lgn_convnet.stem.weight, make().lgn_convnet.stem.weight)


def test_a_pipeline(tmp_path):
    from PIL import Image

    make().save_pretrained(tmp_path)
    LGNImageProcessor(image_size=12, num_channels=1).save_pretrained(tmp_path)
    assert isinstance(AutoImageProcessor.from_pretrained(tmp_path), LGNImageProcessor)
    answers = pipeline("image-classification", model=str(tmp_path))(Image.new("L", (30, 20)))
    assert len(answers) == 4


@pytest.mark.slow
def test_remote_code_without_the_package(tmp_path):
    models = {name: make(name) for name in ("dihedral", "learned", "given")}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        LGNImageProcessor(image_size=12, num_channels=1).save_pretrained(tmp_path / name)
    torch.save(X, tmp_path / "x.pt")
    code = f"""
import sys
sys.modules["lgn_hf"] = None
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification
for name in {[*models]!r}:
    model = AutoModelForImageClassification.from_pretrained(name, trust_remote_code=True)
    AutoImageProcessor.from_pretrained(name, trust_remote_code=True)
    model.save_pretrained(f"{{name}}-again")
    torch.save(model(torch.load("x.pt")).logits.detach(), f"{{name}}.pt")
"""
    environment = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    for name, model in models.items():
        torch.testing.assert_close(torch.load(tmp_path / f"{name}.pt"), model(X).logits.detach())
        first, again = (
            {path.name: path.read_bytes() for path in folder.glob("*.py")}
            for folder in (tmp_path / name, tmp_path / f"{name}-again")
        )
        assert "modeling_lgn_convnet.py" in again
        assert again.items() <= first.items()  # the processor has modules of its own


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(2, 3, 12, 12), r"shape \(2, 3, 12, 12\): this model takes \(batch, 1, height, width\)"),
        (torch.zeros(12, 12), r"shape \(12, 12\)"),
        (torch.zeros(2, 1, 12, 12, dtype=torch.uint8), "torch.uint8: the image processor makes floating ones"),
    ],
)
def test_wrong_images(pixels, message):
    with pytest.raises(ValueError, match=message):
        make()(pixels)
