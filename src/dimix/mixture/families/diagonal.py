"""Diagonal covariance: a Normal-Gamma for each component and feature."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.families.base import GaussianFamily, NormalWishart, log_student


class DiagonalCovariance(GaussianFamily):
    """Independent features: T(z) = [1, z, z²], F = 1 + 2 D.

    Every feature of every component has a Normal-Gamma of its own, which is the Normal-Wishart
    in one dimension, with the ν and scatter of that feature.

    scikit-learn's "diag" has the same ν, scatter and covariances, but takes E[log |Λ_k|] and
    the bound from a Wishart in D dimensions, which is not conjugate to this likelihood: its
    digammas are those of (ν - i) / 2, i < D, where every feature has ν / 2 here.
    """

    @property
    def n_features(self) -> int:
        """F, the length of T(z)."""
        return 1 + 2 * self.dim

    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ = E[T(z)]."""
        squares = z * z if var is None else z * z + var
        return torch.cat([torch.ones_like(z[:, :1]), z, squares], dim=1)

    def precision(self, params: NormalWishart) -> Float64[Tensor, "K D"]:
        """E[λ_kd] = ν / scatter."""
        return params.degrees_of_freedom[:, None] / params.scatter

    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "K D"]:
        """Square root of E[λ_kd]."""
        return self.precision(params).sqrt()

    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Σ_d E[log λ_kd] = Σ_d ψ(ν / 2) - log(scatter_d / 2)."""
        digamma = torch.digamma(params.degrees_of_freedom / 2)
        return self.dim * digamma - (params.scatter / 2).log().sum(1)

    def draw(
        self, params: NormalWishart, component: int, noise: Float64[Tensor, "n D"]
    ) -> Float64[Tensor, "n D"]:
        """Turn standard normal noise into draws of N(m, scatter / ν)."""
        var = params.scatter[component] / params.degrees_of_freedom[component]
        return params.mean[component] + noise * var.sqrt()

    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """A product of Student t's with ν degrees of freedom: Murphy (2007)."""
        total = z.new_zeros(len(z), len(params.mean))
        power = (params.degrees_of_freedom + 1) / 2
        for d, (mean, scatter) in enumerate(zip(params.mean.mT, params.scatter.mT, strict=True)):
            distance = (z[:, d, None] - mean).square() / scatter
            total += log_student(params.mean_precision, power, distance, scatter.log(), dim=1)
        return total

    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return mean.square()

    def _moments(self, packed: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return packed

    def _coefficients(self, precision: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return -0.5 * precision

    def _multiply(
        self, matrix: Float64[Tensor, "K D"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        return matrix * vector

    def _log_normaliser(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Of Gamma distributions of shape ν/2 and rate scatter/2, summed over features."""
        shape = params.degrees_of_freedom / 2
        return self.dim * torch.lgamma(shape) - shape * (params.scatter / 2).log().sum(1)

    def _trace(self, params: NormalWishart, other: NormalWishart) -> Float64[Tensor, " K"]:
        return (self.precision(params) * other.scatter).sum(1)
