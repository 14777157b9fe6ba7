"""The image processor: every way of handing an image over, statistics, the way back, and files."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers.utils.hub
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, pipeline
from transformers.image_utils import load_image

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.model import image_processing_lgn
from tests.support.samples import sample_images

BILINEAR = Image.Resampling.BILINEAR
GREY = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
WHITENINGS = ["none", "zca", "patch"]


def make_processor(num_channels: int, whitening: str = "none") -> LGNImageProcessor:
    """A processor fitted on real images."""
    images = sample_images(num_channels)
    return LGNImageProcessor(images.shape[-1], num_channels, whitening=whitening).fit(images)


def pixels(processor: LGNImageProcessor, images, **kwargs) -> torch.Tensor:
    return processor(images, return_tensors="pt", **kwargs).pixel_values


def png(image: Image.Image) -> Image.Image:
    """The image as read from a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Image.open(io.BytesIO(buffer.getvalue()))


def name_of(image) -> str:
    kind = image.mode if isinstance(image, Image.Image) else tuple(getattr(image, "shape", ()))
    return f"{type(image).__name__}-{kind}"


@pytest.fixture(scope="module", params=[(n, w) for n in (1, 3) for w in WHITENINGS], ids=str)
def processor(request) -> LGNImageProcessor:
    return make_processor(*request.param)


