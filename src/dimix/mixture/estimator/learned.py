"""The prior that the components of a first fit make: empirical Bayes.

With components as they are, the bound is highest under the prior from which they diverge least,
the sum of KL(q(μ_k, Λ_k) ‖ p(μ, Λ)) over those that hold rows. Given ν₀, the minimum has the mean
of their E[Λ_k] for the mean ν₀ W₀ of a precision, and makes D / κ₀ the mean of
E[(μ_k - m₀)ᵀ Λ_k (μ_k - m₀)]. What components have in common they then need not each learn from
rows of their own: many columns in which clusters do not differ cost the bound little.

One more component counts beside them, that which was expected at first, so that two or three do
not make a prior of themselves alone; and ν₀ only rises from there.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64
from scipy.optimize import minimize_scalar
from torch import Tensor

from dimix.mixture.families import NormalWishart
from dimix.mixture.hierarchy import LEAST_ROWS
from dimix.mixture.posterior import MixturePosterior, MixturePrior

MOST_TRUST = 1e6
"""The most ν₀ may come to: as many rows of trust in a shape that all components share."""


def learned_prior(
    posterior: MixturePosterior, *, mean_precision: float | None, degrees_of_freedom: float | None
) -> MixturePrior:
    """The prior of a mixture, with W₀, κ₀ and ν₀ as its components ask for.

    A ``mean_precision`` κ₀ and ``degrees_of_freedom`` ν₀ that are given stay. Precisions must not
    be shared. A single component has nothing in common with others: its prior stays.
    """
    family, first, params = posterior.family, posterior.prior.components, posterior.components
    filled = posterior.counts >= LEAST_ROWS
    if filled.sum() < 2:
        return posterior.prior

    def mean(of: Callable[[NormalWishart], Float64[Tensor, "K *DD"]]) -> Float64[Tensor, "1 *DD"]:
        return torch.cat([of(params)[filled], of(first)]).mean(0, keepdim=True)

    expected = _inverse(mean(family.precision))
    kappa = first.mean_precision
    if mean_precision is None:
        kappa = family.dim / mean(lambda params: family.expected_distance(params, first.mean))

    def prior(log_dof: float) -> NormalWishart:
        dof = torch.tensor([np.exp(log_dof)], dtype=torch.float64)
        return NormalWishart(first.mean, kappa, dof, dof * expected)

    def divergence(log_dof: float) -> float:
        return float(mean(lambda params: family.kl(params, prior(log_dof))))

    log_dof = float(first.degrees_of_freedom.log())
    if degrees_of_freedom is None:
        ends = log_dof, np.log(MOST_TRUST)
        log_dof = minimize_scalar(divergence, bounds=ends, method="bounded").x
    return replace(posterior.prior, components=prior(log_dof))


def kept_prior(
    old: MixturePrior,
    new: MixturePrior,
    *,
    mean_precision: float | None,
    degrees_of_freedom: float | None,
) -> MixturePrior:
    """What was learned before, as the prior of rows that have another mean."""
    learned, components = old.components, new.components
    dof = components.degrees_of_freedom
    dof = learned.degrees_of_freedom if degrees_of_freedom is None else dof
    kappa = learned.mean_precision if mean_precision is None else components.mean_precision
    scatter = learned.scatter * (dof / learned.degrees_of_freedom)
    return replace(new, components=NormalWishart(components.mean, kappa, dof, scatter))


def _inverse(precision: Float64[Tensor, "1 *DD"]) -> Float64[Tensor, "1 *DD"]:
    """A covariance from a precision, given as a matrix, as its diagonal or as one number."""
    if precision.ndim < 3:
        return 1 / precision
    inverse: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(precision))
    return inverse
