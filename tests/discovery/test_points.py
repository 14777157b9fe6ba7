"""Points come from matrices, models and data sets; what cannot be read gets one clear message."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image
from PIL import Image as Pillow
from safetensors.torch import save_file
from transformers import ResNetConfig, ResNetModel

from lgn_hf.discovery import Dictionary, learn_dictionary
from lgn_hf.discovery.images import read_images
from lgn_hf.discovery.points import MOST_POINTS, Request, filter_side, read_points
from lgn_hf.model.filters import vec
from tests.support.networks import make_used_model


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(count, side=12, channels=3):
    rng = np.random.default_rng(0)
    shape = (count, side, side) if channels == 1 else (count, side, side, channels)
    return [Pillow.fromarray(pixels) for pixels in rng.integers(0, 256, shape, dtype=np.uint8)]


# Matrices


def test_the_rows_of_a_matrix_are_points(tmp_path):
    rows = noise(20, 6)
    np.save(tmp_path / "m.npy", rows.numpy())
    assert torch.equal(read_points(str(tmp_path / "m.npy"), Request()), rows)


def test_filters_are_vectorised_column_by_column(tmp_path):
    filters = noise(20, 3, 3)
    np.save(tmp_path / "m.npy", filters.numpy())
    assert torch.equal(read_points(str(tmp_path / "m.npy"), Request()), vec(filters))


def test_a_tensor_of_several_is_chosen_by_name(tmp_path):
    path = str(tmp_path / "m.safetensors")
    tensors = {"a": noise(5, 4), "b": noise(6, 4)}
    save_file(tensors, path)
    assert torch.equal(read_points(path, Request(module="b")), tensors["b"])
    with pytest.raises(ValueError, match="holds the tensors a, b: choose one with --module"):
        read_points(path, Request())


def test_a_saved_dictionary_keeps_its_statistics(tmp_path):
    learned = learn_dictionary(noise(100, 4), 13, steps=5)
    loaded = read_points(str(learned.save(tmp_path / "d.safetensors")), Request())
    assert isinstance(loaded, Dictionary)
    assert torch.equal(loaded.coactivation, learned.coactivation)


@pytest.mark.slow
def test_many_rows_are_data(tmp_path):
    np.save(tmp_path / "m.npy", noise(MOST_POINTS + 1, 3).numpy())
    learned = read_points(str(tmp_path / "m.npy"), Request(num_atoms=12))
    assert isinstance(learned, Dictionary)
    assert learned.atoms.shape == (12, 3)


# Models


def test_the_filters_of_all_layers_of_an_lgn(tmp_path):
    model = make_used_model("learned", "classification").float()
    model.save_pretrained(tmp_path)
    bank = model.filter_bank().detach()
    found = read_points(str(tmp_path), Request())
    torch.testing.assert_close(found, vec(bank.flatten(0, 2).mean(1)))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    model = ResNetModel(config)
    model.save_pretrained(folder)
    return folder, model


def test_the_first_convolution_of_a_model_of_transformers(resnet):
    folder, model = resnet
    weight = model.embedder.embedder.convolution.weight.detach()
    found = read_points(str(folder), Request())
    torch.testing.assert_close(found, vec(weight.mean(1)))
    coloured = read_points(str(folder), Request(grey=False))
    torch.testing.assert_close(coloured, vec(weight).flatten(1))


def test_another_convolution_gives_every_slice(resnet):
    folder, model = resnet
    name = "encoder.stages.0.layers.0.layer.0.convolution"
    weight = model.get_submodule(name).weight.detach()
    torch.testing.assert_close(read_points(str(folder), Request(module=name)), vec(weight.flatten(0, 1)))


def test_a_convolution_that_is_not_there_is_an_error_that_names_some(resnet):
    folder, _ = resnet
    with pytest.raises(
        ValueError, match=r"no convolution named 'conv1': its convolutions are embedder.embedder.convolu"
    ):
        read_points(str(folder), Request(module="conv1"))


# Data sets


def test_digits_and_rotated_digits():
    upright, rotated = read_images("digits"), read_images("rotated:digits")
    assert len(upright) == len(rotated) == 1797
    assert upright[0].shape == rotated[0].shape == (1, 8, 8)
    assert not torch.equal(upright[0], rotated[0])
    assert torch.equal(rotated[5], read_images("rotated:digits")[5])


@pytest.mark.slow
def test_a_dictionary_of_patches_is_learned():
    learned = read_points("digits", Request(filter_size=3, num_atoms=12))
    assert isinstance(learned, Dictionary)
    assert learned.atoms.shape == (12, 9)


def test_a_folder_of_images(tmp_path):
    for i, image in enumerate(pictures(4)):
        image.save(tmp_path / f"{i}.png")
    found = read_images(str(tmp_path))
    assert [image.shape for image in found] == [(3, 12, 12)] * 4
    assert len(read_images(str(tmp_path), count=2)) == 2


@pytest.mark.parametrize("kind", ["parquet", "folder of parquet", "save_to_disk"])
def test_tables_of_images(kind, tmp_path):
    table = Dataset.from_dict({"img": pictures(5, channels=1)}, features=Features(img=Image()))
    path = tmp_path / ("t.parquet" if kind == "parquet" else "t")
    if kind == "save_to_disk":
        table.save_to_disk(str(path))
    elif kind == "parquet":
        table.to_parquet(str(path))
    else:
        path.mkdir()
        table.to_parquet(str(path / "train.parquet"))
    found = read_images(str(path))
    assert [image.shape for image in found] == [(1, 12, 12)] * 5
    assert {int(image.sum()) for image in found} == {int(np.asarray(image).sum()) for image in pictures(5, channels=1)}


def test_filter_sides():
    assert [filter_side(dim) for dim in (1, 4, 10, 25)] == [None, 2, None, 5]


# Errors


def write(path, content):
    path.write_bytes(content)
    return str(path)


ERRORS = {
    "a name": (lambda _: "a/b/c", "there is no file or folder 'a/b/c', and it cannot be the name of a repository"),
    "a missing matrix": (lambda _: "no.npy", "there is no file no.npy"),
    "a damaged matrix": (lambda tmp: write(tmp / "m.npy", b"x"), "is not an array of numbers"),
    "damaged tensors": (lambda tmp: write(tmp / "m.safetensors", b"x"), "is damaged or incomplete"),
    "another file": (
        lambda tmp: write(tmp / "m.txt", b"x"),
        r"is not a file of images: the kinds are \.parquet, \.arrow",
    ),
    "an empty folder": (lambda tmp: str(tmp), "cannot read data set"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_read_gets_one_clear_message(name, tmp_path):
    make, message = ERRORS[name]
    with pytest.raises((ValueError, OSError), match=message) as error:
        read_points(make(tmp_path), Request())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(3), np.zeros((2, 3, 4)), np.array([{}])])
def test_other_arrays_are_refused(array, tmp_path):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(ValueError, match=r"must be real numbers|has shape|is not an array of numbers"):
        read_points(str(tmp_path / "m.npy"), Request())


def test_a_table_without_images_is_refused(tmp_path):
    Dataset.from_dict({"x": [1, 2]}).to_parquet(str(tmp_path / "t.parquet"))
    with pytest.raises(ValueError, match="has no column of images: found x"):
        read_images(str(tmp_path / "t.parquet"))