class TestEveryKindOfImage:
    """Whatever holds the picture, the pixel values are the same."""

    @pytest.mark.parametrize(
        "image",
        [
            Image.fromarray(GREY),
            Image.fromarray(GREY).convert("RGB"),
            Image.fromarray(GREY).convert("LA"),
            Image.fromarray(GREY).convert("P"),
            Image.fromarray(GREY * np.uint16(257)),
            Image.fromarray(GREY.astype(np.int32)),
            Image.fromarray(GREY.astype(np.float32) / 255),
            GREY,
            GREY[None],
            GREY[..., None],
            GREY.astype(np.int64),
            GREY * np.uint16(257),
            GREY / 255,
            GREY.astype(np.float32) / 255,
            np.stack([GREY] * 3),
            np.stack([GREY] * 4, -1),
            torch.from_numpy(GREY),
            torch.from_numpy(GREY)[None],
            torch.from_numpy(GREY)[..., None],
            (torch.from_numpy(GREY) / 255).requires_grad_(),
            GREY[None, None],
            torch.from_numpy(GREY)[None, None],
            [Image.fromarray(GREY)],
            (torch.from_numpy(GREY),),
            [[GREY]],
            np.asfortranarray(GREY),
            GREY[::-1].copy()[::-1],
        ],
        ids=name_of,
    )
    def test_grey(self, image):
        processor = LGNImageProcessor(12, 1, image_mean=[0.2], image_std=[0.4])
        expected = (torch.from_numpy(GREY)[None, None].float() / 255 - 0.2) / 0.4
        assert torch.equal(pixels(processor, image), expected)

    @pytest.mark.parametrize(
        "image",
        [
            Image.fromarray(COLOUR),
            png(Image.fromarray(COLOUR)),
            Image.fromarray(np.dstack([COLOUR, GREY])),
            COLOUR,
            COLOUR.transpose(2, 0, 1),
            np.dstack([COLOUR, GREY]),
            COLOUR / 255,
            torch.from_numpy(COLOUR),
            torch.from_numpy(COLOUR).permute(2, 0, 1),
            torch.from_numpy(COLOUR).permute(2, 0, 1)[None],
            (torch.from_numpy(COLOUR) / 255).permute(2, 0, 1),
            COLOUR[None],
            [COLOUR.transpose(2, 0, 1)],
        ],
        ids=name_of,
    )
    def test_colour(self, image):
        processor = LGNImageProcessor(12, 3, image_mean=[0.2, 0.3, 0.4], image_std=[0.4, 0.5, 0.6])
        mean, std = torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1), torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
        expected = (torch.from_numpy(COLOUR).permute(2, 0, 1)[None].float() / 255 - mean) / std
        assert torch.equal(pixels(processor, image), expected)

    def test_black_and_white(self):
        values = pixels(LGNImageProcessor(12, 1, [0.0], [1.0]), [Image.fromarray(GREY > 127), GREY > 127])
        assert torch.equal(values, torch.from_numpy(GREY > 127).float().expand(2, 1, 12, 12))

    @pytest.mark.parametrize("num_channels", [1, 3])
    def test_a_palette_with_transparency(self, num_channels):
        image = Image.fromarray(COLOUR).quantize(16)
        image.info["transparency"] = bytes(range(16))
        expected = pixels(LGNImageProcessor(12, num_channels), Image.fromarray(COLOUR).quantize(16))
        assert torch.equal(pixels(LGNImageProcessor(12, num_channels), image), expected)

    def test_colour_becomes_grey_as_in_pillow(self):
        expected = pixels(LGNImageProcessor(12, 1), Image.fromarray(COLOUR).convert("L"))
        for image in (Image.fromarray(COLOUR), COLOUR, torch.from_numpy(COLOUR).permute(2, 0, 1)):
            assert torch.equal(pixels(LGNImageProcessor(12, 1), image), expected)

    @pytest.mark.parametrize("shape", [(30, 20), (5, 7), (12, 13), (1, 1)])
    def test_any_size_is_resized_as_in_pillow(self, shape):
        picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        resized = Image.fromarray(picture).resize((12, 12), Image.Resampling.BILINEAR)
        processor = LGNImageProcessor(12, 3)
        expected = pixels(processor, resized)
        assert torch.equal(pixels(processor, Image.fromarray(picture)), expected)
        for image in (picture, torch.from_numpy(picture)):
            assert torch.equal(pixels(processor, image, input_data_format="channels_last"), expected)

    def test_a_path(self, tmp_path):
        for image in (Image.fromarray(GREY), Image.fromarray(GREY * np.uint16(257))):
            image.save(tmp_path / "image.png")
            for path in (tmp_path / "image.png", str(tmp_path / "image.png")):
                assert torch.equal(pixels(LGNImageProcessor(12), path), pixels(LGNImageProcessor(12), GREY))

    def test_a_mixed_batch(self):
        values = pixels(LGNImageProcessor(12, 1), [Image.fromarray(COLOUR), GREY, [torch.ones(3, 40, 30)]])
        assert values.shape == (3, 1, 12, 12)
        assert (values[2] == 1).all()

    def test_channels_are_where_one_says_if_the_shape_does_not(self):
        image = torch.arange(27, dtype=torch.uint8).view(3, 3, 3)
        processor = LGNImageProcessor(3, 3, [0.0] * 3, [1 / 255] * 3)
        assert torch.equal(pixels(processor, image).round(), image[None].float())
        for batch in (image, image[None]):
            last = pixels(processor, batch, input_data_format="channels_last")
            assert torch.equal(last.round(), image.permute(2, 0, 1)[None].float())

    @pytest.mark.parametrize(("return_tensors", "kind"), [("pt", torch.Tensor), ("np", np.ndarray), (None, list)])
    def test_comes_as_asked(self, return_tensors, kind):
        values = LGNImageProcessor(12)([GREY, GREY], return_tensors=return_tensors)["pixel_values"]
        assert isinstance(values, kind)
        assert np.asarray(values).shape == (2, 1, 12, 12)
        assert np.asarray(values).dtype == np.float32


