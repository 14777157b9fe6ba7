"""The images on a card are what the model sees, say nothing of where they came from, and come with what the model makes of them."""

import json
import shutil

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from lgn_hf import LGNConfig, LGNForImageClassification, LGNForImageReconstruction, LGNImageProcessor
from lgn_hf.hub.examples import draw_examples, find_examples, save_examples
from lgn_hf.hub.publication import build, contents
from lgn_hf.plotting import image_plot
from lgn_hf.prediction import predict
from tests.conftest import PUBLISHED_AS as NAME
from tests.conftest import read_folder


@pytest.fixture
def photographs(tmp_path) -> list[str]:
    """Two files of another size and mode than the model's, with a place in their metadata."""
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # GPS
    paths = [str(tmp_path / name) for name in ("one.jpg", "two.png")]
    for shade, path in enumerate(paths, 1):
        Image.new("RGB", (40, 30), (60 * shade, 80, 0)).save(path, exif=exif)
    return paths


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_text()]


def row_names(figure: Figure) -> list[str]:
    return [ax.get_ylabel().replace("-\n", "").replace("\n", " ") for ax in figure.axes if ax.get_ylabel()]


def test_they_are_saved_as_the_model_sees_them_and_nothing_else(photographs, tmp_path):
    processor = LGNImageProcessor(image_size=12, num_channels=1)
    paths = save_examples([*photographs, Image.new("L", (5, 5), 200)], processor, tmp_path / "model")
    assert find_examples(tmp_path / "model") == paths
    assert [path.name for path in paths] == ["1.png", "2.png", "3.png"]
    for given, path in zip(photographs, paths, strict=False):
        with Image.open(path) as image:
            assert (image.size, image.mode, image.info, dict(image.getexif())) == ((12, 12), "L", {}, {})
        assert torch.equal(*(processor(str(name), return_tensors="pt").pixel_values for name in (given, path)))


