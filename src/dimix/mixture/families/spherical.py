"""Spherical covariance: one Gamma precision for each component."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.families.base import GaussianFamily, NormalWishart, log_student


class SphericalCovariance(GaussianFamily):
    """The same variance in every direction: T(z) = [1, z, zᵀz], F = D + 2.

    μ_k | λ_k ~ N(m, I / (κ λ_k)) with one λ_k ~ Gamma(D ν/2, D scatter/2) a component, and
    ``scatter`` the sum of squares averaged over features, so that E[λ_k] = ν / scatter and a
    row adds one to ν, as in every other type.

    scikit-learn's "spherical" has the same ν, scatter and covariances, but takes E[log |Λ_k|]
    and the bound from a Wishart in D dimensions, which is not conjugate to this likelihood:
    its digammas are those of (ν - i) / 2, i < D, where here all D are that of D ν / 2.
    """

    @property
    def n_features(self) -> int:
        """F, the length of T(z)."""
        return 2 + self.dim

    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ = E[T(z)]."""
        squares = z * z if var is None else z * z + var
        return torch.cat([torch.ones_like(z[:, :1]), z, squares.sum(1, keepdim=True)], dim=1)

    def precision(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """E[λ_k] = ν / scatter."""
        return params.degrees_of_freedom / params.scatter

    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Square root of E[λ_k]."""
        return self.precision(params).sqrt()

    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """D E[log λ_k] = D (ψ(D ν / 2) - log(D scatter / 2))."""
        shape, rate = self._gamma(params)
        return self.dim * (torch.digamma(shape) - rate.log())

    def draw(
        self, params: NormalWishart, component: int, noise: Float64[Tensor, "n D"]
    ) -> Float64[Tensor, "n D"]:
        """Turn standard normal noise into draws of N(m, scatter / ν I)."""
        var = params.scatter[component] / params.degrees_of_freedom[component]
        return params.mean[component] + noise * var.sqrt()

    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """Multivariate Student t with D ν degrees of freedom: Murphy (2007)."""
        shape, rate = self._gamma(params)
        # Differences and not products, which would cancel far from the origin.
        distance = torch.cdist(z, params.mean, compute_mode="donot_use_mm_for_euclid_dist")
        return log_student(
            params.mean_precision,
            shape + self.dim / 2,
            distance.square() / (2 * rate),
            self.dim * (2 * rate).log(),
            self.dim,
        )

    def _gamma(self, params: NormalWishart) -> tuple[Float64[Tensor, " K"], Float64[Tensor, " K"]]:
        """Shape and rate of q(λ_k)."""
        half = self.dim / 2
        return half * params.degrees_of_freedom, half * params.scatter

    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, " K"]:
        return mean.square().mean(1)

    def _moments(self, packed: Float64[Tensor, "K 1"]) -> Float64[Tensor, " K"]:
        return packed[:, 0] / self.dim

    def _coefficients(self, precision: Float64[Tensor, " K"]) -> Float64[Tensor, "K 1"]:
        return -0.5 * precision[:, None]

    def _multiply(
        self, matrix: Float64[Tensor, " K"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        return matrix[:, None] * vector

    def _log_normaliser(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Of one Gamma distribution."""
        shape, rate = self._gamma(params)
        return torch.lgamma(shape) - shape * rate.log()

    def _trace(self, params: NormalWishart, other: NormalWishart) -> Float64[Tensor, " K"]:
        return self.dim * self.precision(params) * other.scatter