class TestAnotherSize:
    @pytest.mark.parametrize("whitening", ["none", "patch"])
    def test_can_be_asked_of_a_call(self, whitening):
        processor = make_processor(1, whitening)
        image = Image.linear_gradient("L").resize((11, 11))
        values = pixels(processor, image, size=11)
        assert values.shape == (1, 1, 11, 11)
        assert processor.image_size != 11
        if whitening == "none":
            expected = torch.from_numpy(np.array(image)).float() / 255
            torch.testing.assert_close(values[0, 0], (expected - processor.image_mean[0]) / processor.image_std[0])

    @pytest.mark.parametrize(
        ("size", "message"),
        [(11, "does not fit whitening='zca'"), ({"height": 9, "width": 8}, "square height and width")],
    )
    def test_must_fit(self, size, message):
        with pytest.raises(ValueError, match=message):
            make_processor(1, "zca")(Image.new("L", (11, 11)), size=size)


class TestOptions:
    """How oblong images become square, and how more than 8 bits are scaled."""

    def test_oblong_images_are_squashed_cropped_or_padded(self):
        picture = Image.fromarray(np.tile(GREY, (1, 2)))  # 24 wide, 12 high
        fitted = {mode: pixels(LGNImageProcessor(12, resize_mode=mode), picture) for mode in ("squash", "crop", "pad")}
        assert torch.equal(fitted["crop"], pixels(LGNImageProcessor(12), picture.crop((6, 0, 18, 12))))
        assert torch.equal(fitted["squash"], pixels(LGNImageProcessor(12), picture.resize((12, 12), BILINEAR)))
        assert (fitted["pad"][..., :3, :] == fitted["pad"].min()).all()
        assert torch.equal(
            fitted["pad"][..., 3:9, :],
            pixels(LGNImageProcessor(12), picture.resize((12, 6), BILINEAR).crop((0, -3, 12, 9)))[..., 3:9, :],
        )

    @pytest.mark.parametrize("image", [GREY.astype(np.int64) * 16, GREY * np.uint16(16), GREY * 16.0])
    def test_the_greatest_value_may_be_given(self, image):
        processor = LGNImageProcessor(12, max_pixel_value=255 * 16)
        assert torch.equal(pixels(processor, image), pixels(processor, GREY))
        assert torch.equal(pixels(processor, Image.fromarray(image.astype(np.int32))), pixels(processor, GREY))

    def test_they_are_saved(self, tmp_path):
        LGNImageProcessor(12, resize_mode="pad", max_pixel_value=4095).save_pretrained(tmp_path)
        loaded = LGNImageProcessor.from_pretrained(tmp_path)
        assert (loaded.resize_mode, loaded.max_pixel_value) == ("pad", 4095)

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"resize_mode": "zoom"}, "resize_mode='zoom': must be one of squash, crop, pad"),
            ({"max_pixel_value": 0}, "max_pixel_value=0: must be greater than 0"),
            ({"max_pixel_value": "255"}, "max_pixel_value='255': must be greater than 0"),
        ],
    )
    def test_wrong_values(self, option, message):
        with pytest.raises(ValueError, match=message):
            LGNImageProcessor(12, **option)


