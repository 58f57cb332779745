"""Checks of the estimator's arguments, and what those that name something stand for.

Every error names the argument, what was found and what is allowed, before any work starts.
"""

import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import sklearn.utils
import torch
from jaxtyping import Float, Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from dimix.mixture.concentration import Concentration, GammaConcentration
from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    SphericalCovariance,
    TiedCovariance,
)
from dimix.mixture.gaps.diagonal import DiagonalWithMissing
from dimix.mixture.inference.starts import STARTS
from dimix.mixture.moves.search import MOVES
from dimix.mixture.posterior import MixturePosterior

FAMILIES: dict[str, type[GaussianFamily]] = {
    "full": FullCovariance,
    "tied": TiedCovariance,
    "diag": DiagonalCovariance,
    "spherical": SphericalCovariance,
}

MATRICES = ("full", "tied")
"""Covariance types whose precisions are matrices."""

WIDTHS = ("learned", "local", "empirical")
"""How wide components are expected to be where ``covariance_prior`` gives no numbers."""

GAPS_ALLOWED = ("full", "diag")
"""Covariance types of which rows may lack values."""

COARSE = 0.01
"""The part of a column's range that may lie between two neighbours among float32 numbers."""
DATES = re.compile("date|time|duration|period", re.IGNORECASE)
"""What the names of types begin with that are dates, times or durations, whosoever they are."""


TEXT = re.compile("object|str|string|category", re.IGNORECASE)
"""What the types of a frame's columns are called that may hold text."""


def width_of(estimator: Any) -> str | None:
    """Which of ``WIDTHS`` the prior of a mixture has; None where it is given in numbers.

    Clusters of several components, as with coarsening, need not be alike, and components that
    share a precision have nothing to learn from each other.
    """
    given = estimator.covariance_prior
    if given is None:
        alike = estimator.coarsening is None and estimator.covariance_type != "tied"
        return "learned" if alike else "local"
    return given if isinstance(given, str) else None


def check_number(
    name: str,
    value: Any,
    *,
    low: float,
    closed: bool = True,
    integer: bool = False,
    besides: str = "",
) -> None:
    """Raise unless ``value`` is a finite number at or, if not ``closed``, above ``low``.

    ``besides`` says what else it might have been.
    """
    kind: type = Integral if integer else Real
    noun = "an integer" if integer else "a finite number"
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or value < low or (value == low and not closed):
        sign = ">=" if closed else ">"
        also = f"{besides} or " if besides else ""
        raise ValueError(f"{name} must be {also}{noun} {sign} {low}, got {value!r}")


def check_numeric(X: Any, name: str = "X") -> None:
    """Raise if ``X`` holds dates, durations or, in the columns of a frame, text.

    NumPy would take the first for numbers of some unit. Of arrays, and of the frames of pandas,
    polars and Arrow, types are looked at; of objects those in the first row.
    """
    schema = getattr(getattr(X, "schema", None), "types", None)
    dtypes = schema or getattr(X, "dtypes", getattr(X, "dtype", None))
    found = [str(dtype) for dtype in (dtypes if np.iterable(dtypes) else [dtypes])]
    if "object" in found or isinstance(X, list | tuple):
        first = np.asarray(X[:1], dtype=object).flat
        found += [type(value).__name__ for value in first]
    if np.ma.is_masked(X):
        raise ValueError(f"{name} must have no masked entries: fill in what is missing")
    for kind in found:
        if DATES.match(kind):
            raise ValueError(f"{name} must hold numbers; found {kind}: give days since one, say")
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        for column, kind in zip(X.columns, found, strict=False):
            if TEXT.match(kind) and not hasattr(X[column], "columns"):  # of one name, several
                _check_no_text(X[column], f"column {column!r} of {name}")


def _check_no_text(values: Iterable[Any], what: str) -> None:
    """Raise at the first text that is no number."""
    for value in values:
        if isinstance(value, str):
            try:
                float(value.replace("_", "no number"))  # 1_0 is ten in Python alone
            except ValueError:
                raise ValueError(f"{what} must hold numbers; found {value!r}") from None


def check_seed(value: Any) -> None:
    """Raise unless ``value`` can seed a fit."""
    try:
        sklearn.utils.check_random_state(value)
    except (TypeError, ValueError):
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, got "
            f"{value!r}"
        ) from None


