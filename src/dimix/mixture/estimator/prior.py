"""The prior that the estimator's arguments and the moments of the rows make.

A component is expected to have the covariance C + S / T ("local"): C is that of rows about their
neighbours (``local_covariance``), S that of the data, T the truncation. W₀⁻¹ is ν₀ times that, and
κ₀ makes means vary as much as the data. What components have in common is then learned from a fit
under this prior (``learned_prior``). scikit-learn expects components as wide as the data
("empirical"): well separated clusters are then put together where they, or the columns, are many.

After Fraley and Raftery, Bayesian regularization for normal mixture estimation and model-based
clustering (2007), section 3, which has ν₀ = D + 2 and S / K^(2/D).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dimix.mixture.estimator.arguments import (
    MATRICES,
    check_number,
    concentration_of,
    family_of,
    finite_array,
    width_of,
)
from dimix.mixture.families import NormalWishart
from dimix.mixture.posterior import MixturePrior

ROUNDING = 3e-13
"""Standard deviation, as a share of its mean, below which a column's is what rounding left."""


def prior_of(
    estimator: Any,
    centre: Float64[np.ndarray, " D"],
    covariance: Float64[np.ndarray, "*DD"],
    local: Callable[[], Float64[np.ndarray, "*DD"]],
) -> MixturePrior:
    """The prior of a DirichletProcessGaussianMixture, in coordinates measured from ``centre``.

    ``centre`` and ``covariance`` are those of the data, from ``moments`` or ``reduced``, and
    ``local`` gives the ``local_covariance`` if it is needed.
    """
    kind, reg_covar = estimator.covariance_type, float(estimator.reg_covar)
    dim, width = len(centre), width_of(estimator)
    kappa, dof = 1.0, float(dim)
    if width in ("learned", "local"):
        expected = np.asarray(local() + covariance / estimator.n_components)
        expected = _lifted(expected, centre, reg_covar)
        kappa = _mean_variance(expected) / _mean_variance(_lifted(covariance, centre, reg_covar))
        dof = 2.0 + (dim if kind in MATRICES else 1)
    dof = _degrees_of_freedom(estimator.degrees_of_freedom_prior, dim, default=dof)
    if width is None:
        scatter = _given_scatter(estimator.covariance_prior, covariance.shape)
    elif width == "empirical":
        scatter = _lifted(covariance, centre, reg_covar)
    else:
        scatter = dof * expected
    return MixturePrior(
        family_of(kind, dim, reg_covar, allow_missing=estimator.allow_missing),
        NormalWishart(
            mean=_mean(estimator.mean_prior, centre)[None],
            mean_precision=_number(estimator.mean_precision_prior, default=kappa),
            degrees_of_freedom=torch.tensor([dof], dtype=torch.float64),
            scatter=torch.tensor(scatter)[None],
        ),
        concentration_of(estimator.weight_concentration_prior, estimator.n_components),
        torch.as_tensor(centre),
    )


def check_prior(estimator: Any, dim: int) -> None:
    """Raise unless what is given of the prior in numbers fits rows of so many columns."""
    kind = estimator.covariance_type
    if estimator.mean_prior is not None:
        finite_array("mean_prior", estimator.mean_prior, (dim,))
    if width_of(estimator) is None:
        shape = (dim, dim) if kind in MATRICES else (dim,) if kind == "diag" else ()
        _given_scatter(estimator.covariance_prior, shape)
    _degrees_of_freedom(estimator.degrees_of_freedom_prior, dim, default=float(dim))


def _number(value: float | None, *, default: float) -> Float64[Tensor, " 1"]:
    return torch.tensor([float(default if value is None else value)], dtype=torch.float64)


def _mean(value: ArrayLike | None, centre: Float64[np.ndarray, " D"]) -> Float64[Tensor, " D"]:
    if value is None:
        return torch.zeros(len(centre), dtype=torch.float64)
    return torch.from_numpy(finite_array("mean_prior", value, centre.shape) - centre)


def _degrees_of_freedom(value: float | None, dim: int, *, default: float) -> float:
    if value is None:
        return default
    check_number("degrees_of_freedom_prior", value, low=dim - 1, closed=False)
    return float(value)


def _given_scatter(value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    scatter = finite_array("covariance_prior", value, shape)
    _check_positive_definite(scatter)
    return scatter


def _mean_variance(covariance: NDArray[np.float64]) -> float:
    """The geometric mean of the variances along its axes."""
    if covariance.ndim < 2:
        return float(np.exp(np.log(covariance).mean()))
    variances = covariance.diagonal()
    log_volume = np.linalg.slogdet(_correlation(covariance))[1] + np.log(variances).sum()
    return float(np.exp(log_volume / len(covariance)))


def _check_positive_definite(covariance: NDArray[np.float64]) -> None:
    is_matrix = covariance.ndim == 2
    symmetric = not is_matrix or np.allclose(covariance, covariance.T)
    if not symmetric or not _is_positive(covariance):
        allowed = "symmetric and positive definite" if is_matrix else "positive"
        raise ValueError(f"covariance_prior must be {allowed}, got {covariance.tolist()}")


def _is_positive(covariance: NDArray[np.float64]) -> bool:
    """Whether a covariance is, given as a matrix, as its diagonal or as one number."""
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    if variances.min() <= 0:
        return False
    return covariance.ndim < 2 or bool(np.linalg.eigvalsh(_correlation(covariance)).min() > 0)


def _correlation(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """In units of each column's own, since rounding leaves nothing of one beside a far larger."""
    scales = np.sqrt(covariance.diagonal())
    return np.asarray(covariance / np.outer(scales, scales))


def _lifted(
    covariance: NDArray[np.float64], centre: Float64[np.ndarray, " D"], reg_covar: float
) -> NDArray[np.float64]:
    """A covariance from the data, lifted off zero only where the data has no spread."""
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    rounding = np.square(ROUNDING * centre)
    varies = variances > (rounding if variances.ndim else rounding.mean())
    lift = np.where(varies, 0.0, max(reg_covar, 1e-9 * variances.max()))
    if covariance.ndim == 2 and varies.any():
        relative = _correlation(covariance[np.ix_(varies, varies)])
        if np.linalg.eigvalsh(relative).min() <= 1e-12:
            lift = np.maximum(lift, np.maximum(reg_covar, 1e-9 * variances))
    if not (varies | (lift > 0)).all():
        raise ValueError(
            "every row of X is the same, so that there is no spread to take the covariance_prior "
            "from: give one in numbers, or a reg_covar above 0"
        )
    return np.asarray(covariance + (np.diag(lift) if covariance.ndim == 2 else lift))