class TestBadInput:
    @pytest.mark.parametrize(
        ("images", "message"),
        [
            ([], "images is empty"),
            (np.zeros((0, 12, 12, 1)), "images is empty"),
            (torch.zeros(0, 1, 12, 12, dtype=torch.uint8), "images is empty"),
            (np.zeros((12, 12, 2)), r"image 0: has shape \(12, 12, 2\): allowed are \(H, W\), .* C = 1, 3 or 4"),
            (np.zeros((0, 12)), r"has shape \(1, 0, 12\)"),
            (np.zeros(12), r"has shape \(12,\)"),
            (np.zeros((5, 12, 12)), r"has shape \(5, 12, 12\)"),
            ([GREY, np.full((12, 12), np.nan)], r"image 1: has float64 values in nan..nan: allowed are .* 0..1"),
            (np.full((12, 12), 2.0), r"float64 values in 2.0..2.0: allowed are floating-point numbers in 0..1"),
            (np.full((12, 12), -1), r"int64 values in -1..-1: allowed are integers in 0..255"),
            (np.full((12, 12), 256), "256..256"),
            (np.full((12, 12), "a"), "has <U1 values"),
            (None, "is a NoneType: allowed are PIL images, paths, URLs, numpy arrays and tensors"),
            ([{"image": GREY}], "is a dict"),
            ("no such file.png", "image 0: .*no such file.png"),
        ],
    )
    def test_is_an_error_that_says_what_was_given_and_what_is_allowed(self, images, message):
        with pytest.raises(ValueError, match=message):
            LGNImageProcessor(12)(images)

    @pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nxxxx", "truncated"])
    def test_a_broken_file_is_an_error(self, content, tmp_path):
        if content == "truncated":
            buffer = io.BytesIO()
            Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(buffer, "PNG")
            content = buffer.getvalue()[:2000]
        (tmp_path / "image.png").write_bytes(content)
        with pytest.raises(ValueError, match="image 0: "):
            LGNImageProcessor(12)(str(tmp_path / "image.png"))

    @pytest.mark.parametrize("options", [{"return_tensors": "tf"}, {"input_data_format": "hwc"}])
    def test_options_are_checked(self, options):
        with pytest.raises(ValueError, match=rf"{next(iter(options))}=.*must be"):
            LGNImageProcessor(12)(GREY, **options)

    @pytest.mark.parametrize(
        "images", [torch.zeros(2, 3, 12, 12, dtype=torch.uint8), torch.zeros(2, 1, 12, 12), torch.zeros(2), GREY]
    )
    def test_batches_are_checked(self, images):
        for method in (LGNImageProcessor(12).pixel_values, LGNImageProcessor(12).fit):
            with pytest.raises(ValueError, match=r"images must be torch.uint8 \(N, 1, 12, 12\), got"):
                method(images)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_channels": 2}, "num_channels=2: must be 1 or 3"),
            ({"image_size": 0}, "size=0: must be"),
            ({"size": {"height": 3, "width": 4}}, "size=.*square"),
            ({"size": {"shortest_edge": 3}}, "size=.*square"),
            ({"whitening": "pca"}, "whitening='pca': must be one of none, zca, patch"),
            ({"image_mean": [0.1, 0.2]}, "image_mean=.*must be 1 finite numbers"),
            ({"image_std": [0.0]}, "image_std=.*must be positive"),
        ],
    )
    def test_fields_are_checked(self, options, message):
        with pytest.raises(ValueError, match=message):
            LGNImageProcessor(**options)

    def test_typos_are_an_error(self):
        with pytest.raises(TypeError, match="whitenning"):
            LGNImageProcessor(whitenning="zca")

    def test_whitening_must_be_fitted(self, tmp_path):
        processor = LGNImageProcessor(12, whitening="zca")
        for use in (lambda: processor(GREY), lambda: processor.save_pretrained(tmp_path)):
            with pytest.raises(ValueError, match="whitening='zca' is not fitted"):
                use()
        assert not list(tmp_path.iterdir())


