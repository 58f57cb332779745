"""Gaussian families: sufficient statistics T(z), conjugate update, E[log N], KL, read-outs.

A covariance type is a class. It says which second moments it keeps and how the precision of
a component is distributed; everything that the types share is written once, in the base.

Formulas: Bishop, Pattern Recognition and Machine Learning (2006), section 10.2 and appendix B,
and Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class NormalWishart:
    """q(μ_k, Λ_k) = N(μ_k | m, (κ Λ_k)⁻¹) Wishart(Λ_k | W, ν) of K components.

    ``mean`` is m, ``mean_precision`` κ, ``degrees_of_freedom`` ν and ``scatter`` W⁻¹, so that
    E[Λ_k] = ν scatter⁻¹. A scatter ``[K, D, D]`` is a Normal-Wishart; a scatter ``[K, D]``
    is D one-dimensional ones, which is to say D Normal-Gammas of shape ν/2 and rate scatter/2.
    """

    mean: Float64[Tensor, "K D"]
    mean_precision: Float64[Tensor, " K"]
    degrees_of_freedom: Float64[Tensor, " K"]
    scatter: Float64[Tensor, "K D *D"]

    @cached_property
    def scatter_cholesky(self) -> Float64[Tensor, "K D D"]:
        """Lower-triangular factor of the scatter of each component."""
        factor: Tensor
        factor, info = torch.linalg.cholesky_ex(self.scatter)
        if bool(info.any()):
            raise ValueError(
                f"the scatter matrix of component {int(info.nonzero()[0])} is not positive "
                "definite: rounding has eaten a direction with almost no spread. Raise reg_covar "
                "or covariance_prior, or pass the data in float64."
            )
        return factor


@dataclass(frozen=True)
class GaussianFamily(ABC):
    """A type of covariance in ``dim`` dimensions.

    ``reg_covar`` is added, once a row, to the diagonal of the scatter in the update and
    nowhere else, as scikit-learn does it. With ``reg_covar=0`` every update raises the bound;
    above 0 the bound reported is still exact, but an update may lower it by an amount of the
    order of ``reg_covar``.
    """

    dim: int
    reg_covar: float = 0.0

    @property
    @abstractmethod
    def n_features(self) -> int:
        """F, the length of T(z)."""

    @abstractmethod
    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ = E[T(z)] for points z, or for Gaussians N(z, diag var); differentiable in both."""

    @abstractmethod
    def precision(self, params: NormalWishart) -> Float64[Tensor, "K D *D"]:
        """E[Λ_k] = ν W."""

    @abstractmethod
    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "K D *D"]:
        """A factor U (upper triangular if a matrix) with U Uᵀ = E[Λ_k]."""

    @abstractmethod
    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """E[log |Λ_k|], Bishop (B.81)."""

    @abstractmethod
    def draw(
        self, params: NormalWishart, component: int, noise: Float64[Tensor, "n D"]
    ) -> Float64[Tensor, "n D"]:
        """Turn standard normal noise into draws of the component at its mean parameters."""

    @abstractmethod
    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """The density E_q[N(z | μ_k, Λ_k⁻¹)] in logs, a Student t: Murphy (2007)."""

    @abstractmethod
    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D *D"]:
        """The second moments of a point, in the shape of a scatter."""

    @abstractmethod
    def _moments(self, packed: Float64[Tensor, "K f"]) -> Float64[Tensor, "K D *D"]:
        """The second-moment columns of S, in the shape of a scatter."""

    @abstractmethod
    def _coefficients(self, precision: Float64[Tensor, "K D *D"]) -> Float64[Tensor, "K f"]:
        """What the second moments in Φ are multiplied by to give -½ zᵀ Λ z."""

    @abstractmethod
    def _ridge(self, amount: Float64[Tensor, " K"]) -> Float64[Tensor, "K D *D"]:
        """``amount`` times the identity, in the shape of a scatter."""

    @abstractmethod
    def _multiply(
        self, matrix: Float64[Tensor, "K D *D"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        """Matrix-vector product of each component."""

    @abstractmethod
    def _wishart_kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " K"]:
        """KL(q(Λ_k) ‖ p(Λ_k))."""

    def update(self, prior: NormalWishart, statistics: Float64[Tensor, "K F"]) -> NormalWishart:
        """The exact conjugate posterior given S: Bishop (10.60) to (10.63)."""
        counts, sums, packed = statistics.tensor_split((1, 1 + self.dim), dim=1)
        counts = counts[:, 0]
        mean_precision = prior.mean_precision + counts
        mean = (prior.mean_precision[:, None] * prior.mean + sums) / mean_precision[:, None]
        scatter = (
            prior.scatter
            + self._moments(packed)
            + self._weighted_outer(prior.mean_precision, prior.mean)
            - self._weighted_outer(mean_precision, mean)
            + self._ridge(self.reg_covar * counts)
        )
        return NormalWishart(mean, mean_precision, prior.degrees_of_freedom + counts, scatter)

    def expected_natural(self, params: NormalWishart) -> Float64[Tensor, "K F"]:
        """η such that Φ ηᵀ = E[log N(z_n | μ_k, Λ_k⁻¹)], every constant in: Bishop (10.64)."""
        precision = self.precision(params)
        linear = self._multiply(precision, params.mean)
        constant = 0.5 * (
            self.expected_log_det(params)
            - self.dim * (LOG_2PI + 1 / params.mean_precision)
            - (params.mean * linear).sum(1)
        )
        return torch.cat([constant[:, None], linear, self._coefficients(precision)], dim=1)

    def kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " K"]:
        """KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k)) of each component: Bishop (10.74) and (10.77)."""
        ratio = prior.mean_precision / params.mean_precision
        shift = params.mean - prior.mean
        distance = (shift * self._multiply(self.precision(params), shift)).sum(1)
        of_mean = self.dim * (ratio - 1 - ratio.log()) + prior.mean_precision * distance
        return 0.5 * of_mean + self._wishart_kl(params, prior)

    def covariance(self, params: NormalWishart) -> Float64[Tensor, "K D *D"]:
        """E[Λ_k]⁻¹ = scatter / ν, scikit-learn's ``covariances_``."""
        dof = params.degrees_of_freedom
        return params.scatter / dof.reshape(-1, *[1] * (params.scatter.ndim - 1))

    def _weighted_outer(
        self, weight: Float64[Tensor, " K"], mean: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D *D"]:
        return self._outer(weight.sqrt()[:, None] * mean)


class FullCovariance(GaussianFamily):
    """Any covariance: T(z) = [1, z, the distinct entries of z zᵀ], F = 1 + D + D (D + 1) / 2."""

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

    def precision(self, params: NormalWishart) -> Float64[Tensor, "K D D"]:
        """E[Λ_k] = ν W."""
        return params.degrees_of_freedom[:, None, None] * torch.cholesky_inverse(
            params.scatter_cholesky
        )

    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "K D D"]:
        """Upper-triangular U with U Uᵀ = E[Λ_k]: the inverse transpose of the scatter's factor."""
        eye = torch.eye(self.dim, dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(params.scatter_cholesky, eye, upper=False)
        return params.degrees_of_freedom.sqrt()[:, None, None] * inverse.mT

    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Σ_i ψ((ν + 1 - i) / 2) + D log 2 + log |W|, Bishop (B.81)."""
        i = torch.arange(self.dim, dtype=torch.float64)
        digammas = torch.digamma((params.degrees_of_freedom[:, None] - i) / 2).sum(1)
        return digammas + self.dim * math.log(2) - _log_det(params)

    def draw(
        self, params: NormalWishart, component: int, noise: Float64[Tensor, "n D"]
    ) -> Float64[Tensor, "n D"]:
        """Turn standard normal noise into draws of N(m, scatter / ν)."""
        scale = params.scatter_cholesky[component] / params.degrees_of_freedom[component].sqrt()
        return params.mean[component] + noise @ scale.mT

    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """Multivariate Student t with ν + 1 - D degrees of freedom: Murphy (2007)."""
        distances = [
            torch.linalg.solve_triangular(factor, (z - mean).mT, upper=False).square().sum(0)
            for mean, factor in zip(params.mean, params.scatter_cholesky, strict=True)
        ]
        return _log_student(params, torch.stack(distances, dim=1), _log_det(params), self.dim)

    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D D"]:
        return mean[:, :, None] * mean[:, None, :]

    def _moments(self, packed: Float64[Tensor, "K f"]) -> Float64[Tensor, "K D D"]:
        i, j = torch.triu_indices(self.dim, self.dim)
        moments = packed.new_empty(len(packed), self.dim, self.dim)
        moments[:, i, j] = packed
        moments[:, j, i] = packed
        return moments

    def _coefficients(self, precision: Float64[Tensor, "K D D"]) -> Float64[Tensor, "K f"]:
        i, j = torch.triu_indices(self.dim, self.dim)
        # An entry off the diagonal stands for two of z zᵀ.
        return precision[:, i, j] * torch.where(i == j, -0.5, -1.0)

    def _ridge(self, amount: Float64[Tensor, " K"]) -> Float64[Tensor, "K D D"]:
        return torch.diag_embed(amount[:, None].expand(-1, self.dim))

    def _multiply(
        self, matrix: Float64[Tensor, "K D D"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        return (matrix @ vector[:, :, None])[:, :, 0]

    def _wishart_kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " K"]:
        whitened: Tensor = torch.linalg.solve_triangular(
            params.scatter_cholesky, prior.scatter_cholesky, upper=False
        )
        trace = whitened.square().sum((1, 2))  # tr(W W₀⁻¹)
        dof, dof_0 = params.degrees_of_freedom, prior.degrees_of_freedom
        log_det, log_det_0 = _log_det(params), _log_det(prior)
        i = torch.arange(self.dim, dtype=torch.float64)
        digammas = torch.digamma((dof[:, None] - i) / 2).sum(1)
        return (
            torch.mvlgamma(dof_0 / 2, self.dim)
            - torch.mvlgamma(dof / 2, self.dim)
            + 0.5 * (dof - dof_0) * digammas
            + 0.5 * dof_0 * (log_det - log_det_0)
            + 0.5 * dof * (trace - self.dim)
        )


class DiagonalCovariance(GaussianFamily):
    """Independent features: T(z) = [1, z, z²], F = 1 + 2 D.

    The exact conjugate family: every feature of every component has a Normal-Gamma of its own,
    which is the Normal-Wishart in one dimension, with the ν and scatter of that feature.
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
        for d, (mean, scatter) in enumerate(zip(params.mean.mT, params.scatter.mT, strict=True)):
            distance = (z[:, d, None] - mean).square() / scatter
            total += _log_student(params, distance, scatter.log(), dim=1)
        return total

    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return mean.square()

    def _moments(self, packed: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return packed

    def _coefficients(self, precision: Float64[Tensor, "K D"]) -> Float64[Tensor, "K D"]:
        return -0.5 * precision

    def _ridge(self, amount: Float64[Tensor, " K"]) -> Float64[Tensor, "K D"]:
        return amount[:, None].expand(-1, self.dim)

    def _multiply(
        self, matrix: Float64[Tensor, "K D"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        return matrix * vector

    def _wishart_kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " K"]:
        """KL of two Gamma distributions, shape ν/2 and rate scatter/2, summed over features."""
        shape, shape_0 = params.degrees_of_freedom / 2, prior.degrees_of_freedom / 2
        ratio = prior.scatter / params.scatter
        of_shape = torch.lgamma(shape_0) - torch.lgamma(shape)
        of_shape = of_shape + (shape - shape_0) * torch.digamma(shape)
        of_rate = shape[:, None] * (ratio - 1) - shape_0[:, None] * ratio.log()
        return self.dim * of_shape + of_rate.sum(1)


def _log_det(params: NormalWishart) -> Float64[Tensor, " K"]:
    """The log determinant of each scatter matrix; log |W| is its negative."""
    return 2 * params.scatter_cholesky.diagonal(dim1=1, dim2=2).log().sum(1)


def _log_student(
    params: NormalWishart,
    distance: Float64[Tensor, "N K"],
    log_det: Float64[Tensor, " K"],
    dim: int,
) -> Float64[Tensor, "N K"]:
    """Log density of the ``dim``-dimensional Student t that a Normal-Wishart predicts.

    ``distance`` is (z - m)ᵀ scatter⁻¹ (z - m) and ``log_det`` log |scatter|.
    """
    kappa, dof = params.mean_precision, params.degrees_of_freedom
    constant = (
        torch.lgamma((dof + 1) / 2)
        - torch.lgamma((dof + 1 - dim) / 2)
        - 0.5 * (dim * (math.pi * (kappa + 1) / kappa).log() + log_det)
    )
    return constant - 0.5 * (dof + 1) * torch.log1p(kappa / (kappa + 1) * distance)
