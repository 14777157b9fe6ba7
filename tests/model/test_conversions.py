"""What users do to a model with torch's own means: convert, copy, pickle. Neither answers nor files may change."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from tests.support.networks import ANSWER, HEADS, NETWORKS, make_images, make_used_model


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last(name, head):
    """As in timm's training scripts, and inside another module."""
    model = make_used_model(name, head).eval()
    images, before = make_images(model.config), copy.deepcopy(model.state_dict())
    expected = model(images)[ANSWER[head]]
    assert nn.Sequential(model).to(memory_format=torch.channels_last)[0] is model.to(memory_format=torch.channels_last)
    found = model.train().eval()(images.to(memory_format=torch.channels_last))[ANSWER[head]]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found.sum().backward()
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) and after[key].shape == before[key].shape for key in after)


def test_channels_last_with_another_dtype():
    model = make_used_model("learned").to(torch.float32, memory_format=torch.channels_last)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_channels_last_model_saves_the_same_file(tmp_path):
    model = make_used_model("learned-colour", "reconstruction")
    model.save_pretrained(tmp_path / "before")
    model.to(memory_format=torch.channels_last).save_pretrained(tmp_path / "after")
    before, after = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("before", "after"))
    assert before == after


def test_parameters_stay_the_same_objects():
    """Optimisers and shared memory hold on to them."""
    model = make_used_model("learned")
    before = {id(parameter) for parameter in model.parameters()}
    assert {id(p) for p in model.to(memory_format=torch.channels_last).float().parameters()} == before
    assert all(parameter.is_shared() for parameter in model.share_memory().parameters())


def copied(model):
    return copy.deepcopy(model)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved_by_torch(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("make_copy", [copied, pickled, saved_by_torch])
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("name", ["learned", "learned-colour", "left", "rotation-60", "cyclic", "baseline", "dense"])
def test_a_copy_of_a_loaded_model_gives_the_same_bits(name, gradient, make_copy, tmp_path):
    """The file puts tensors anywhere in memory, and products of tensors that are not aligned round differently."""
    head = HEADS["classification"]
    sizes = {} if name == "dense" else {"image_size": 28, "filter_size": 6, "num_labels": 10}
    make_used_model(name, **sizes).float().save_pretrained(tmp_path)
    model = head.from_pretrained(tmp_path)
    images = make_images(model.config, batch=16).float()
    with torch.set_grad_enabled(gradient):
        for batch in (images[:1], images):
            logits = model(batch).logits
            assert torch.equal(make_copy(model)(batch).logits, logits)
            with torch.no_grad():  # which keeps the filters
                assert torch.equal(model(batch).logits, logits)
                assert torch.equal(make_copy(model)(batch).logits, logits)
            assert torch.equal(make_copy(model)(batch).logits, logits)