class TestStatistics:
    @pytest.mark.parametrize("num_channels", [1, 3])
    def test_are_those_of_the_training_images(self, num_channels):
        images = sample_images(num_channels)
        processor = make_processor(num_channels)
        np.testing.assert_allclose(processor.image_mean, images.double().mean((0, 2, 3)) / 255, rtol=1e-12)
        np.testing.assert_allclose(processor.image_std, images.double().std((0, 2, 3), correction=0) / 255, rtol=1e-12)

    def test_training_images_come_out_standardised(self):
        values = make_processor(3).pixel_values(sample_images(3))
        torch.testing.assert_close(values.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
        torch.testing.assert_close(values.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-4)

    def test_training_images_come_out_white(self):
        images = sample_images(1)
        values = make_processor(1, "zca").pixel_values(images).flatten(1).double()
        gains = torch.linalg.eigvalsh(values.T.cov(correction=0))
        assert ((gains < 1e-6) | ((gains > 0.4) & (gains < 1 + 1e-4))).all()

    def test_a_constant_channel_is_only_centred(self):
        images = sample_images(3).clone()
        images[:, 1] = 7
        processor = LGNImageProcessor(images.shape[-1], 3).fit(images)
        assert processor.image_std[1] == 1
        assert processor.pixel_values(images)[:, 1].abs().max() < 1e-6

    def test_options_reach_the_whitening(self):
        images = sample_images(1)
        size = images.shape[-1]
        strong = LGNImageProcessor(size, 1, whitening="zca").fit(images, eps=10.0)
        assert strong.pixel_values(images).std() < 0.5 * make_processor(1, "zca").pixel_values(images).std()


class TestOnePath:
    def test_batches_and_single_images_agree(self, processor):
        """Training takes the batch, inference the images: PIL, arrays, one by one or together."""
        images = sample_images(processor.num_channels, 12)
        batch = processor.pixel_values(images)
        pictures = [Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()) for image in images]
        assert torch.equal(pixels(processor, images), batch)
        assert torch.equal(pixels(processor, pictures), batch)
        assert torch.equal(pixels(processor, [image.numpy() for image in images]), batch)
        one_by_one = torch.cat([pixels(processor, picture) for picture in pictures])
        torch.testing.assert_close(one_by_one, batch, rtol=2e-7, atol=1e-10)

    def test_pipelines_grey_as_colour_is_the_same(self, processor):
        """transformers' pipelines convert every image to RGB before the processor sees it."""
        picture = Image.fromarray(sample_images(1, 1)[0, 0].numpy())
        assert torch.equal(pixels(processor, load_image(picture)), pixels(processor, picture))

    def test_reconstructions_become_images_again(self, processor):
        images = sample_images(processor.num_channels, 12)
        pictures = processor.post_process_reconstruction(processor.pixel_values(images))
        assert {picture.mode for picture in pictures} == {"L" if processor.num_channels == 1 else "RGB"}
        for picture, image in zip(pictures, images, strict=True):
            assert np.array_equal(np.array(picture), image.permute(1, 2, 0).squeeze(-1).numpy())

    def test_reconstructions_out_of_range_are_clipped(self):
        processor = LGNImageProcessor(2, 1, [0.5], [1.0])
        values = torch.tensor([[[[-2.0, 2.0], [0.0, 0.5]]]])
        assert np.array(processor.post_process_reconstruction(values)[0]).tolist() == [[0, 255], [128, 255]]

    @pytest.mark.parametrize(
        "wrong", [torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2), torch.full((1, 1, 2, 2), torch.nan)]
    )
    def test_wrong_reconstructions_are_an_error(self, wrong):
        with pytest.raises(ValueError, match=r"a reconstruction is \(B, 1, 2, 2\) and finite, got"):
            LGNImageProcessor(2).post_process_reconstruction(wrong)


