"""Data as the deep models take it: checked, as a tensor of bytes or float32."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dimix.nets import Likelihood


def check_rows(X: ArrayLike, likelihood: Likelihood | Literal["auto"], name: str) -> Tensor:
    """Data as a tensor [N, ...] of bytes or float32.

    Raises:
        ValueError: not numeric, too few dimensions, empty, not finite, or outside the
            likelihood's range; the message names the argument and what was found.
    """
    array = np.asarray(X)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must be numeric; found dtype {array.dtype}")
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must be a non-empty array [N, features] or [N, H, W(, C)]; "
            f"found shape {array.shape}"
        )
    if array.dtype == np.uint8:
        return as_tensor(array)
    rows = as_tensor(array.astype(np.float32, copy=False))
    low, high = rows.aminmax()
    if not torch.isfinite(low + high):
        raise ValueError(f"{name} holds NaN or infinite values; they must be finite")
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise ValueError(
            f"{name} must lie in [0, 1] (or be bytes) for likelihood='bernoulli'; "
            f"found [{low:.4g}, {high:.4g}]; rescale it or use likelihood='gaussian'"
        )
    return rows


def likelihood_of(rows: Tensor) -> Likelihood:
    """The likelihood for checked data: "bernoulli" for bytes and for floats in [0, 1]."""
    inside = rows.dtype == torch.uint8 or (rows.min() >= 0 and rows.max() <= 1)
    return "bernoulli" if inside else "gaussian"


def as_tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory as a tensor; a copy where it is read-only or not contiguous."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
