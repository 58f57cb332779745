"""Full covariance: a Normal-Wishart for each component."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.families.base import GaussianFamily, NormalWishart, log_student


class FullCovariance(GaussianFamily):
    """Any covariance: T(z) = [1, z, the distinct entries of z zᵀ], F = 1 + D + D (D + 1) / 2.

    The update is scikit-learn's for "full".
    """

    @property
    def n_features(self) -> int:
        """F, the length of T(z)."""
        return 1 + self.dim + self.dim * (self.dim + 1) // 2

    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ = E[T(z)]; the second moments row by row of the upper triangle."""
        squares = z * z if var is None else z * z + var
        parts = [torch.ones_like(z[:, :1]), z]
        for d in range(self.dim):
            parts += [squares[:, d : d + 1], z[:, d : d + 1] * z[:, d + 1 :]]
        return torch.cat(parts, dim=1)

    def precision(self, params: NormalWishart) -> Float64[Tensor, "*K D D"]:
        """E[Λ_k] = ν W."""
        return params.degrees_of_freedom[:, None, None] * params.scatter_inverse

    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "*K D D"]:
        """Upper-triangular U with U Uᵀ = E[Λ_k]: the inverse transpose of the scatter's factor."""
        eye = torch.eye(self.dim, dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(params.scatter_cholesky, eye, upper=False)
        return params.degrees_of_freedom.sqrt()[:, None, None] * inverse.mT

    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " #K"]:
        """Σ_i ψ((ν + 1 - i) / 2) + D log 2 + log |W|, Bishop (B.81)."""
        i = torch.arange(self.dim, dtype=torch.float64)
        digammas = torch.digamma((params.degrees_of_freedom[:, None] - i) / 2).sum(1)
        return digammas + self.dim * math.log(2) - _log_det(params)

    def draw(
        self, params: NormalWishart, component: int, noise: Float64[Tensor, "n D"]
    ) -> Float64[Tensor, "n D"]:
        """Turn standard normal noise into draws of N(m, scatter / ν)."""
        scale = params.scatter_cholesky / params.degrees_of_freedom.sqrt()[:, None, None]
        return params.mean[component] + noise @ _one_each(scale, params)[component].mT

    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """Multivariate Student t with ν + 1 - D degrees of freedom: Murphy (2007)."""
        factors = _one_each(params.scatter_cholesky, params)
        distances = [
            torch.linalg.solve_triangular(factor, (z - mean).mT, upper=False).square().sum(0)
            for mean, factor in zip(params.mean, factors, strict=True)
        ]
        power = (params.degrees_of_freedom + 1) / 2
        distance = torch.stack(distances, dim=1)
        return log_student(params.mean_precision, power, distance, _log_det(params), self.dim)

    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D D"]:
        return mean[:, :, None] * mean[:, None, :]

    def _moments(self, packed: Float64[Tensor, "K f"]) -> Float64[Tensor, "K D D"]:
        i, j = torch.triu_indices(self.dim, self.dim)
        place = i.new_empty(self.dim, self.dim)
        place[i, j] = place[j, i] = torch.arange(len(i))
        return packed[:, place]

    def _coefficients(self, precision: Float64[Tensor, "*K D D"]) -> Float64[Tensor, "*K f"]:
        i, j = torch.triu_indices(self.dim, self.dim)
        # An entry off the diagonal stands for two of z zᵀ.
        return precision[..., i, j] * torch.where(i == j, -0.5, -1.0)

    def _multiply(
        self, matrix: Float64[Tensor, "*#K D D"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        return (matrix @ vector[:, :, None])[:, :, 0]

    def _log_normaliser(self, params: NormalWishart) -> Float64[Tensor, " #K"]:
        dof = params.degrees_of_freedom
        of_scatter = self.dim * math.log(2) - _log_det(params)
        return torch.mvlgamma(dof / 2, self.dim) + 0.5 * dof * of_scatter

    def _trace(self, params: NormalWishart, other: NormalWishart) -> Float64[Tensor, " #K"]:
        whitened: Tensor = torch.linalg.solve_triangular(
            params.scatter_cholesky, other.scatter_cholesky, upper=False
        )
        return params.degrees_of_freedom * whitened.square().sum((1, 2))


def _log_det(params: NormalWishart) -> Float64[Tensor, " #K"]:
    """The log determinant of each scatter matrix; log |W| is its negative."""
    return 2 * params.scatter_cholesky.diagonal(dim1=1, dim2=2).log().sum(1)


def _one_each(
    matrices: Float64[Tensor, "#K D D"], params: NormalWishart
) -> Float64[Tensor, "K D D"]:
    """A matrix for each component, where all may share one."""
    return matrices.expand(len(params.mean), -1, -1)
