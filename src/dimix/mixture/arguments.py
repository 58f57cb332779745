"""The estimator's arguments: checked, and turned into a prior.

Every error names the argument, what was found and what is allowed, before any work starts.
Defaults are those of scikit-learn's ``BayesianGaussianMixture``.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    NormalWishart,
)
from dimix.mixture.posterior import MixturePrior

FAMILIES: dict[str, type[GaussianFamily]] = {"full": FullCovariance, "diag": DiagonalCovariance}

COLLINEAR = 1e-5
"""Smallest eigenvalue of a correlation matrix, below which products need float64."""


def check_number(
    name: str, value: Any, *, low: float, closed: bool = True, integer: bool = False
) -> None:
    """Raise unless ``value`` is a finite number at or, if not ``closed``, above ``low``."""
    kind: type = Integral if integer else Real
    noun = "an integer" if integer else "a finite number"
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or value < low or (value == low and not closed):
        sign = ">=" if closed else ">"
        raise ValueError(f"{name} must be {noun} {sign} {low}, got {value!r}")


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def make_prior(
    centred: Float64[np.ndarray, "N D"],
    centre: Float64[np.ndarray, " D"],
    *,
    covariance_type: str,
    reg_covar: float,
    concentration: float,
    mean_precision: float,
    mean: ArrayLike | None,
    degrees_of_freedom: float | None,
    covariance: ArrayLike | None,
) -> MixturePrior:
    """The prior in coordinates measured from ``centre``, with defaults read off the data."""
    dim = centred.shape[1]
    family = FAMILIES[covariance_type](dim, float(reg_covar))
    location = np.zeros(dim) if mean is None else _finite("mean_prior", mean, (dim,)) - centre
    dof = dim if degrees_of_freedom is None else degrees_of_freedom
    check_number("degrees_of_freedom_prior", dof, low=dim - 1, closed=False)
    if covariance is None:
        scatter = _default_covariance(centred, covariance_type, reg_covar)
    else:
        shape = (dim, dim) if covariance_type == "full" else (dim,)
        scatter = _finite("covariance_prior", covariance, shape)
        _check_positive_definite(scatter)
    components = NormalWishart(
        mean=torch.as_tensor(location)[None],
        mean_precision=torch.tensor([float(mean_precision)], dtype=torch.float64),
        degrees_of_freedom=torch.tensor([float(dof)], dtype=torch.float64),
        scatter=torch.as_tensor(scatter)[None],
    )
    return MixturePrior(family, components, float(concentration), torch.as_tensor(centre))


def product_dtype(
    centred: Float64[np.ndarray, "N D"], dtype: torch.dtype, covariance_type: str
) -> torch.dtype:
    """The dtype for products with Φ: that of the data, unless its columns are collinear.

    The logits of a full covariance that is close to singular cancel, and float32 would leave
    them wrong by whole nats. Scale alone does no harm, hence correlations.
    """
    if covariance_type != "full" or dtype == torch.float64:
        return dtype
    spread = centred.std(axis=0)
    standard = centred[:, spread > 0] / spread[spread > 0]
    correlation = standard.T @ standard / len(standard)
    collinear = len(correlation) > 0 and np.linalg.eigvalsh(correlation).min() < COLLINEAR
    return torch.float64 if collinear else dtype


def _finite(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return array


def _check_positive_definite(covariance: NDArray[np.float64]) -> None:
    symmetric = covariance.ndim == 1 or np.allclose(covariance, covariance.T)
    if not symmetric or _spectrum(covariance).min() <= 0:
        allowed = "positive" if covariance.ndim == 1 else "symmetric and positive definite"
        raise ValueError(f"covariance_prior must be {allowed}, got {covariance.tolist()}")


def _spectrum(covariance: NDArray[np.float64]) -> NDArray[np.floating]:
    """Eigenvalues of a covariance, given as a matrix or as its diagonal."""
    return covariance if covariance.ndim == 1 else np.linalg.eigvalsh(covariance)


def _default_covariance(
    centred: Float64[np.ndarray, "N D"], covariance_type: str, reg_covar: float
) -> NDArray[np.float64]:
    """The covariance of the data, lifted off zero only where the data has no spread."""
    covariance: NDArray[np.float64]
    if covariance_type == "full":
        covariance = np.atleast_2d(np.cov(centred.T))
    else:
        covariance = centred.var(axis=0, ddof=1)
    spectrum = _spectrum(covariance)
    if spectrum.min() > 1e-12 * spectrum.max():
        return covariance
    lift = max(reg_covar, 1e-9 * spectrum.max())
    if lift == 0:
        raise ValueError(
            "covariance_prior is None and every row of X is the same, so that there is no spread "
            "to take it from: give a covariance_prior, or a reg_covar above 0"
        )
    covariance += lift * np.eye(len(covariance)) if covariance.ndim == 2 else lift
    return covariance
