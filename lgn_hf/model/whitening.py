"""Whitening: linear maps, fitted on training images, that leave pixels uncorrelated.

`zca` is the papers' whitening: one matrix over all pixels, tied to the place of each pixel. `patch` is a
small convolution, the same everywhere, so a shifted image whitens to a shifted whitened image.

Both store float32 tensors and compute in float64. Whitening divides by small standard deviations, so the
rounding of float32, TF32 or bfloat16 autocast would show, and would change with the batch size. To add a
kind, list it in `WHITENINGS`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor


def fit_zca(images: Tensor, eps: float = 1e-8) -> ZCAWhitening:
    """Fit ZCA whitening, as in the code of "Learning Linear Groups in Neural Networks".

    With the training covariance of the pixels, Cov = U diag(s) U^T,

        whiten(x) = U diag((s + eps)^-1/2) U^T (x - mean).

    Directions of numerically zero training variance, s <= CHW * machine epsilon * max(s), get gain 0. The
    formula would give them 1/sqrt(eps). That changes nothing on training images, which never vary there, but
    it explodes on a new image that does (MNIST's corner pixels, for instance, are always black in training).
    Directions that vary rarely keep their large gain, so images unlike the training set, such as shifted ones,
    can still come out with large values.

    Args:
        images: standardised training images (N, C, H, W).
        eps: added to the variances s.

    Raises:
        ValueError: fewer than two images, images that are all the same, or a negative eps.
    """
    _check_images(images, eps)
    flat = images.flatten(1)
    mean = flat.mean(0, dtype=torch.float64)
    covariance = mean.new_zeros(len(mean), len(mean))
    stripe = math.ceil(len(mean) / 8)
    for chunk in flat.split(4096):
        centred = chunk.double() - mean
        for start in range(0, len(mean), stripe):  # the blocks on and above the diagonal
            covariance[start : start + stripe, start:].addmm_(centred[:, start : start + stripe].T, centred[:, start:])
    covariance = covariance.triu() + covariance.triu(1).T
    basis, scale = _zca(covariance / len(flat), eps)
    return ZCAWhitening(mean.view(images.shape[1:]).float(), basis.float(), scale.float())


def fit_patch(images: Tensor, patch_size: int = 5, eps: float = 1e-2) -> PatchWhitening:
    """Fit a whitening convolution: the rows of the centre pixel in the ZCA matrix of k x k patches.

    With M = U diag((s + eps)^-1/2) U^T the ZCA matrix of the (C, k, k) patches,

        whiten(x) = conv2d(x - mean, M[centre pixel]).

    eps is in units of the variance of standardised pixels. The finest details of natural images have a variance
    far below the default, so an eps as small as that of `fit_zca` would mostly amplify noise.

    Args:
        images: standardised training images (N, C, H, W). Patches come from at most 1024 of them, evenly spaced.
        patch_size: side k of a patch, odd.
        eps: added to the variances s.

    Raises:
        ValueError: fewer than two images, images without variation, a negative eps, or a patch size that is even or
            larger than the images.
    """
    _check_images(images, eps)
    channels, height, width = images.shape[1:]
    if patch_size < 1 or patch_size % 2 == 0 or patch_size > min(height, width):
        raise ValueError(f"patch_size={patch_size}: must be odd and at most the images' side, {min(height, width)}")
    mean = images.mean((0, 2, 3), dtype=torch.float64)
    length = channels * patch_size**2
    covariance, count = mean.new_zeros(length, length), 0
    for chunk in images[:: math.ceil(len(images) / 1024)].split(64):
        patches = F.unfold(chunk.double() - mean.view(-1, 1, 1), patch_size).transpose(0, 1).flatten(1)
        covariance.addmm_(patches, patches.T)
        count += patches.shape[1]
    basis, scale = _zca(covariance / count, eps)
    patch = (channels, patch_size, patch_size)
    matrix = ((basis * scale) @ basis.T).view(*patch, *patch)
    return PatchWhitening(mean.float(), matrix[:, patch_size // 2, patch_size // 2].float())


def _check_images(images: Tensor, eps: float) -> None:
    if images.ndim != 4 or len(images) < 2 or not images.is_floating_point():
        raise ValueError(
            f"whitening is fitted on at least 2 floating-point images (N, C, H, W), got {_describe(images)}"
        )
    if eps < 0:
        raise ValueError(f"eps={eps}: must not be negative")


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _zca(covariance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The eigenvectors U (D, R) of the R directions that vary, and their gains (s + eps)^-1/2 (R,)."""
    if not covariance.isfinite().all():
        raise ValueError("whitening cannot be fitted on images that hold NaN or infinity")
    variance, basis = torch.linalg.eigh(covariance)
    varies = variance > len(variance) * torch.finfo(variance.dtype).eps * variance[-1]
    if not varies.any():
        raise ValueError("whitening cannot be fitted on images that do not vary")
    return basis[:, varies], (variance[varies] + eps).rsqrt()


@dataclass(frozen=True, eq=False)
class Whitening(ABC):
    """A fitted whitening. Call it on images (B, C, H, W); `invert` undoes it.

    Attributes:
        mean: training mean, (C, H, W), or (C,) if images can have any height and width.
    """

    mean: Tensor

    @abstractmethod
    def _forward(self, images: Tensor) -> Tensor: ...

    @abstractmethod
    def _inverse(self, whitened: Tensor) -> Tensor: ...

    def __call__(self, images: Tensor) -> Tensor:
        """Whiten images (B, C, H, W). The result has the same shape, dtype and device."""
        wide = self._wide(images)
        return wide._forward(images.to(wide.mean)).to(images)

    def invert(self, whitened: Tensor) -> Tensor:
        """The images that whiten to `whitened` (B, C, H, W), in the least-squares sense."""
        wide = self._wide(whitened)
        return wide._inverse(whitened.to(wide.mean)).to(whitened)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to store, by name, on the CPU."""
        return {name: tensor.cpu().contiguous() for name, tensor in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Whitening:
        """The whitening whose `tensors` these are.

        Raises:
            ValueError: a missing or unknown name, shapes that do not fit together, NaN or infinity.
        """
        names = [field.name for field in fields(cls)]
        if sorted(tensors) != sorted(names):
            raise ValueError(f"{cls.__name__} is made of {', '.join(names)}, got {', '.join(sorted(tensors))}")
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds NaN or infinity")
        return cls(**tensors)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Whitening:
        """This whitening on `device`, so that calls need no transfer."""
        return replace(self, **{name: tensor.to(device, dtype) for name, tensor in vars(self).items()})

    def _wide(self, images: Tensor) -> Whitening:
        shape = tuple(self.mean.shape)
        if images.ndim != 4 or tuple(images.shape[1 : 1 + len(shape)]) != shape or not images.is_floating_point():
            expected = ", ".join(map(str, (*shape, "H", "W")[:3]))
            raise ValueError(f"this whitening takes floating-point images (B, {expected}), got {_describe(images)}")
        on_mps = images.device.type == "mps"  # which has no float64
        return self.to(images.device, torch.float32 if on_mps else torch.float64)

    def _check(self, fits: bool) -> None:
        if not fits:
            shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in vars(self).items())
            raise ValueError(f"{type(self).__name__}: the tensors' shapes do not fit together: {shapes}")


@dataclass(frozen=True, eq=False)
class ZCAWhitening(Whitening):
    """x -> U diag(scale) U^T (x - mean) on flattened images; made by `fit_zca`.

    It keeps the factors rather than their product, so that the inverse is as exact and as cheap as the map.

    Attributes:
        mean: training mean (C, H, W).
        basis: U, the R directions in which training images vary (C*H*W, R).
        scale: the gains of these directions (R,).

    Example:
        >>> whitening = fit_zca(torch.randn(100, 1, 4, 4))
        >>> whitening(torch.randn(8, 1, 4, 4)).shape
        torch.Size([8, 1, 4, 4])
    """

    basis: Tensor
    scale: Tensor

    def __post_init__(self):
        self._check(self.mean.ndim == 3 and self.basis.shape == (self.mean.numel(), *self.scale.shape))

    @property
    def matrix(self) -> Tensor:
        """The whitening matrix U diag(scale) U^T, (C*H*W, C*H*W)."""
        return (self.basis * self.scale) @ self.basis.T

    def _forward(self, images: Tensor) -> Tensor:
        code = (images - self.mean).flatten(1) @ self.basis * self.scale
        return (code @ self.basis.T).view_as(images)

    def _inverse(self, whitened: Tensor) -> Tensor:
        code = whitened.flatten(1) @ self.basis / self.scale
        return (code @ self.basis.T).view_as(whitened) + self.mean


@dataclass(frozen=True, eq=False)
class PatchWhitening(Whitening):
    """x -> conv2d(x - mean, kernel), with replicated borders so that sizes stay; made by `fit_patch`.

    Attributes:
        mean: training mean of each channel (C,).
        kernel: (C, C, k, k), k odd.

    Example:
        >>> whitening = fit_patch(torch.randn(100, 3, 16, 16))
        >>> whitening(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 3, 32, 32])
    """

    kernel: Tensor

    def __post_init__(self):
        channels, side = self.mean.numel(), self.kernel.shape[-1]
        self._check(self.mean.ndim == 1 and side % 2 == 1 and self.kernel.shape == (channels, channels, side, side))

    def _forward(self, images: Tensor) -> Tensor:
        return self._convolve(images - self.mean.view(-1, 1, 1))

    def _inverse(self, whitened: Tensor) -> Tensor:
        """Solve the normal equations of the convolution as a dense matrix. The cost grows as side^6."""
        shape = whitened.shape[1:]
        identity = torch.eye(shape.numel(), dtype=whitened.dtype, device=whitened.device)
        transposed = self._convolve(identity.view(-1, *shape)).flatten(1)  # row i: pixel i, whitened
        gram = transposed @ transposed.T
        ridge = torch.finfo(gram.dtype).eps * gram.diagonal().sum()  # for a kernel that ignores some direction
        factor = torch.linalg.cholesky(gram + ridge * identity)
        solution = torch.cholesky_solve(transposed @ whitened.flatten(1).T, factor)
        return solution.T.view_as(whitened) + self.mean.view(-1, 1, 1)

    def _convolve(self, images: Tensor) -> Tensor:
        return F.conv2d(F.pad(images, [self.kernel.shape[-1] // 2] * 4, mode="replicate"), self.kernel)


# Name in preprocessor_config.json -> (class, function that fits it).
WHITENINGS = {"zca": (ZCAWhitening, fit_zca), "patch": (PatchWhitening, fit_patch)}
