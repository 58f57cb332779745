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
from torch import Tensor

from dimix.mixture.concentration import Concentration, GammaConcentration
from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
)
from dimix.mixture.inference.starts import STARTS
from dimix.mixture.moves.search import MOVES
from dimix.mixture.posterior import MixturePrior

FAMILIES: dict[str, type[GaussianFamily]] = {
    "full": FullCovariance,
    "tied": TiedCovariance,
    "diag": DiagonalCovariance,
    "spherical": SphericalCovariance,
}

MATRICES = ("full", "tied")
"""Covariance types whose precisions are matrices."""

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


def check_parameters(estimator: Any) -> None:
    """Raise at the first argument of a DirichletProcessGaussianMixture that is out of range."""
    given = estimator.get_params(deep=False)
    for name, allowed in (("covariance_type", FAMILIES), ("init_params", STARTS)):
        check_choice(name, given[name], tuple(allowed))
    for name in ("n_components", "n_init"):
        check_number(name, given[name], low=1, integer=True)
    check_number("max_iter", given["max_iter"], low=0, integer=True)
    for name in ("tol", "reg_covar"):
        check_number(name, given[name], low=0)
    if given["mean_precision_prior"] is not None:
        check_number("mean_precision_prior", given["mean_precision_prior"], low=0, closed=False)
    if given["init_components"] is not None:
        check_number("init_components", given["init_components"], low=1, integer=True)
    if given["coarsening"] not in (None, "auto"):
        check_number("coarsening", given["coarsening"], low=0, closed=False)
    for move in () if isinstance(given["moves"], bool) else given["moves"]:
        check_choice("moves", move, MOVES)
    concentration_of(given["weight_concentration_prior"], 1)


def concentration_of(value: Any, n_components: int) -> float | Concentration:
    """α: a number, the Gamma of a pair (shape, rate), or by default 1 / T."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                "weight_concentration_prior must be a number or a pair (shape, rate), "
                f"got {value!r}"
            )
        for part in value:
            check_number("weight_concentration_prior", part, low=0, closed=False)
        return GammaConcentration(*value)
    if value is None:
        return 1 / n_components
    check_number("weight_concentration_prior", value, low=0, closed=False)
    return float(value)


def check_var(value: ArrayLike, shape: tuple[int, ...]) -> Float64[Tensor, "N D"]:
    """Variances of rows as a tensor; raise unless there is one >= 0 for each entry."""
    array = _finite("var", value, shape)
    if array.min() < 0:
        raise ValueError(f"var must be >= 0, got {array.min()}")
    return torch.from_numpy(array)


def make_prior(
    sample: Float64[np.ndarray, "*D"],
    centre: Float64[np.ndarray, " D"],
    *,
    covariance_type: str,
    reg_covar: float,
    concentration: float | Concentration,
    mean_precision: float,
    mean: ArrayLike | None,
    degrees_of_freedom: float | None,
    covariance: ArrayLike | None,
) -> MixturePrior:
    """The prior in coordinates measured from ``centre``.

    ``sample`` is the data's covariance, from ``sample_covariance`` or ``reduced``.
    """
    dim = len(centre)
    family = FAMILIES[covariance_type](dim, float(reg_covar))
    location = np.zeros(dim) if mean is None else _finite("mean_prior", mean, (dim,)) - centre
    dof = dim if degrees_of_freedom is None else degrees_of_freedom
    check_number("degrees_of_freedom_prior", dof, low=dim - 1, closed=False)
    if covariance is None:
        scatter = _default_covariance(sample, reg_covar)
    else:
        scatter = _finite("covariance_prior", covariance, _scatter_shape(covariance_type, dim))
        _check_positive_definite(scatter)
    components = NormalWishart(
        mean=torch.as_tensor(location)[None],
        mean_precision=torch.tensor([float(mean_precision)], dtype=torch.float64),
        degrees_of_freedom=torch.tensor([float(dof)], dtype=torch.float64),
        scatter=torch.tensor(scatter)[None],
    )
    return MixturePrior(family, components, concentration, torch.as_tensor(centre))


def sample_covariance(
    centred: Float64[np.ndarray, "N D"],
    covariance_type: str,
    weights: Float64[np.ndarray, " N"] | None = None,
) -> NDArray[np.float64]:
    """Covariance of rows that count ``weights`` times, over their number less one."""
    rows = centred if weights is None else centred * np.sqrt(weights)[:, None]
    less_one = (len(centred) if weights is None else weights.sum()) - 1
    if covariance_type in MATRICES:
        return np.asarray(rows.T @ rows / less_one)
    return reduced(np.square(rows).sum(axis=0) / less_one, covariance_type)


def reduced(covariance: NDArray[np.float64], covariance_type: str) -> NDArray[np.float64]:
    """A covariance matrix, or its diagonal, in the shape of ``covariance_prior``."""
    if covariance_type in MATRICES:
        return covariance
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    return np.asarray(variances.mean() if covariance_type == "spherical" else variances)


def product_dtype(
    centred: Float64[np.ndarray, "N D"], dtype: torch.dtype, covariance_type: str
) -> torch.dtype:
    """The dtype for products with Φ: that of the data, unless its columns are collinear.

    The logits of a full covariance that is close to singular cancel, and float32 would leave
    them wrong by whole nats. Scale alone does no harm, hence correlations.
    """
    if covariance_type not in MATRICES or dtype == torch.float64:
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


def _scatter_shape(covariance_type: str, dim: int) -> tuple[int, ...]:
    """The shape of one component's scatter, which is that of ``covariance_prior``."""
    if covariance_type == "spherical":
        return ()
    return (dim, dim) if covariance_type in MATRICES else (dim,)


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


def _default_covariance(covariance: NDArray[np.float64], reg_covar: float) -> NDArray[np.float64]:
    """The covariance of the data, lifted off zero only where the data has no spread."""
    spectrum = _spectrum(covariance)
    if spectrum.min() > 1e-12 * spectrum.max():
        return covariance
    lift = max(reg_covar, 1e-9 * spectrum.max())
    if lift == 0:
        raise ValueError(
            "covariance_prior is None and every row of X is the same, so that there is no spread "
            "to take it from: give a covariance_prior, or a reg_covar above 0"
        )
    return np.asarray(covariance + lift * _identity(covariance))