def check_flag(name: str, value: Any) -> None:
    """Raise unless ``value`` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_choice(name: str, value: Any, allowed: tuple[object, ...], *, besides: str = "") -> None:
    """Raise unless ``value`` is one of ``allowed``, ``besides`` which it might have been others."""
    if isinstance(value, np.ndarray) or value not in allowed:
        also = f"{besides} or " if besides else ""
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} must be {also}one of {choices}, got {value!r}")


def _check_width(value: str, covariance_type: str) -> None:
    if value not in WIDTHS:
        raise ValueError(
            f"covariance_prior must be None, {', '.join(map(repr, WIDTHS))}, a number or an "
            f"array, got {value!r}"
        )
    if value == "learned" and covariance_type == "tied":
        raise ValueError(
            "covariance_prior='learned' needs components with precisions of their own, got "
            "covariance_type='tied'"
        )


def check_moves(value: Any) -> None:
    """Raise unless ``value`` is True, False or a tuple or list of kinds of moves."""
    if not isinstance(value, bool | tuple | list):
        raise ValueError(f"moves must be True, False or a tuple or list of kinds, got {value!r}")
    for kind in () if isinstance(value, bool) else value:
        check_choice("moves", kind, MOVES)


def check_parameters(estimator: Any) -> None:
    """Raise at the first argument of a DirichletProcessGaussianMixture that is out of range."""
    given = estimator.get_params(deep=False)
    for name, allowed in (("covariance_type", FAMILIES), ("init_params", STARTS)):
        check_choice(name, given[name], tuple(allowed))
    for name in ("n_components", "n_init", "verbose_interval"):
        check_number(name, given[name], low=1, integer=True)
    check_number("max_iter", given["max_iter"], low=0, integer=True)
    if not isinstance(given["verbose"], bool):
        check_number("verbose", given["verbose"], low=0, integer=True)
    check_seed(given["random_state"])
    for name in ("tol", "reg_covar"):
        check_number(name, given[name], low=0)
    if given["mean_precision_prior"] is not None:
        check_number("mean_precision_prior", given["mean_precision_prior"], low=0, closed=False)
    if isinstance(given["covariance_prior"], str):
        _check_width(given["covariance_prior"], given["covariance_type"])
    if given["init_components"] is not None:
        check_number(
            "init_components", given["init_components"], low=1, integer=True, besides="None"
        )
    for name in ("reorder", "warm_start", "allow_missing"):
        check_flag(name, given[name])
    if given["coarsening"] not in (None, "auto"):
        check_number("coarsening", given["coarsening"], low=0, closed=False, besides="None, 'auto'")
    check_moves(given["moves"])
    concentration_of(given["weight_concentration_prior"], 1)
    if given["allow_missing"] and given["covariance_type"] not in GAPS_ALLOWED:
        raise ValueError(
            f"allow_missing=True needs covariance_type {' or '.join(map(repr, GAPS_ALLOWED))}, "
            f"got {given['covariance_type']!r}"
        )
    device_of(given["device"])


def device_of(value: Any) -> torch.device:
    """The device that is meant; raise unless it can be computed on, in float64."""
    try:
        device = torch.device("cpu" if value is None else value)
        if device.type == "meta":
            raise ValueError("it holds no numbers")
        torch.zeros(1, dtype=torch.float64, device=device)
    # What torch raises differs from one missing device to the next.
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device must be None or one that torch can compute on here, in float64, such as "
            f"'cpu' or 'cuda', got {value!r}: {reason}"
        ) from error
    return device


def family_of(
    covariance_type: str, dim: int, reg_covar: float, *, allow_missing: bool = False
) -> GaussianFamily:
    """The Gaussian family of a covariance type, and of gaps if rows may have them."""
    if allow_missing and covariance_type == "diag":
        return DiagonalWithMissing(dim, reg_covar)
    return FAMILIES[covariance_type](dim, reg_covar)


def check_same_mixture(
    posterior: MixturePosterior, family: GaussianFamily, n_components: int
) -> None:
    """Raise unless a fit of this family and size can start from ``posterior``."""
    if posterior.n_components != n_components:
        raise ValueError(
            f"n_components must be {posterior.n_components}, that of the last fit, to start from "
            f"it (warm_start=True), got {n_components}"
        )
    if type(posterior.family) is not type(family) or posterior.family.dim != family.dim:
        raise ValueError(
            "covariance_type, allow_missing and the number of columns must be those of the last "
            f"fit to start from it (warm_start=True): that was {posterior.family}, got {family}"
        )


def blur_of(columns: Shaped[np.ndarray, "N P"], name: str) -> str | None:
    """In words: the first column that lies so far from 0 that float32 blurs it, if there is one."""
    low, high = (
        end(columns, axis=0).astype(np.float64) for end in (np.fmin.reduce, np.fmax.reduce)
    )
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(np.float32))
    blurred = (high > low) & (step > COARSE * (high - low))
    if not blurred.any():
        return None
    at = int(blurred.argmax())
    return (
        f"column {at} of {name} lies between {low[at]:.9g} and {high[at]:.9g}, so far from 0 that "
        "float32 hardly tells its numbers apart; subtract its mean"
    )


def check_observed(rows: Float[np.ndarray, "N D"]) -> None:
    """Raise at the first row of which every value is missing (NaN)."""
    empty = np.isnan(rows).all(axis=1)
    if empty.any():
        raise ValueError(
            f"every row of X must have a value that is not missing, but row {int(empty.argmax())} "
            "has none"
        )


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


def check_var(value: ArrayLike, x: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, "N D"]:
    """Variances of rows; raise unless there is one >= 0 for each entry that is not missing."""
    array = np.array(value, dtype=np.float64)
    if array.shape == x.shape:
        array[np.isnan(x)] = 0
    array = finite_array("var", array, x.shape)
    if array.min() < 0:
        raise ValueError(f"var must be >= 0, got {array.min()}")
    return array


def check_none_in_blocks(**given: Any) -> None:
    """Raise at the first argument that is given of those that need rows in memory."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} must be None where X is a path, a memory map or a callable, of which "
                f"every row counts once and is a point, got {type(value).__name__}: "
                "give X as an array in memory to use it"
            )


def finite_array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """``value`` as numbers; raise unless they are finite and of this shape."""
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return array
