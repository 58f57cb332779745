"""Data as the deep models take it: checked, as a tensor of bytes or float32."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from dimix.estimators.warning import warn_user
from dimix.mixture.estimator.arguments import blur_of, check_numeric
from dimix.nets import Likelihood
from dimix.training import CHUNK, as_float

NEAR_AN_END, MOST_GREYS = 0.1, 0.2
"""Numbers in [0, 1] are black or white within the first of 0 or 1, else grey; of data for the
Bernoulli likelihood at most the second share is grey."""
FEWEST_BITS = 32
"""Numbers a sample must have for the Bernoulli likelihood: each tells log 2 nats at most, and of
few bits a decoder learns less than latents cost."""

UNEVEN = 100.0
"""How many times as much as most a column may vary without a warning."""
SCALES, FAR = (1e-15, 1e15), 1e9
"""Scales of which float32 holds the squares, and sums of them; how many times the range of the
data fitted others may lie outside of it, for networks to make finite numbers of them."""


def check_rows(
    estimator: BaseEstimator,
    X: Any,
    likelihood: Likelihood | Literal["auto"],
    *,
    name: str = "X",
    reset: bool = False,
) -> Tensor:
    """Data as a tensor [N, ...] of float32, or of bytes: images that have them.

    ``reset`` makes the estimator remember the width and the column names; otherwise they must
    be those that it remembers.

    Raises:
        ValueError: not numeric, dates, sparse, too few or too many dimensions, empty, not finite,
            of another width, outside the likelihood's range, or, on ``reset``, so far from 0 that
            float32 does not tell numbers apart, which is a warning where they are of float32;
            the message says what was found.
    """
    check_numeric(X, name)
    try:
        array = validate_data(estimator, X, reset=reset, allow_nd=True, dtype="numeric")
    except ValueError as error:
        if "NaN" in str(error) or "infinity" in str(error):
            whole = check_array(X, dtype=np.float64, ensure_all_finite=False, allow_nd=True)
            _check_finite(whole, name)
        raise
    if array.ndim > 4:
        raise ValueError(
            f"{name} must be a table [N, P] or images [N, H, W] or [N, H, W, C]; "
            f"found shape {array.shape}"
        )
    if not array.size:
        raise ValueError(f"{name} must hold at least one number a sample; found {array.shape}")
    if are_bytes(array):
        return as_tensor(array)
    if reset and (blurred := blur_of(array.reshape(len(array), -1), name)):
        if array.dtype != np.float32:
            raise ValueError(blurred)
        warn_user(blurred)
    rows = as_tensor(array.astype(np.float32, copy=False))
    low, high = rows.aminmax()
    if not torch.isfinite(low + high):
        raise ValueError(f"{name} holds values too large for float32: up to {array.max():.4g}")
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise ValueError(
            f"{name} must lie in [0, 1], or be images of bytes, for likelihood='bernoulli'; "
            f"found [{low:.4g}, {high:.4g}]; rescale it or use likelihood='gaussian'"
        )
    return rows


def _check_finite(array: Float64[np.ndarray, "*shape"], name: str) -> None:
    """Raise at the first number that is missing or infinite."""
    for place in np.argwhere(~np.isfinite(array))[:1]:
        number = float(array[tuple(place)])
        found = "NaN" if np.isnan(number) else number
        raise ValueError(
            f"{name} must hold finite numbers alone; found {found} at {place.tolist()}: fill in "
            "what is missing, or leave its row or column out"
        ) from None


def are_bytes(array: Shaped[np.ndarray, "N *shape"]) -> bool:
    """Whether these are images of bytes, parts of 255; bytes of a table are numbers like others."""
    return array.dtype == np.uint8 and array.ndim > 2


def check_shape(X: Any, shape: tuple[int, ...], *, name: str = "X") -> None:
    """Raise unless samples have this shape, that of those a model was fitted to.

    What is no array for NumPy, as a sparse matrix is none, is left to scikit-learn to tell.
    """
    array = np.asarray(X)
    if array.ndim and array.shape[1:] != shape:
        raise ValueError(
            f"{name} has samples of shape {array.shape[1:]}; the model was fitted to samples of "
            f"shape {shape}"
        )


def check_units(
    rows: Tensor, fitted: Mapping[str, float], fitted_bytes: bool | None, *, name: str = "X"
) -> None:
    """Raise where checked data cannot be in the units of those fitted, whose summary it is.

    ``fitted_bytes`` is None where nobody knows whether they were bytes.
    """
    low, high = (float(end) for end in rows.aminmax())
    if rows.dtype == torch.uint8:
        if fitted_bytes is False and fitted["max"] > 1:
            raise ValueError(
                f"{name} holds bytes, parts of 255; the model was fitted to floats up to "
                f"{fitted['max']:.4g}: give floats"
            )
        if fitted_bytes is False and high == 1:
            warn_user(
                f"{name} holds bytes of 0 and 1 alone, which are taken for parts of 255; the model "
                "was fitted to other numbers: give floats if these are meant"
            )
        return
    if fitted_bytes and (low < 0 or high > 1):
        raise ValueError(
            f"{name} must be bytes, or lie in [0, 1], since the model was fitted to bytes; found "
            f"[{low:.4g}, {high:.4g}]"
        )
    span = fitted["max"] - fitted["min"] or 1.0
    if max(high - fitted["max"], fitted["min"] - low) > FAR * span:
        raise ValueError(
            f"{name} lies in [{low:.4g}, {high:.4g}], too far outside of what the model was "
            f"fitted to, [{fitted['min']:.4g}, {fitted['max']:.4g}]"
        )


def likelihood_of(rows: Tensor) -> Likelihood:
    """The likelihood for checked data: "bernoulli" if they fill [0, 1], mostly at its ends.

    Of greys it tells little: it takes them for doubt between the ends; and of few numbers.
    """
    if rows[0].numel() < FEWEST_BITS:
        return "gaussian"
    scale = 255 if rows.dtype == torch.uint8 else 1
    low, high = rows.aminmax()
    if low < 0 or not (1 - NEAR_AN_END) * scale < high <= scale:
        return "gaussian"
    grey = (rows > NEAR_AN_END * scale) & (rows < (1 - NEAR_AN_END) * scale)
    return "bernoulli" if float(grey.float().mean()) <= MOST_GREYS else "gaussian"


def summary_of(rows: Tensor) -> dict[str, float]:
    """How many rows, and the least, greatest and mean number in them, as they were given."""
    low, high = rows.aminmax()
    total = sum(float(part.sum(dtype=torch.float64)) for part in rows.split(CHUNK))
    mean = total / rows.numel()
    return {"n_rows": len(rows), "min": float(low), "max": float(high), "mean": mean}


def units_of(rows: Tensor) -> tuple[Float[Tensor, " P"], Float[Tensor, ""]]:
    """The mean of each entry, and one scale for all: the root of their mean variance, or 1.

    Entries keep their scales relative to each other, so that distances keep their meaning.

    Warns:
        UserWarning: one column of a table varies so much more than most that it decides alone.

    Raises:
        ValueError: the scale is one that float32 cannot hold the square of.
    """
    moments = StandardScaler()
    for part in rows.flatten(1).split(CHUNK):
        moments.partial_fit(as_float(part).numpy())
    if rows.ndim == 2 and (spread := _uneven(moments.var_**0.5)) > UNEVEN:
        warn_user(
            f"a column of X varies {spread:.3g} times as much as the median of all columns, and "
            "decides about the clusters nearly alone: standardise the columns if that is not meant"
        )
    scale = moments.var_.mean() ** 0.5 or 1.0
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(
            f"X must have a standard deviation from {SCALES[0]:g} to {SCALES[1]:g}; "
            f"found {scale:.3g}; multiply it by a number"
        )
    return torch.tensor(moments.mean_).float(), torch.tensor(scale).float()


def _uneven(spread: Float64[np.ndarray, " P"]) -> float:
    """The largest over the median of columns that vary at all."""
    varying = spread[spread > 0]
    return float(varying.max() / np.median(varying)) if len(varying) else 1.0


def as_tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory as a tensor; a copy where it is read-only or not contiguous."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
