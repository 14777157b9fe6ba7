"""Whitening: the formula, what it does to real images, and its inverse."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lgn_hf.model.whitening import PatchWhitening, Whitening, ZCAWhitening, fit_patch, fit_zca
from tests.support.samples import sample_images

FITS = {"zca": fit_zca, "patch": fit_patch}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlated(count: int, channels: int = 2, size: int = 5) -> torch.Tensor:
    """Images whose pixels, all correlated, vary around a mean that is not zero."""
    pixels = channels * size**2
    return (draw(count, pixels) @ draw(pixels, pixels, seed=1) + 3).view(count, channels, size, size)


def standardised(num_channels: int) -> torch.Tensor:
    images = sample_images(num_channels).float() / 255
    return (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)


def covariance(images: torch.Tensor) -> torch.Tensor:
    return torch.cov(images.double().flatten(1).T, correction=0)


@pytest.fixture(scope="module", params=[(kind, channels) for kind in FITS for channels in (1, 3)], ids=str)
def fitted(request) -> tuple[Whitening, torch.Tensor]:
    """A whitening of each kind, and the grey or colour images that it was fitted on."""
    kind, channels = request.param
    images = standardised(channels)
    return FITS[kind](images), images


class TestZCA:
    @pytest.mark.parametrize("eps", [1e-8, 0.1])
    def test_is_the_formula(self, eps):
        """U diag((s + eps)^-1/2) U^T (x - mean), against NumPy's singular value decomposition."""
        images = correlated(500)
        flat = images.flatten(1).numpy()
        u, s, _ = np.linalg.svd(np.cov(flat.T, bias=True))
        expected = (flat - flat.mean(0)) @ (u / np.sqrt(s + eps) @ u.T)
        whitening = fit_zca(images, eps=eps)
        torch.testing.assert_close(whitening(images).flatten(1).numpy(), expected, rtol=0, atol=1e-4)

    def test_training_images_come_out_uncorrelated(self):
        images = correlated(500)
        torch.testing.assert_close(
            covariance(fit_zca(images)(images)), torch.eye(50, dtype=torch.float64), rtol=0, atol=1e-4
        )

    @pytest.mark.parametrize("channels", [1, 3])
    def test_real_images_come_out_uncorrelated_where_they_vary(self, channels):
        """A variance s becomes s / (s + eps): 1, but for details as faint as eps."""
        images = standardised(channels)
        whitening = fit_zca(images)
        basis = whitening.basis.double()
        variance = (basis.T @ covariance(images) @ basis).diagonal()
        whitened = basis.T @ covariance(whitening(images)) @ basis
        torch.testing.assert_close(whitened, (variance / (variance + 1e-8)).diag(), rtol=0, atol=1e-3)

    def test_the_matrix_is_symmetric_and_is_the_map(self):
        images = correlated(100)
        whitening = fit_zca(images)
        matrix = whitening.matrix.double()
        torch.testing.assert_close(matrix, matrix.T)
        mapped = (images - whitening.mean).flatten(1) @ matrix
        torch.testing.assert_close(whitening(images).flatten(1), mapped, rtol=1e-4, atol=1e-4)

    def test_pixels_that_never_varied_are_ignored(self):
        """1/sqrt(eps) = 10,000 would be the formula's gain for them."""
        images = correlated(200)
        images[:, 0, 0] = 0.7
        whitening = fit_zca(images)
        new = images.clone()
        new[:, 0, 0] = draw(200, 5, seed=2)
        assert len(whitening.scale) == 45
        torch.testing.assert_close(whitening(new), whitening(images), rtol=0, atol=1e-5)
        assert whitening(new)[:, 0, 0].abs().max() < 1e-5

    def test_fewer_images_than_pixels_leave_directions_out(self):
        assert fit_zca(correlated(20)).basis.shape == (50, 19)

    def test_copied_channels_leave_directions_out(self):
        """Grey images stored as colour: float32 rounding is not taken for variance."""
        grey = standardised(1)
        colour = torch.cat([grey, grey * 1.1 - 0.3, grey], 1)
        assert fit_zca(colour).basis.shape[1] == fit_zca(grey).basis.shape[1]


class TestPatch:
    def test_is_the_centre_of_the_patches_zca(self):
        """Against NumPy, patch by patch."""
        images, k, eps = correlated(30, size=7), 3, 1e-2
        centred = images - images.mean((0, 2, 3), keepdim=True)
        patches = np.stack(
            [p[:, i : i + k, j : j + k].ravel() for p in centred.numpy() for i in range(5) for j in range(5)]
        )
        u, s, _ = np.linalg.svd(patches.T @ patches / len(patches))
        zca = (u / np.sqrt(s + eps) @ u.T).reshape(2, k, k, 2, k, k)
        torch.testing.assert_close(
            fit_patch(images, k, eps).kernel.numpy(), np.float32(zca[:, 1, 1]), rtol=0, atol=1e-6
        )

    def test_of_one_pixel_makes_channels_uncorrelated(self):
        images = correlated(200)
        whitened = fit_patch(images, patch_size=1, eps=0)(images).transpose(0, 1).flatten(1)
        torch.testing.assert_close(whitened.cov(correction=0), torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-5)

    def test_shifts_with_the_image(self):
        whitening = fit_patch(standardised(1))
        image = F.pad(draw(1, 1, 8, 8), [8] * 4)
        shifted = whitening(image.roll((3, -2), (2, 3)))
        torch.testing.assert_close(shifted, whitening(image).roll((3, -2), (2, 3)))

    def test_borders_are_no_edges(self):
        whitened = fit_patch(standardised(3))(torch.ones(1, 3, 9, 9, dtype=torch.float64))
        torch.testing.assert_close(whitened, whitened[:, :, 4:5, 4:5].expand_as(whitened))

    def test_is_the_same_at_every_size(self):
        assert fit_patch(standardised(3))(draw(2, 3, 40, 17)).shape == (2, 3, 40, 17)

    def test_a_channel_that_never_varied_is_ignored(self):
        images = correlated(100)
        images[:, 1] = 0.7
        assert fit_patch(images, 3).kernel[:, 1].abs().max() < 1e-6