class TestFiles:
    def test_survive_saving_bit_for_bit(self, processor, tmp_path):
        files = processor.save_pretrained(tmp_path)
        written = ["preprocessor_config.json"] + ["whitening.safetensors"] * (processor.whitening != "none")
        assert [Path(file).name for file in files] == written
        loaded = LGNImageProcessor.from_pretrained(tmp_path)
        images = sample_images(processor.num_channels, 12)
        assert torch.equal(loaded.pixel_values(images), processor.pixel_values(images))
        assert loaded.to_dict() == processor.to_dict()

    def test_json_is_small_and_plain(self, processor, tmp_path):
        processor.save_pretrained(tmp_path)
        text = (tmp_path / "preprocessor_config.json").read_text()
        fields = ["image_mean", "image_std", "num_channels", "size", "whitening"]
        assert sorted(json.loads(text)) == sorted([*fields, "auto_map", "image_processor_type"])
        assert len(text) < 700
        assert repr(processor) == f"LGNImageProcessor {text}"

    def test_load_from_the_json_file_itself(self, processor, tmp_path):
        processor.save_pretrained(tmp_path)
        assert (
            LGNImageProcessor.from_pretrained(tmp_path / "preprocessor_config.json").to_dict() == processor.to_dict()
        )

    def test_a_whitening_left_from_before_is_removed(self, tmp_path):
        make_processor(1, "zca").save_pretrained(tmp_path)
        make_processor(1, "none").save_pretrained(tmp_path)
        assert not (tmp_path / "whitening.safetensors").exists()

    def test_an_interrupted_save_leaves_the_old_file(self, tmp_path, monkeypatch):
        make_processor(1, "zca").save_pretrained(tmp_path)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

        def interrupted(tensors, path, metadata):
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(image_processing_lgn, "save_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_processor(1, "zca").save_pretrained(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before

    def test_the_size_can_be_overridden_by_either_name(self, tmp_path):
        make_processor(1).save_pretrained(tmp_path)
        for name in ("size", "image_size"):
            assert LGNImageProcessor.from_pretrained(tmp_path, **{name: 16}).image_size == 16

    def test_fields_can_be_overridden(self, tmp_path):
        make_processor(1, "zca").save_pretrained(tmp_path)
        loaded, unused = LGNImageProcessor.from_pretrained(
            tmp_path, whitening="none", image_mean=[0.25], other=1, return_unused_kwargs=True
        )
        assert (loaded.whitening, loaded.image_mean, unused["other"]) == ("none", [0.25], 1)

    @pytest.mark.parametrize("whitening", ["zca", "patch"])
    @pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "other size", "other tensors", "nan"])
    def test_a_damaged_whitening_is_an_error_that_names_the_file(self, whitening, damage, tmp_path):
        make_processor(1, whitening).save_pretrained(tmp_path)
        path = tmp_path / "whitening.safetensors"
        tensors = load_file(path)
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(path.read_bytes()[:-5])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "other size":
            make_processor(3, whitening).save_pretrained(tmp_path / "colour")
            (tmp_path / "colour" / "whitening.safetensors").replace(path)
        elif damage == "other tensors":
            save_file({"matrix": torch.eye(4)}, path)
        else:
            save_file({**tensors, "mean": tensors["mean"] * torch.nan}, path)
        with pytest.raises((OSError, ValueError), match=r"whitening\.safetensors") as error:
            LGNImageProcessor.from_pretrained(tmp_path)
        assert "Traceback" not in str(error.value)


class TestHub:
    def test_loads_the_whitening_of_the_given_revision(self, processor, tmp_path):
        """As in the Hub's cache after a download."""
        repository, commit = tmp_path / "models--someone--digits", "a" * 40
        processor.save_pretrained(repository / "snapshots" / commit / "part")
        (repository / "refs").mkdir()
        (repository / "refs" / "v1").write_text(commit)
        loaded = LGNImageProcessor.from_pretrained(
            "someone/digits", cache_dir=tmp_path, revision="v1", subfolder="part", local_files_only=True
        )
        images = sample_images(processor.num_channels, 4)
        assert torch.equal(loaded.pixel_values(images), processor.pixel_values(images))

    def test_pushes_the_whitening(self, processor, tmp_path, monkeypatch):
        class Hub:
            def create_repo(self, repo_id, **kwargs):
                self.repo_id = repo_id
                return self

            def create_commit(self, repo_id, operations, **kwargs):
                pushed[repo_id] = {operation.path_in_repo for operation in operations}

        class Card:
            def save(self, path):
                Path(path).write_text("card")

        pushed = {}
        monkeypatch.setattr(transformers.utils.hub, "hf_api", Hub)
        monkeypatch.setattr(transformers.utils.hub, "create_and_tag_model_card", lambda *args, **kwargs: Card())
        processor.push_to_hub("someone/a")
        processor.save_pretrained(tmp_path / "b", push_to_hub=True)
        processor.save_pretrained(tmp_path, push_to_hub=True, repo_id="someone/c")
        files = {"README.md", "preprocessor_config.json"}
        files |= {"image_processing_lgn.py", "image_conversion.py", "whitening.py"}
        if processor.whitening != "none":
            files.add("whitening.safetensors")
        assert pushed == {"someone/a": files, "b": files, "someone/c": files}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> tuple[Path, torch.Tensor]:
    """A folder with a classifier and its processor, and the scores of the picture in it."""
    folder = tmp_path_factory.mktemp("repository")
    processor = make_processor(1, "patch")
    processor.save_pretrained(folder)
    torch.manual_seed(0)
    model = LGNForImageClassification(
        LGNConfig(image_size=processor.image_size, num_labels=3, num_groups=2, num_layers=2, filter_size=3)
    ).eval()
    model.save_pretrained(folder)
    images = sample_images(1, 3)
    Image.fromarray(images[0, 0].numpy()).save(folder / "digit.png")
    scores = model(processor.pixel_values(images[:1])).logits.softmax(-1)[0]
    return folder, scores.detach()


