"""What every covariance type shares: the update, E[log N], the KL and the log evidence."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)

PAIRS_BYTES = 2**20
"""Statistics of merged pairs that are held at a time; what follows from them fits a cache."""


@dataclass(frozen=True, eq=False)
class NormalWishart:
    """q(μ_k, Λ_k) = N(μ_k | m, (κ Λ_k)⁻¹) Wishart(Λ_k | W, ν) of K components.

    ``mean`` is m, ``mean_precision`` κ, ``degrees_of_freedom`` ν and ``scatter`` W⁻¹, so that
    E[Λ_k] = ν scatter⁻¹ whatever the covariance type. The shape of the scatter is that of the
    type: ``[K, D, D]`` a Wishart; ``[K, D]`` a Gamma of shape ν/2 and rate scatter/2 for each
    feature; ``[K]`` one Gamma of shape D ν/2 and rate D scatter/2. Components that share one
    precision have one ν and one scatter: ``[1]`` and ``[1, D, D]``.
    """

    mean: Float64[Tensor, "K D"]
    mean_precision: Float64[Tensor, " K"]
    degrees_of_freedom: Float64[Tensor, " #K"]
    scatter: Float64[Tensor, "#K *DD"]

    @cached_property
    def scatter_inverse(self) -> Float64[Tensor, "#K D D"]:
        """W_k of each component."""
        inverse: Tensor = torch.cholesky_inverse(self.scatter_cholesky)
        return inverse

    @cached_property
    def scatter_cholesky(self) -> Float64[Tensor, "#K D D"]:
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

    In shapes, ``*DD`` is what a precision of the type takes (D D, D, or nothing for one
    number), and ``#K`` is K, or 1 where the components share a precision.
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

    def averages(self, statistics: Float64[Tensor, "K F"]) -> Float64[Tensor, "K D"]:
        """The mean of each component's rows, 0 where it has none."""
        counts, sums = statistics[:, :1], statistics[:, 1 : 1 + self.dim]
        return sums / counts.clamp(min=torch.finfo(counts.dtype).tiny)

    @abstractmethod
    def precision(self, params: NormalWishart) -> Float64[Tensor, "*KDD"]:
        """E[Λ_k] = ν W, in the shape of scikit-learn's ``precisions_``."""

    @abstractmethod
    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "*KDD"]:
        """A factor U (upper triangular if a matrix) with U Uᵀ = E[Λ_k]."""

    @abstractmethod
    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " #K"]:
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
    def _outer(self, mean: Float64[Tensor, "K D"]) -> Float64[Tensor, "K *DD"]:
        """The second moments of a point, in the shape of a scatter."""

    @abstractmethod
    def _moments(self, packed: Float64[Tensor, "K f"]) -> Float64[Tensor, "K *DD"]:
        """The second-moment columns of S, in the shape of a scatter."""

    @abstractmethod
    def _coefficients(self, precision: Float64[Tensor, "*KDD"]) -> Float64[Tensor, "*#K f"]:
        """What the second moments in Φ are multiplied by to give -½ zᵀ Λ z."""

    @abstractmethod
    def _multiply(
        self, matrix: Float64[Tensor, "*KDD"], vector: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K D"]:
        """Matrix-vector product of each component."""

    @abstractmethod
    def _log_normaliser(self, params: NormalWishart) -> Float64[Tensor, " #K"]:
        """Log ∫ |Λ|^((ν - D - 1) / 2) exp(-tr(Λ scatter) / 2) dΛ, Bishop (B.79)."""

    @abstractmethod
    def _trace(self, params: NormalWishart, other: NormalWishart) -> Float64[Tensor, " #K"]:
        """The trace of E[Λ_k] times the one scatter of another."""

    def _pool(self, each: Float64[Tensor, "K *any"]) -> Float64[Tensor, "#K *any"]:
        """What the components add to a precision: each to its own."""
        return each

    def unseen(self, params: NormalWishart, prior: NormalWishart) -> NormalWishart:
        """The posterior of a component without rows, next to those in ``params``."""
        return prior

    def update(self, prior: NormalWishart, statistics: Float64[Tensor, "K F"]) -> NormalWishart:
        """The exact conjugate posterior given S: Bishop (10.60) to (10.63)."""
        counts, sums, packed = statistics.tensor_split((1, 1 + self.dim), dim=1)
        moments = self._moments(packed + counts * self._ridge)
        counts = counts[:, 0]
        mean_precision = prior.mean_precision + counts
        mean = (prior.mean_precision[:, None] * prior.mean + sums) / mean_precision[:, None]
        spread = (
            moments
            + self._weighted_outer(prior.mean_precision, prior.mean)
            - self._weighted_outer(mean_precision, mean)
        )
        return NormalWishart(
            mean,
            mean_precision,
            prior.degrees_of_freedom + self._pool(counts),
            prior.scatter + self._pool(spread),
        )

    def expected_natural(self, params: NormalWishart) -> Float64[Tensor, "K F"]:
        """η such that Φ ηᵀ = E[log N(z_n | μ_k, Λ_k⁻¹)], every constant in: Bishop (10.64)."""
        precision = self.precision(params)
        linear = self._multiply(precision, params.mean)
        constant = 0.5 * (
            self.expected_log_det(params)
            - self.dim * (LOG_2PI + 1 / params.mean_precision)
            - (params.mean * linear).sum(1)
        )
        quadratic = self._coefficients(precision).expand(len(linear), -1)
        return torch.cat([constant[:, None], linear, quadratic], dim=1)

    def kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " #K"]:
        """KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k)): Bishop (10.74) and (10.77).

        One number for each component, or one in all where they share a precision.
        """
        ratio = prior.mean_precision / params.mean_precision
        distance = self.expected_distance(params, prior.mean)
        of_mean = prior.mean_precision * distance - self.dim * (1 + ratio.log())
        return 0.5 * self._pool(of_mean) + self._wishart_kl(params, prior)

    def expected_distance(
        self, params: NormalWishart, point: Float64[Tensor, "#K D"]
    ) -> Float64[Tensor, " K"]:
        """E[(μ_k - point)ᵀ Λ_k (μ_k - point)], of one point or one each: Bishop (10.64)."""
        shift = params.mean - point
        distance = (shift * self._multiply(self.precision(params), shift)).sum(1)
        return self.dim / params.mean_precision + distance

    def log_evidence(
        self, prior: NormalWishart, statistics: Float64[Tensor, "K F"]
    ) -> Float64[Tensor, " #K"]:
        """g(S) = <η, S> - KL at the update given S, in closed form: Murphy (2007).

        One number for each component, or one in all where they share a precision. Without
        ``reg_covar`` it is log ∫ ∏_n N(z_n | μ, Λ⁻¹)^r_n p(μ, Λ) dμ dΛ, whatever positive
        number S is scaled by; with it, it is what such an update gives to the bound.
        """
        params, counts = self.update(prior, statistics), statistics[:, 0]
        ratio = prior.mean_precision / params.mean_precision
        of_means = 0.5 * self.dim * (ratio.log() - counts * LOG_2PI)
        of_precision = self._log_normaliser(params) - self._log_normaliser(prior)
        evidence = self._pool(of_means) + of_precision
        if self.reg_covar == 0:
            return evidence
        # So far the rows were blurred by the ridge; the bound is that of the rows themselves.
        return evidence + 0.5 * self._pool(counts) * self._trace(params, self._blur)

    def merge_evidence(
        self,
        prior: NormalWishart,
        statistics: Float64[Tensor, "K F"],
        pairs: Int64[Tensor, "P 2"],
    ) -> Float64[Tensor, " P"]:
        """The change of the sum of ``log_evidence`` when the two rows of a pair become one."""
        # One after another in the same batches: a component alone is one with a row of nothing.
        n, rows = len(statistics), torch.cat([statistics, statistics.new_zeros(1, self.n_features)])
        alone = torch.stack([torch.arange(n), torch.full((n,), n)], dim=1)
        size = max(1, PAIRS_BYTES // (8 * self.n_features))
        evidence = torch.cat(
            [
                self.log_evidence(prior, rows[some[:, 0]] + rows[some[:, 1]])
                for some in torch.cat([alone, pairs]).split(size)
            ]
        )
        return evidence[n:] - evidence[pairs].sum(1)

    def covariance(self, params: NormalWishart) -> Float64[Tensor, "*KDD"]:
        """E[Λ_k]⁻¹ = scatter / ν, in the shape of scikit-learn's ``covariances_``."""
        dof = params.degrees_of_freedom
        return params.scatter / dof.reshape(-1, *[1] * (params.scatter.ndim - 1))

    def _wishart_kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " #K"]:
        """KL(q(Λ_k) ‖ p(Λ_k)), with tr(E[Λ_k] scatter) = ν D."""
        dof, dof_0 = params.degrees_of_freedom, prior.degrees_of_freedom
        normalisers = self._log_normaliser(prior) - self._log_normaliser(params)
        of_log_det = (dof - dof_0) * self.expected_log_det(params)
        traces = self._trace(params, prior) - self.dim * dof
        return normalisers + 0.5 * (of_log_det + traces)

    @cached_property
    def _ridge(self) -> Float64[Tensor, " f"]:
        """The second moments that ``reg_covar`` adds to a row: those of N(0, reg_covar I)."""
        zeros = torch.zeros(1, self.dim, dtype=torch.float64)
        return self.features(zeros, zeros + self.reg_covar)[0, 1 + self.dim :]

    @cached_property
    def _blur(self) -> NormalWishart:
        """What ``reg_covar`` adds to the scatter for each row."""
        mean, none = torch.zeros(2, 1, self.dim, dtype=torch.float64)
        return NormalWishart(mean, none[:, 0], none[:, 0], self._moments(self._ridge[None]))

    def _weighted_outer(
        self, weight: Float64[Tensor, " K"], mean: Float64[Tensor, "K D"]
    ) -> Float64[Tensor, "K *DD"]:
        return self._outer(weight.sqrt()[:, None] * mean)


def log_student(
    mean_precision: Float64[Tensor, " K"],
    power: Float64[Tensor, " #K"],
    distance: Float64[Tensor, "N K"],
    log_det: Float64[Tensor, " #K"],
    dim: int,
) -> Float64[Tensor, "N K"]:
    """Log density of the ``dim``-dimensional Student t that a Normal-Wishart predicts.

    The density falls as ``power`` of 1 + κ / (κ + 1) ``distance``, where ``distance`` is
    (z - m)ᵀ scatter⁻¹ (z - m) and ``log_det`` is log |scatter|.
    """
    widening = (mean_precision + 1) / mean_precision
    constant = torch.lgamma(power) - torch.lgamma(power - dim / 2)
    constant = constant - 0.5 * (dim * (math.pi * widening).log() + log_det)
    return constant - power * torch.log1p(distance / widening)
