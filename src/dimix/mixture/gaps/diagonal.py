"""Diagonal covariance of rows with missing values (NaN), exactly.

What is missing (at random) integrates out of independent features: a feature that is missing
says nothing, so each has counts of its own, and a Normal-Gamma with a κ and a ν of its own.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from dimix.mixture.families import DiagonalCovariance, NormalWishart


@dataclass(frozen=True, eq=False)
class FeatureNormalGamma(NormalWishart):
    """A Normal-Wishart in one dimension for each component and feature."""

    mean_precision: Float64[Tensor, "K D"]
    degrees_of_freedom: Float64[Tensor, "K D"]
    scatter: Float64[Tensor, "K D"]


class DiagonalWithMissing(DiagonalCovariance):
    """Independent features, of which a row may have any: T(z) = [1, o, o z, o z²], F = 1 + 3 D.

    o is 1 where a feature is observed and 0 where z is NaN. Everything is that of
    ``DiagonalCovariance`` in one dimension, for each component and feature; without missing
    values it is that of ``DiagonalCovariance`` in D dimensions.
    """

    @property
    def n_features(self) -> int:
        """F, the length of T(z)."""
        return 1 + 3 * self.dim

    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ = E[T(z)]; the variance of what is missing is not looked at."""
        observed = ~z.isnan()
        z = z.where(observed, 0)
        squares = z * z if var is None else z * z + var.where(observed, 0)
        return torch.cat([torch.ones_like(z[:, :1]), observed.to(z), z, squares], dim=1)

    def averages(self, statistics: Float64[Tensor, "K F"]) -> Float64[Tensor, "K D"]:
        """The mean of what is observed of each component's rows, 0 where nothing is."""
        counts, sums = statistics[:, 1 : 1 + 2 * self.dim].chunk(2, dim=1)
        return sums / counts.clamp(min=torch.finfo(counts.dtype).tiny)

    def precision(self, params: NormalWishart) -> Float64[Tensor, "K D"]:
        """E[λ_kd] = ν / scatter."""
        return _per_feature(params).degrees_of_freedom / params.scatter

    def covariance(self, params: NormalWishart) -> Float64[Tensor, "K D"]:
        """1 / E[λ_kd]."""
        return params.scatter / _per_feature(params).degrees_of_freedom

    def expected_log_det(self, params: NormalWishart) -> Float64[Tensor, " K"]:
        """Σ_d E[log λ_kd]."""
        return self._one.expected_log_det(_flat(params, 1)).view_as(params.mean).sum(1)

    def log_predictive(
        self, params: NormalWishart, z: Float64[Tensor, "N D"]
    ) -> Float64[Tensor, "N K"]:
        """The density of the observed features of each row: a product of Student t's."""
        observed, params = ~z.isnan(), _per_feature(params)
        total = z.new_zeros(len(z), len(params.mean))
        for d in range(self.dim):
            alone = NormalWishart(
                params.mean[:, [d]],
                params.mean_precision[:, d],
                params.degrees_of_freedom[:, d],
                params.scatter[:, [d]],
            )
            density = self._one.log_predictive(alone, z[:, [d]].nan_to_num())
            total += density * observed[:, [d]]
        return total

    def update(self, prior: NormalWishart, statistics: Float64[Tensor, "K F"]) -> NormalWishart:
        """The exact conjugate posterior given S."""
        shape = (len(statistics), self.dim)
        flat = self._one.update(_flat(prior, len(statistics)), self._per_feature(statistics))
        return FeatureNormalGamma(
            flat.mean.view(shape),
            flat.mean_precision.view(shape),
            flat.degrees_of_freedom.view(shape),
            flat.scatter.view(shape),
        )

    def expected_natural(self, params: NormalWishart) -> Float64[Tensor, "K F"]:
        """η such that Φ ηᵀ is E[log N] of the observed features; nothing is for the row itself."""
        n_components = len(params.mean)
        natural = self._one.expected_natural(_flat(params, 1))
        by_moment = natural.view(n_components, self.dim, 3).mT.reshape(n_components, -1)
        return torch.cat([by_moment.new_zeros(n_components, 1), by_moment], dim=1)

    def expected_distance(
        self, params: NormalWishart, point: Float64[Tensor, "#K D"]
    ) -> Float64[Tensor, " K"]:
        """E[(μ_k - point)ᵀ Λ_k (μ_k - point)]."""
        flat = _flat(params, 1)
        of_features = self._one.expected_distance(flat, point.expand_as(params.mean).reshape(-1, 1))
        return of_features.view_as(params.mean).sum(1)

    def kl(self, params: NormalWishart, prior: NormalWishart) -> Float64[Tensor, " K"]:
        """KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k)) of each component."""
        prior = _flat(prior, len(params.mean))
        return self._one.kl(_flat(params, 1), prior).view_as(params.mean).sum(1)

    def log_evidence(
        self, prior: NormalWishart, statistics: Float64[Tensor, "K F"]
    ) -> Float64[Tensor, " K"]:
        """g(S) of each component: the sum over features of the evidence of what is observed."""
        prior = _flat(prior, len(statistics))
        evidence = self._one.log_evidence(prior, self._per_feature(statistics))
        return evidence.view(len(statistics), self.dim).sum(1)

    @cached_property
    def _one(self) -> DiagonalCovariance:
        """The family of one feature of one component."""
        return DiagonalCovariance(1, self.reg_covar)

    def _per_feature(self, statistics: Float64[Tensor, "K F"]) -> Float64[Tensor, "KD 3"]:
        """Count, sum and sum of squares of every component and feature."""
        return statistics[:, 1:].view(len(statistics), 3, self.dim).mT.reshape(-1, 3)


def _per_feature(params: NormalWishart) -> FeatureNormalGamma:
    """Parameters with one κ and ν a component, as a prior has them, written out by feature."""
    kappa, dof = params.mean_precision, params.degrees_of_freedom
    if kappa.ndim == 1:
        kappa, dof = (each[:, None].expand_as(params.mean) for each in (kappa, dof))
    return FeatureNormalGamma(params.mean, kappa, dof, params.scatter)


def _flat(params: NormalWishart, repeats: int) -> NormalWishart:
    """Every component and feature as a component of its own, all of them ``repeats`` times."""
    params = _per_feature(params)
    mean, kappa, dof, scatter = (
        each.repeat(repeats, 1).flatten()
        for each in (params.mean, params.mean_precision, params.degrees_of_freedom, params.scatter)
    )
    return NormalWishart(mean[:, None], kappa, dof, scatter[:, None])


def mean_imputed(
    z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Gaussians (mean, variance) in place of rows with gaps, where a start needs whole rows.

    A gap gets the mean and the variance of the observed entries of its column; what is observed
    keeps its own variance ``var``, None for 0.
    """
    observed: Bool[Tensor, "N D"] = ~z.isnan()
    counts = observed.sum(0)
    mean = z.nansum(0) / counts.clamp(min=1)
    of_column = (z - mean).square().nansum(0) / counts.clamp(min=1)
    of_entry = torch.zeros_like(z) if var is None else var
    return torch.where(observed, z, mean), torch.where(observed, of_entry, of_column)