class TestAuto:
    """A model repository works through the Auto classes and pipelines, and asks no questions."""

    def test_with_the_package(self, repository, monkeypatch):
        folder, expected = repository

        def ask(*args):
            raise AssertionError(f"the user was asked: {args}")

        monkeypatch.setattr("builtins.input", ask)
        assert type(AutoImageProcessor.from_pretrained(folder)) is LGNImageProcessor
        classify = pipeline("image-classification", model=str(folder))
        assert type(classify.image_processor) is LGNImageProcessor
        scores = {answer["label"]: answer["score"] for answer in classify(str(folder / "digit.png"))}
        torch.testing.assert_close(torch.tensor([scores[f"LABEL_{i}"] for i in range(3)]), expected)

    @pytest.mark.slow
    def test_without_the_package(self, repository, tmp_path):
        folder, expected = repository
        code = """if True:
            import json, sys
            sys.modules["lgn_hf"] = None  # even where it is installed
            from transformers import AutoImageProcessor, pipeline
            folder, again = sys.argv[1:]
            processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
            processor.save_pretrained(again)
            classify = pipeline("image-classification", model=folder, trust_remote_code=True)
            print(json.dumps(classify(folder + "/digit.png")))
        """
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, folder, tmp_path / "again"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        scores = {answer["label"]: answer["score"] for answer in json.loads(done.stdout.splitlines()[-1])}
        torch.testing.assert_close(torch.tensor([scores[f"LABEL_{i}"] for i in range(3)]), expected)
        modules = ("image_processing_lgn.py", "image_conversion.py", "whitening.py")
        for name in ("preprocessor_config.json", "whitening.safetensors", *modules):
            assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()

    def test_alone_with_the_package(self, tmp_path, monkeypatch):
        """Without a model beside it."""
        make_processor(1, "patch").save_pretrained(tmp_path)
        monkeypatch.setattr("builtins.input", lambda *args: pytest.fail(f"the user was asked: {args}"))
        for trust in (None, False, True):
            assert type(AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=trust)) is LGNImageProcessor

    @pytest.mark.slow
    def test_alone_without_the_package(self, tmp_path):
        processor = make_processor(1, "patch")
        processor.save_pretrained(tmp_path / "alone")
        images = sample_images(1, 3)
        torch.save(images, tmp_path / "images.pt")
        code = """if True:
            import sys
            sys.modules["lgn_hf"] = None  # even where it is installed
            import torch
            from transformers import AutoImageProcessor
            processor = AutoImageProcessor.from_pretrained(sys.argv[1] + "/alone", trust_remote_code=True)
            torch.save(processor.pixel_values(torch.load(sys.argv[1] + "/images.pt")), sys.argv[1] + "/values.pt")
        """
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, tmp_path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert torch.equal(torch.load(tmp_path / "values.pt"), processor.pixel_values(images))
