"""The judge of all mixtures: the bound of given parameters, in NumPy and SciPy alone.

Nothing here imports dimix. ``bound`` takes the parameters of q(v) and q(μ, Λ), whoever fitted
them, puts in the best q(c) for them and keeps every constant:

    Σ_n logsumexp_k (E[log π_k] + E[log N(x_n | μ_k, Λ_k⁻¹)]) - KL(q(v) ‖ p) - KL(q(μ, Λ) ‖ p)

Source: Bishop, Pattern recognition and machine learning (2006), section 10.2 and appendix B;
Blei and Jordan, Variational inference for Dirichlet process mixtures (2006), for the sticks.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import betaln, logsumexp, multigammaln, psi


@dataclass(frozen=True, eq=False)
class Prior:
    """(μ, Λ) ~ Normal-Wishart with scatter W₀⁻¹, sticks ~ Beta(1, α)."""

    mean: np.ndarray
    kappa: float
    dof: float
    scatter: np.ndarray
    alpha: float


@dataclass(frozen=True, eq=False)
class Mixture:
    """q of T full components: m [T, D], κ, ν [T], W⁻¹ [T, D, D], and Beta(a, b) sticks [T]."""

    mean: np.ndarray
    kappa: np.ndarray
    dof: np.ndarray
    scatter: np.ndarray
    a: np.ndarray
    b: np.ndarray

    def by_size(self, alpha: float) -> "Mixture":
        """The largest component first, with the sticks that this order asks for."""
        order = np.argsort(-self.a, kind="stable")
        counts = self.a[order] - 1
        later = counts[::-1].cumsum()[::-1] - counts
        parts = {n: getattr(self, n)[order] for n in ("mean", "kappa", "dof", "scatter")}
        return replace(self, **parts, a=1 + counts, b=alpha + later)


def default_prior(x: np.ndarray, n_components: int) -> Prior:
    """What scikit-learn takes where nothing is given: κ₀ = 1, ν₀ = D, W₀⁻¹ = cov(x), α = 1 / T."""
    covariance = np.atleast_2d(np.cov(x.T.astype(np.float64)))
    return Prior(x.mean(0, dtype=np.float64), 1.0, x.shape[1], covariance, 1 / n_components)


def of_sklearn(model: Any) -> Mixture:
    """The parameters of a BayesianGaussianMixture, in its own order of components."""
    dof = np.asarray(model.degrees_of_freedom_)
    scatter = model.covariances_ * dof[:, None, None]
    return Mixture(model.means_, model.mean_precision_, dof, scatter, *model.weight_concentration_)


def of_dimix(posterior: Any) -> Mixture:
    """The parameters of one of our posteriors, moved back to where the data lie."""
    q, sticks = posterior.components, posterior.sticks
    parts = (posterior.means, q.mean_precision, q.degrees_of_freedom, q.scatter, sticks.a, sticks.b)
    return Mixture(*(part.numpy() for part in parts))


def bound(x: np.ndarray, prior: Prior, q: Mixture) -> float:
    """The bound on log p(x), in nats, with the best q(c) at q."""
    factors = np.linalg.cholesky(q.scatter)
    log_det = _expected_log_det(q, factors)
    log_joint = _expected_log_weights(q) + _expected_log_normals(x, q, factors, log_det)
    allocation = logsumexp(log_joint, axis=1).sum()
    return float(allocation - _stick_kl(q, prior.alpha) - _component_kl(q, prior, factors, log_det))


def _expected_log_det(q: Mixture, factors: np.ndarray) -> np.ndarray:
    dim = q.mean.shape[1]
    digammas = psi((q.dof[:, None] - np.arange(dim)) / 2).sum(1)
    return digammas + dim * np.log(2) - _log_det(factors)


def _log_det(factors: np.ndarray) -> np.ndarray:
    return 2 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(-1)


def _expected_log_weights(q: Mixture) -> np.ndarray:
    log_rest = psi(q.b) - psi(q.a + q.b)
    return psi(q.a) - psi(q.a + q.b) + np.concatenate([[0], log_rest[:-1].cumsum()])


def _expected_log_normals(
    x: np.ndarray, q: Mixture, factors: np.ndarray, log_det: np.ndarray
) -> np.ndarray:
    dim = q.mean.shape[1]
    distances = np.empty((len(x), len(q.mean)))
    rows = np.ascontiguousarray(x.T, dtype=np.float64)
    for k, (mean, factor) in enumerate(zip(q.mean, factors, strict=True)):
        white = solve_triangular(factor, rows - mean[:, None], lower=True, check_finite=False)
        distances[:, k] = np.square(white).sum(0)
    constant = log_det - dim * (np.log(2 * np.pi) + 1 / q.kappa)
    return 0.5 * (constant - q.dof * distances)


def _stick_kl(q: Mixture, alpha: float) -> float:
    a, b = q.a, q.b
    log_ratio = betaln(1, alpha) - betaln(a, b)
    moments = (a - 1) * psi(a) + (b - alpha) * psi(b) - (a - 1 + b - alpha) * psi(a + b)
    return float((log_ratio + moments).sum())


def _component_kl(q: Mixture, prior: Prior, factors: np.ndarray, log_det: np.ndarray) -> float:
    dim, inverse = q.mean.shape[1], np.linalg.inv(q.scatter)
    shift, ratio = q.mean - prior.mean, prior.kappa / q.kappa
    distance = q.dof * np.einsum("kd,kde,ke->k", shift, inverse, shift)
    of_mean = 0.5 * (dim * (ratio - 1 - np.log(ratio)) + prior.kappa * distance)
    trace = q.dof * np.einsum("de,ked->k", prior.scatter, inverse)
    of_precision = (
        _log_wishart(q.dof, _log_det(factors), dim)
        - _log_wishart(prior.dof, np.linalg.slogdet(prior.scatter)[1], dim)
        + 0.5 * ((q.dof - prior.dof) * log_det + trace - q.dof * dim)
    )
    return float((of_mean + of_precision).sum())


def _log_wishart(dof: Any, log_det_scatter: Any, dim: int) -> Any:
    """The logarithm of B(W, ν), Bishop (B.79)."""
    of_gamma = np.array([multigammaln(nu / 2, dim) for nu in np.atleast_1d(dof)])
    return 0.5 * dof * (log_det_scatter - dim * np.log(2)) - of_gamma