class TestEvery:
    def test_is_deterministic(self, fitted):
        whitening, images = fitted
        again = {ZCAWhitening: fit_zca, PatchWhitening: fit_patch}[type(whitening)](images)
        assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in whitening.tensors().items())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_keeps_shape_and_dtype(self, fitted, dtype):
        whitening, images = fitted
        whitened = whitening(images[:2].to(dtype))
        assert (whitened.shape, whitened.dtype) == (images[:2].shape, dtype)
        assert whitening.invert(whitened).dtype == dtype

    def test_does_not_depend_on_the_batch(self, fitted):
        whitening, images = fitted
        one_by_one = torch.cat([whitening(image) for image in images[:20].split(1)])
        torch.testing.assert_close(one_by_one, whitening(images[:20]), rtol=2e-7, atol=1e-10)

    def test_does_not_depend_on_autocast(self, fitted):
        whitening, images = fitted
        with torch.autocast("cpu", torch.bfloat16):
            autocast = whitening(images[:20])
        assert torch.equal(autocast, whitening(images[:20]))

    def test_inverts_training_images(self, fitted):
        whitening, images = fitted
        torch.testing.assert_close(whitening.invert(whitening(images[:20])), images[:20], rtol=0, atol=1e-5)

    def test_inverts_any_image_as_far_as_it_was_seen(self, fitted):
        """What is left out is left out for good; the rest comes back: whiten(invert(whiten(x))) = whiten(x)."""
        whitening, images = fitted
        whitened = whitening(draw(3, *images.shape[1:]))
        scale = float(whitened.abs().max())
        torch.testing.assert_close(whitening(whitening.invert(whitened)), whitened, rtol=0, atol=1e-4 * scale)

    def test_inverts_in_the_least_squares_sense(self):
        """A convolution that drops a channel: the inverse leaves a residual orthogonal to all that it can reach."""
        kernel = draw(2, 2, 3, 3).float()
        kernel[:, 1] = 0
        whitening = PatchWhitening(torch.zeros(2), kernel)
        target = draw(1, 2, 4, 4)
        residual = target - whitening(whitening.invert(target))
        assert residual.abs().max() > 0.01
        assert (residual * whitening(draw(50, 2, 4, 4))).sum((1, 2, 3)).abs().max() < 1e-8

    def test_survives_as_tensors(self, fitted):
        whitening, images = fitted
        tensors = whitening.tensors()
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
        assert torch.equal(type(whitening).from_tensors(tensors)(images[:5]), whitening(images[:5]))

    def test_images_of_another_shape_are_an_error(self, fitted):
        whitening, images = fitted
        for wrong in (images[:1].repeat(1, 2, 1, 1), images[0], images[:1].int()):
            with pytest.raises(ValueError, match=rf"floating-point images \(B, {images.shape[1]}, .*got"):
                whitening(wrong)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (torch.zeros(1, 1, 5, 5), {}, r"at least 2 floating-point images \(N, C, H, W\), got float32 \(1, 1, 5, 5\)"),
        (torch.zeros(5, 5, 5), {}, r"got float32 \(5, 5, 5\)"),
        (torch.zeros(5, 1, 5, 5, dtype=torch.uint8), {}, "got uint8"),
        (torch.ones(5, 1, 5, 5), {}, "do not vary"),
        (torch.full((5, 1, 5, 5), torch.nan), {}, "NaN"),
        (correlated(5), {"eps": -1}, "eps=-1: must not be negative"),
    ],
)
def test_images_that_nothing_can_be_fitted_on_are_an_error(fit, images, options, message):
    with pytest.raises(ValueError, match=message):
        fit(images, **options)


@pytest.mark.parametrize("patch_size", [0, 2, 7])
def test_a_wrong_patch_size_is_an_error(patch_size):
    with pytest.raises(ValueError, match=f"patch_size={patch_size}: must be odd and at most the images' side, 5"):
        fit_patch(correlated(5), patch_size)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (ZCAWhitening, {"basis": torch.zeros(50, 3)}, r"do not fit together: mean \(2, 5, 5\), basis \(50, 3\)"),
        (ZCAWhitening, {"mean": torch.zeros(50)}, "do not fit together"),
        (ZCAWhitening, {"scale": torch.full((50,), torch.nan)}, "scale holds NaN or infinity"),
        (PatchWhitening, {"kernel": torch.zeros(2, 2, 4, 4)}, "do not fit together"),
        (PatchWhitening, {"kernel": torch.zeros(2, 3, 5, 5)}, "do not fit together"),
        (PatchWhitening, {"basis": torch.zeros(1)}, "made of mean, kernel, got basis, kernel, mean"),
    ],
)
def test_tensors_that_are_no_whitening_are_an_error(kind, change, message):
    fit = fit_zca if kind is ZCAWhitening else fit_patch
    with pytest.raises(ValueError, match=message):
        kind.from_tensors({**fit(correlated(200)).tensors(), **change})
