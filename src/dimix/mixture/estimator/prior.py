"""The prior that the estimator's arguments and the moments of the rows make.

By default the prior expects G = √T clusters, the truncation T being generous: each covers a G-th
of the data's volume, and their means spread as the data does. Of its covariance S, the components
have S / G^(2/D), and κ₀ is 1 / G^(2/D), so that μ varies by S again. scikit-learn expects
components as wide as all of the data (``WIDE_PRIOR``): well separated clusters are then put
together where they are many.

Source: Fraley and Raftery, Bayesian regularization for normal mixture estimation and model-based
clustering (2007), section 3, which has this covariance for G components, and a κ₀ of 0.01.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dimix.mixture.estimator.arguments import (
    check_number,
    concentration_of,
    family_of,
    finite_array,
)
from dimix.mixture.families import NormalWishart
from dimix.mixture.posterior import MixturePrior

WIDE_PRIOR: Mapping[str, Any] = {"mean_precision_prior": 1.0, "covariance_prior": "empirical"}
"""The arguments that make scikit-learn's prior: components as wide as all of the data."""


def prior_of(
    estimator: Any, centre: Float64[np.ndarray, " D"], covariance: Float64[np.ndarray, "*DD"]
) -> MixturePrior:
    """The prior of a DirichletProcessGaussianMixture, in coordinates measured from ``centre``.

    ``centre`` and ``covariance`` are those of the data, from ``moments`` or ``reduced``.
    """
    kind, reg_covar = estimator.covariance_type, float(estimator.reg_covar)
    share = estimator.n_components ** (-1 / len(centre))
    return MixturePrior(
        family_of(kind, len(centre), reg_covar, allow_missing=estimator.allow_missing),
        NormalWishart(
            mean=_mean(estimator.mean_prior, centre)[None],
            mean_precision=_number(estimator.mean_precision_prior, default=share),
            degrees_of_freedom=_degrees_of_freedom(estimator.degrees_of_freedom_prior, len(centre)),
            scatter=_scatter(estimator.covariance_prior, covariance, reg_covar, share)[None],
        ),
        concentration_of(estimator.weight_concentration_prior, estimator.n_components),
        torch.as_tensor(centre),
    )


def _number(value: float | None, *, default: float) -> Float64[Tensor, " 1"]:
    return torch.tensor([float(default if value is None else value)], dtype=torch.float64)


def _mean(value: ArrayLike | None, centre: Float64[np.ndarray, " D"]) -> Float64[Tensor, " D"]:
    if value is None:
        return torch.zeros(len(centre), dtype=torch.float64)
    return torch.from_numpy(finite_array("mean_prior", value, centre.shape) - centre)


def _degrees_of_freedom(value: float | None, dim: int) -> Float64[Tensor, " 1"]:
    if value is not None:
        check_number("degrees_of_freedom_prior", value, low=dim - 1, closed=False)
    return _number(value, default=dim)


def _scatter(
    value: ArrayLike | None, sample: Float64[np.ndarray, "*DD"], reg_covar: float, share: float
) -> Float64[Tensor, "*DD"]:
    """W₀⁻¹: what is given, or ("empirical") the data's covariance, or (None) a share of it."""
    if isinstance(value, str | None):
        return torch.tensor(_lifted(np.asarray(sample * (1 if value else share)), reg_covar))
    scatter = finite_array("covariance_prior", value, sample.shape)
    _check_positive_definite(scatter)
    return torch.tensor(scatter)


def _check_positive_definite(covariance: NDArray[np.float64]) -> None:
    is_matrix = covariance.ndim == 2
    symmetric = not is_matrix or np.allclose(covariance, covariance.T)
    if not symmetric or _spectrum(covariance).min() <= 0:
        allowed = "symmetric and positive definite" if is_matrix else "positive"
        raise ValueError(f"covariance_prior must be {allowed}, got {covariance.tolist()}")


def _spectrum(covariance: NDArray[np.float64]) -> NDArray[np.floating]:
    """Eigenvalues of a covariance, given as a matrix, as its diagonal or as one number."""
    return np.linalg.eigvalsh(covariance) if covariance.ndim == 2 else covariance


def _identity(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The identity in the shape of a covariance."""
    return np.eye(len(covariance)) if covariance.ndim == 2 else np.ones_like(covariance)


def _lifted(covariance: NDArray[np.float64], reg_covar: float) -> NDArray[np.float64]:
    """A covariance from the data, lifted off zero only where the data has no spread."""
    spectrum = _spectrum(covariance)
    if spectrum.min() > 1e-12 * spectrum.max():
        return covariance
    lift = max(reg_covar, 1e-9 * spectrum.max())
    if lift == 0:
        raise ValueError(
            "every row of X is the same, so that there is no spread to take the covariance_prior "
            "from: give one in numbers, or a reg_covar above 0"
        )
    return np.asarray(covariance + lift * _identity(covariance))
