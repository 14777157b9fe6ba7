"""From images to the network's `pixel_values` and back: convert to 8 bits, standardise, whiten."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils.hub import cached_file

from .image_conversion import MODES, RESIZE_MODES, flatten, to_pil, to_pixels
from .whitening import WHITENINGS, Whitening

WHITENING_NAME = "whitening.safetensors"
AUTO_MAP = {"AutoImageProcessor": ["image_processing_lgn.LGNImageProcessor", None]}
LARGEST_IMAGE = 4096  # pixels on a side, as in the configuration


class LGNImageProcessorKwargs(TypedDict, total=False):
    """What preprocessor_config.json holds."""

    size: dict[str, int] | int
    num_channels: int
    image_mean: list[float]
    image_std: list[float]
    whitening: str
    resize_mode: str
    max_pixel_value: float | None


class LGNImageProcessor(BaseImageProcessor):
    """Prepares images for a Linear Group Network exactly as its training images were prepared.

    Every image becomes 8 bits, `num_channels` channels and `image_size` x `image_size` pixels. Then it is
    standardised per channel and whitened, as in the code of "Learning Linear Groups in Neural Networks":

        pixel_values = whiten((image / 255 - image_mean) / image_std).

    `fit` learns mean, deviation and whitening from training images. They travel with the checkpoint: mean and
    deviation in preprocessor_config.json, the tensors of the whitening in whitening.safetensors.

    The whitening is part of the processor rather than a buffer of the model, for three reasons: training
    whitens each image once rather than in every epoch, the network stays that of the papers, and a model in
    bfloat16 still gets exactly whitened images.

    Args:
        image_size: height and width of the network's images, pixels.
        num_channels: 1 (grey) or 3 (colour). Images are converted as Pillow does; transparency is dropped.
        image_mean: mean of each channel, of images in [0, 1]; default 0.5.
        image_std: standard deviation of each channel, of images in [0, 1]; default 0.5.
        whitening: "none", "zca" (the papers', tied to pixel positions) or "patch" (a convolution).
        resize_mode: what becomes of images that are not square: "squash" (both sides are resized), "crop" (the middle is
            kept) or "pad" (black is added).
        max_pixel_value: the value that becomes 255 in images of more than 8 bits, such as 4095 for a camera of 12 bits. By
            default 65535 for uint16, 255 for other integers, and 1 for floating-point numbers.
        size: image_size as transformers writes it, {"height": image_size, "width": image_size}; overrides image_size.
        fitted: a fitted whitening, instead of calling `fit`.

    Raises:
        ValueError: a wrong value; the message names it and what is allowed.

    Example:
        >>> processor = LGNImageProcessor(image_size=32, num_channels=3)
        >>> processor(Image.new("L", (640, 480)), return_tensors="pt").pixel_values.shape
        torch.Size([1, 3, 32, 32])
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012
    valid_kwargs = LGNImageProcessorKwargs  # pyrefly: ignore[bad-override]
    _auto_class = "AutoImageProcessor"

    def __init__(
        self,
        image_size: int = 28,
        num_channels: int = 1,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        whitening: str = "none",
        resize_mode: str = "squash",
        max_pixel_value: float | None = None,
        *,
        size: dict[str, int] | int | None = None,
        fitted: Whitening | None = None,
    ):
        super().__init__()
        self.size = _square(image_size if size is None else size)
        self.num_channels = num_channels
        if type(num_channels) is not int or num_channels not in MODES:
            raise ValueError(f"num_channels={num_channels!r}: must be 1 or 3")
        self.image_mean = _per_channel("image_mean", image_mean, num_channels)
        self.image_std = _per_channel("image_std", image_std, num_channels)
        if min(self.image_std) <= 0:
            raise ValueError(f"image_std={image_std!r}: must be positive")
        if whitening not in ("none", *WHITENINGS):
            raise ValueError(f"whitening={whitening!r}: must be one of none, {', '.join(WHITENINGS)}")
        self.whitening = whitening
        if resize_mode not in RESIZE_MODES:
            raise ValueError(f"resize_mode={resize_mode!r}: must be one of {', '.join(RESIZE_MODES)}")
        self.resize_mode = resize_mode
        is_number = type(max_pixel_value) in (int, float)
        if max_pixel_value is not None and not (is_number and 0 < max_pixel_value < float("inf")):
            raise ValueError(f"max_pixel_value={max_pixel_value!r}: must be greater than 0")
        self.max_pixel_value = max_pixel_value
        self._fitted = fitted
        if fitted is not None:
            self._check_fitted(fitted)

    @property
    def image_size(self) -> int:
        """Height and width of the network's images, pixels."""
        return self.size["height"]

    @property
    def fitted(self) -> Whitening | None:
        """The whitening, None if there is none.

        Raises:
            ValueError: it is not fitted yet.
        """
        return self._ready()

    def _check_fitted(self, fitted: Whitening) -> None:
        kind = WHITENINGS[self.whitening][0] if self.whitening in WHITENINGS else None
        shape = (self.num_channels, self.image_size, self.image_size)
        if type(fitted) is not kind or tuple(fitted.mean.shape) != shape[: fitted.mean.ndim]:
            raise ValueError(
                f"{WHITENING_NAME}: a {type(fitted).__name__} of images {tuple(fitted.mean.shape)} does not fit "
                f"whitening={self.whitening!r} of images {shape}"
            )

    # Batches of 8-bit tensors: the one path to pixel_values, and back

    def fit(self, images: Tensor, **options: Any) -> LGNImageProcessor:
        """Learn mean, deviation and whitening from training images, and return the processor itself.

        Args:
            images: uint8 (N, num_channels, image_size, image_size).
            options: passed to `fit_zca` or `fit_patch`, such as `eps`.

        Raises:
            ValueError: images of another shape or type, or images that a whitening cannot be fitted on.
        """
        self._check_batch(images)
        if len(images) == 0:
            raise ValueError(f"cannot fit on no images: got uint8 {tuple(images.shape)}")
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for channel in images.unbind(1):
            share = torch.bincount(channel.flatten(), minlength=256).cpu().double() / channel.numel()
            mean = (share * levels).sum()
            means.append(mean.item())
            # a constant channel is only centred
            deviations.append((share * (levels - mean).square()).sum().sqrt().item() if (share < 1).all() else 1.0)
        self.image_mean, self.image_std = means, deviations
        if self.whitening != "none":
            self._fitted = WHITENINGS[self.whitening][1](self._standardise(images), **options)
        return self

    def pixel_values(self, images: Tensor) -> Tensor:
        """The network's input for a batch that needs no conversion, such as training images.

        Calling the processor on the same images gives the same values. This method is faster, since it does
        nothing image by image, and it stays on the device of the images.

        Args:
            images: uint8 (N, num_channels, image_size, image_size).

        Returns:
            float32, of the same shape.

        Raises:
            ValueError: images of another shape or type, or a whitening that is not fitted.
        """
        self._check_batch(images)
        fitted = self._ready()
        if fitted is None:
            return self._standardise(images)
        fitted = self._fitted = fitted.to(images.device)
        return torch.cat([fitted(self._standardise(chunk)) for chunk in images.split(4096)])

    def post_process_reconstruction(self, reconstruction: Tensor) -> list[Image.Image]:
        """The images that `pixel_values`, or a reconstruction of them, stand for.

        Undoes whitening and standardisation, then rounds to 8 bits. Directions that whitening has lost come back
        in the least-squares sense.

        Args:
            reconstruction: (B, num_channels, image_size, image_size).

        Returns:
            B images of mode L or RGB.

        Raises:
            ValueError: a reconstruction of another shape, or with NaN or infinity.
        """
        shape = (self.num_channels, self.image_size, self.image_size)
        if tuple(reconstruction.shape[1:]) != shape or not bool(reconstruction.isfinite().all()):
            raise ValueError(
                f"a reconstruction is (B, {', '.join(map(str, shape))}) and finite, got {tuple(reconstruction.shape)}"
            )
        images = reconstruction.detach().float()
        fitted = self._ready()
        if fitted is not None:
            images = fitted.invert(images)
        mean, std = self._statistics(images.device)
        pixels = ((images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        return [to_pil(image.numpy()) for image in pixels]

    def _standardise(self, images: Tensor) -> Tensor:
        mean, std = self._statistics(images.device)
        return (images.float() / 255 - mean) / std

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (self.image_mean, self.image_std))
        return mean, std

    def _is_batch(self, images: Any) -> bool:
        shape = (self.num_channels, self.image_size, self.image_size)
        return isinstance(images, Tensor) and images.dtype == torch.uint8 and tuple(images.shape[1:]) == shape

    def _check_batch(self, images: Tensor) -> None:
        if not self._is_batch(images):
            given = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
            side = self.image_size
            raise ValueError(f"images must be torch.uint8 (N, {self.num_channels}, {side}, {side}), got {given}")

    def _ready(self) -> Whitening | None:
        if self.whitening != "none" and self._fitted is None:
            raise ValueError(f"whitening={self.whitening!r} is not fitted: call fit, or load with from_pretrained")
        return self._fitted

    # Any images: each becomes one 8-bit tensor

    def preprocess(
        self,
        images: Any,
        return_tensors: str | None = None,
        input_data_format: str | None = None,
        size: dict[str, int] | int | None = None,
    ) -> BatchFeature:
        """Prepare one image or a (nested) list or batch of them.

        Args:
            images: PIL images, paths or URLs, and numpy arrays or tensors (H, W), (H, W, C), (C, H, W), or batches
                (N, H, W, C), (N, C, H, W), with C = 1, 3 or 4. Integers are 0..255 (uint16: 0..65535), floating-point
                numbers 0..1, unless max_pixel_value says otherwise.
            return_tensors: "pt", "np", or None for a list of arrays.
            input_data_format: "channels_first" or "channels_last", if the shape leaves it open.
            size: another height and width than image_size; `zca` whitening is tied to image_size and refuses it.

        Returns:
            `pixel_values`, float32 (B, num_channels, image_size, image_size).

        Raises:
            ValueError: an image that is not one of these or cannot be read, no image at all, or a size that does
                not fit.
        """
        if size is not None and _square(size) != self.size:
            return self._resized(size).preprocess(images, return_tensors, input_data_format)
        if return_tensors not in ("pt", "np", None):
            raise ValueError(f"return_tensors={return_tensors!r}: must be one of pt, np, None")
        if input_data_format not in ("channels_first", "channels_last", None):
            raise ValueError(f"input_data_format={input_data_format!r}: must be channels_first or channels_last")
        if self._is_batch(images) and len(images) and input_data_format != "channels_last":
            batch = images
        else:
            flat = flatten(images)
            if not flat:
                raise ValueError("images is empty: at least one image is needed")
            converted = []
            for index, image in enumerate(flat):
                try:
                    converted.append(
                        to_pixels(
                            image,
                            self.num_channels,
                            self.image_size,
                            input_data_format,
                            resize_mode=self.resize_mode,
                            max_pixel_value=self.max_pixel_value,
                        )
                    )
                except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                    # Pillow raises a SyntaxError for a broken PNG
                    raise ValueError(f"image {index}: {error}") from error
            batch = torch.stack(converted)
        values = self.pixel_values(batch)
        if return_tensors == "pt":
            return BatchFeature({"pixel_values": values})
        array = values.cpu().numpy()
        return BatchFeature({"pixel_values": array if return_tensors == "np" else list(array)})

    def _resized(self, size: dict[str, int] | int) -> LGNImageProcessor:
        """The same processor for images of another size."""
        other = copy.copy(self)
        other.size = _square(size)
        if self._fitted is not None:
            other._check_fitted(self._fitted)
        return other

    # Files

    def to_dict(self) -> dict[str, Any]:
        """What preprocessor_config.json holds: the fields, and the class for `AutoImageProcessor`.

        The class is in a list, one entry per backend. As a string, the pipelines of transformers would also take it for a
        video processor, and ask whether to run its code. `resize_mode` and `max_pixel_value` are left out if they have
        their defaults.
        """
        values = {name: getattr(self, name) for name in self.valid_kwargs.__annotations__}
        optional = {"resize_mode": "squash", "max_pixel_value": None}
        fields = {name: value for name, value in values.items() if name not in optional or value != optional[name]}
        return {**fields, "image_processor_type": "LGNImageProcessor", "auto_map": AUTO_MAP}

    def save_pretrained(
        self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """Save preprocessor_config.json and the whitening, if any, in whitening.safetensors. Return their paths.

        Args:
            save_directory: created if it does not exist.
            push_to_hub: upload too, as `push_to_hub(repo_id)` does.
            kwargs: passed to `push_to_hub`; repo_id defaults to the name of the directory.

        Raises:
            ValueError: the whitening is not fitted.
        """
        fitted = self._ready()
        saved: list[str] = super().save_pretrained(save_directory)
        path = Path(save_directory) / WHITENING_NAME
        if fitted is None:
            path.unlink(missing_ok=True)
        else:
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:  # write the file whole or not at all
                save_file(fitted.tensors(), temporary, metadata={"format": "pt"})
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            saved.append(str(path))
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)
        return saved

    @classmethod
    def get_image_processor_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of the constructor, read from a folder or Hub repository, and the unused `kwargs`.

        Raises:
            OSError: a file is missing or not JSON.
            ValueError: preprocessor_config.json is not an object, or the whitening is damaged.
        """
        hub = ("cache_dir", "force_download", "proxies", "token", "local_files_only", "revision", "subfolder")
        where = {name: kwargs[name] for name in hub if name in kwargs}
        source = Path(pretrained_model_name_or_path)
        folder = str(source.parent if source.is_file() else pretrained_model_name_or_path)
        try:
            values, unused = super().get_image_processor_dict(pretrained_model_name_or_path, **kwargs)
            values = {name: value for name, value in values.items() if name in cls.valid_kwargs.__annotations__}
            if "image_size" in unused:  # the constructor's name for size
                values["size"] = unused.pop("image_size")
        except (AttributeError, TypeError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError(f"{folder}: preprocessor_config.json is not a JSON object ({error!s:.200})") from error
        kind = kwargs.get("whitening", values.get("whitening", "none"))
        if isinstance(kind, str) and kind in WHITENINGS:
            try:
                path = cached_file(folder, WHITENING_NAME, **where)
            except OSError as error:
                raise OSError(f"whitening={kind!r} needs {WHITENING_NAME} in {folder}: {error}") from error
            try:
                values["fitted"] = WHITENINGS[kind][0].from_tensors(load_file(str(path)))
            except (SafetensorError, ValueError) as error:
                raise ValueError(f"{path} is not a readable {kind} whitening: {error}") from error
        return values, unused


def _square(size: Any) -> dict[str, int]:
    side = size.get("height") if isinstance(size, dict) else size
    if type(side) is not int or not 1 <= side <= LARGEST_IMAGE or size not in (side, {"height": side, "width": side}):
        raise ValueError(
            f"size={size!r:.80}: must be a whole number from 1 to {LARGEST_IMAGE}, or a square height and width"
        )
    return {"height": side, "width": side}


def _per_channel(name: str, values: list[float] | None, num_channels: int) -> list[float]:
    values = [0.5] * num_channels if values is None else values
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != num_channels or not np.isfinite(numbers).all():
        raise ValueError(f"{name}={values!r:.80}: must be {num_channels} finite numbers, one per channel")
    return numbers