def test_images_of_the_model_s_own_size_are_kept_to_the_bit(tmp_path):
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    for image, path in zip(images, save_examples(images, LGNImageProcessor(16, 3), tmp_path), strict=True):
        assert np.array_equal(np.array(Image.open(path)), image.movedim(0, -1).numpy())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([Image.new("L", (8, 8))] * 9, "9 examples: a card has room for 8"),
        (["nothere.png"], r"^nothere\.png is not a file"),  # and not: Incorrect padding
        ([Image.new("L", (8, 8)), __file__], rf"^{__file__} cannot be read as an image: cannot identify"),
        ([Image.new("L", (8, 8)), 7], "^image 1: is a int"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_written(images, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_examples(images, LGNImageProcessor(8), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_classifier_s_card_shows_what_it_predicts(trained_run, photographs, tmp_path):
    folder = build(trained_run, tmp_path / "folder", repo_id=NAME, examples=photographs)
    figures = {"figures/predictions.png", "figures/codes.png"}
    assert {"examples/1.png", "examples/2.png", *figures} <= contents(folder).keys()
    assert all(f"]({name})" in (folder / "README.md").read_text() for name in figures)
    with Image.open(folder / "figures" / "predictions.png") as figure:
        assert figure.width > 3 * figure.height / 2


def test_the_labels_are_those_of_predict(published, photographs, tmp_path):
    processor = LGNImageProcessor.from_pretrained(published)
    paths = save_examples(photographs, processor, tmp_path)
    model = LGNForImageClassification.from_pretrained(published)
    figure = draw_examples(model, processor, paths)["predictions"]
    best = [found[0] for found in predict(published, paths)]
    assert texts_of(figure) == [f"{found.label}\n{100 * found.probability:.1f} %" for found in best]


@pytest.mark.parametrize("whitening", ["none", "patch"])
def test_a_reconstruction_is_shown_beside_its_image(tmp_path, whitening):
    images = torch.randint(256, (50, 1, 12, 12), dtype=torch.uint8)
    processor = LGNImageProcessor(12, 1, whitening=whitening).fit(images)
    model = LGNForImageReconstruction(
        LGNConfig(image_size=12, num_groups=2, group_order=2, num_layers=2, filter_size=3)
    )
    figures = draw_examples(model, processor, save_examples(images[:3], processor, tmp_path))
    figure = figures["reconstructions"]
    pixel_values = processor.pixel_values(images[:3])
    with torch.no_grad():
        error = model.eval()(pixel_values).reconstruction - pixel_values
    shares = 100 * error.square().sum((1, 2, 3)) / pixel_values.square().sum((1, 2, 3))
    assert texts_of(figure) == [f"{share:.2f} %" for share in shares.tolist()]
    between = [] if whitening == "none" else ["whitened", "reconstructed"]
    assert row_names(figure) == ["image", *between, "as an image" if between else "reconstructed"]
    shares = [(code[0] != 0).double().mean() for code in model(pixel_values, output_hidden_states=True).hidden_states]
    below = [text for text in texts_of(figures["codes"]) if "non-zero" in text]
    assert below == [f"{share:.1%} non-zero" for share in shares]
    shown = figure.axes[1].images[0].get_array()
    assert np.allclose(shown, images[1, 0].numpy() / 255, atol=1e-6)


def test_an_answer_that_is_not_finite_is_no_picture(published, photographs, tmp_path):
    processor = LGNImageProcessor.from_pretrained(published)
    model = LGNForImageClassification.from_pretrained(published)
    model.classifier.bias.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        draw_examples(model, processor, save_examples(photographs, processor, tmp_path))


def test_without_examples_there_is_no_picture(published):
    assert "examples/" not in " ".join(contents(published))
    assert "figures/predictions.png" not in (published / "README.md").read_text()
    assert draw_examples(None, LGNImageProcessor(), []) == {}


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_a_folder_that_is_built_again_keeps_its_own(trained_run, photographs, tmp_path):
    folder = build(trained_run, tmp_path / "folder", repo_id=NAME, examples=photographs)
    before = read_folder(folder)
    assert read_folder(build(folder, folder, repo_id=NAME)) == before
    fewer = contents(build(folder, folder, repo_id=NAME, examples=photographs[:1]))
    assert "examples/1.png" in fewer
    assert "examples/2.png" not in fewer
    assert "figures/predictions.png" not in contents(build(folder, folder, repo_id=NAME, examples=[]))


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_an_example_that_cannot_be_read_leaves_the_folder_as_it_was(folder, tmp_path):
    before = read_folder(folder)
    with pytest.raises(ValueError, match=r"nothere\.png"):
        build(folder, folder, repo_id=NAME, examples=["nothere.png"])
    assert read_folder(folder) == before
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_colour_image_is_shown_in_colour():
    rows = {"a": [np.full((2, 2, 3), 255, np.uint8)] * 2, "b": [np.zeros((2, 2))] * 2}
    figure = image_plot(rows, ["x", "y"])
    assert [ax.images[0].get_array().shape for ax in figure.axes] == [(2, 2, 3), (2, 2, 3), (2, 2), (2, 2)]
    assert row_names(figure) == ["a", "b"]
    assert texts_of(figure) == ["x", "y"]


@pytest.mark.slow
@pytest.mark.usefixtures("blank_figures")
def test_the_command_takes_them(trained_run, photographs, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from lgn_hf.cli import app

    monkeypatch.setattr("lgn_hf.hub.publication.validate", lambda folder: None)  # see test_trial.py
    run = shutil.copytree(trained_run, tmp_path / "run")
    options = [value for path in photographs for value in ("--example", path)]
    result = CliRunner().invoke(app, ["publish", str(run), NAME, "--dry-run", *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "predictions.png" in result.output
    assert len(find_examples(run / "hub")) == 2
    assert json.loads((run / "hub" / "config.json").read_text())["model_type"] == "lgn"
