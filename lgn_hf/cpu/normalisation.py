"""Batch normalisation between layers, as a scale and a shift of what the next layer reads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


class Normalisation:
    """y_{l+1} = scale_l u_l + shift_l for each layer. Layers without batch normalisation have scale 1 and shift 0.

    The weights, biases, means and variances are (N, F), one row per norm. `measure` replaces means and variances
    by those of the batch. `deviations` are 1 / standard deviation.
    """

    def __init__(
        self, weights: Tensor, biases: Tensor, means: Tensor, variances: Tensor, eps: Sequence[float], layers: int
    ):
        self.weights, self.biases, self.means, self.variances, self.eps = weights, biases, means, variances, eps
        self.deviations = (variances + variances.new_tensor(eps)[:, None]).rsqrt()
        count, filters = weights.shape
        self.scales, self.shifts = weights.new_ones(layers, filters), weights.new_zeros(layers, filters)
        self.scales[:count] = weights * self.deviations
        self.shifts[:count] = biases - self.scales[:count] * means

    def measure(self, layer: int, moments: Tensor, pixels: int) -> None:
        """Use the statistics of the batch, from mean and centred sum of squares of each code, (B, F, 2)."""
        means, squares = moments.double().unbind(-1)
        mean = means.mean(0)
        self.means[layer] = mean
        self.variances[layer] = (squares / pixels + (means - mean).square()).mean(0)
        self.deviations[layer] = (self.variances[layer] + self.eps[layer]).rsqrt()
        self.scales[layer] = self.weights[layer] * self.deviations[layer]
        self.shifts[layer] = self.biases[layer] - self.scales[layer] * self.means[layer]

    def gradient_of_statistics(self, layer: int, plain: Tensor, normal: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The slope and shift, (F,), of dL/du_l = scale_l dL/dy_{l+1} + slope u_l + shift with the batch's statistics.

        `plain` is the sum of dL/dy_{l+1} over `count` numbers. `normal` is that of its products with the
        normalised u_l.
        """
        slope = -self.scales[layer] * self.deviations[layer] * normal / count
        shift = -self.scales[layer] * plain / count - slope * self.means[layer]
        return slope, shift
