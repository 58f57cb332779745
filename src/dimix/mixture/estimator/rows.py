"""Rows in memory as they were given, a shard of them on each rank, and what is common to all.

Centre and covariance are those of the rows of all ranks; a start, and moves, look at a sample
of them that fits in one process.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray

from dimix.mixture.estimator.arguments import MATRICES, blur_of
from dimix.mixture.inference.distributed import gather, largest, over_ranks
from dimix.mixture.inference.overview import SAMPLE_ROWS

NARROW = 1e-5
"""Smallest eigenvalue of a covariance, in the data's spread, below which products need float64."""
SCALES = (1e-20, 1e20)
"""Variances whose inverses, and whose sums over many rows, float32 holds: others need float64."""
HIDES = 10.0
"""Times reg_covar that a column's variance should be: clusters are narrower than their column."""
LEAST_VARIANCE = 1e-304
"""The largest variance of the columns may be no less: its inverse and its digits must be there."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of this rank; ``x`` is NaN where a value is missing.

    ``var`` holds variances if the rows are Gaussians, ``weights`` how many times each counts.
    """

    x: Float[np.ndarray, "N D"]
    var: Float64[np.ndarray, "N D"] | None = None
    weights: Float64[np.ndarray, " N"] | None = None

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        var = None if self.var is None else self.var[rows]
        return Rows(self.x[rows], var, None if self.weights is None else self.weights[rows])

    @property
    def counts(self) -> Float64[np.ndarray, " N"]:
        """How many times each row counts."""
        return np.ones(len(self.x)) if self.weights is None else self.weights

    def standing_for(self, total: float) -> "Rows":
        """The same rows as a sample of ``total`` rows: with as much weight together."""
        return replace(self, weights=self.counts * (total / self.counts.sum()))


def has_gaps(rows: Rows) -> bool:
    """Whether a value is missing on any rank."""
    return bool(largest(int(np.isnan(rows.x).any())))


def total_weight(rows: Rows) -> float:
    """The number of rows of all ranks, each counted as often as its weight says."""
    return float(over_ranks(np.array([rows.counts.sum()]))[0])


def moments(
    rows: Rows, covariance_type: str
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "*DD"]]:
    """Mean and covariance of the rows of all ranks, in the shape of ``covariance_prior``.

    The covariance is over the number of rows less one. Of a column with gaps, mean and variance
    are those of what is observed; two columns covary by the rows that have both, over all rows,
    as if each gap had the mean and variance of its column.
    """
    counts, total = rows.counts, total_weight(rows)
    if total <= 1:
        raise ValueError(
            "the rows of X, each counted as often as its sample_weight says, must sum to more "
            f"than 1, got {total:g}"
        )
    observed = ~np.isnan(rows.x)
    sums = over_ranks(np.stack([counts @ observed, counts @ np.where(observed, rows.x, 0.0)]))
    if sums[0].min() == 0:
        raise ValueError(
            "every column of X must have a value that is not missing, but column "
            f"{int(sums[0].argmin())} has none"
        )
    centre = sums[1] / sums[0]
    filled = np.where(observed, rows.x - centre, 0.0)
    share = sums[0] / total
    if covariance_type not in MATRICES:
        squares = over_ranks(counts @ np.square(filled)) / share
        return centre, reduced(squares / (total - 1), covariance_type)
    products = over_ranks((filled * counts[:, None]).T @ filled)
    np.fill_diagonal(products, products.diagonal() / share)
    return centre, products / (total - 1)


def reduced(covariance: NDArray[np.float64], covariance_type: str) -> NDArray[np.float64]:
    """A covariance matrix, or its diagonal, in the shape of ``covariance_prior``."""
    if covariance_type in MATRICES:
        return covariance
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    return np.asarray(variances.mean() if covariance_type == "spherical" else variances)


def check_spread(x: Float[np.ndarray, "n D"], covariance: Float64[np.ndarray, "*DD"]) -> None:
    """Raise if the rows differ, but by so little that their variances are zero or nearly so."""
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    spread = float(np.fmax.reduce(np.fmax.reduce(x) - np.fmin.reduce(x)))
    if spread > 0 and variances.max() < LEAST_VARIANCE:
        raise ValueError(
            f"the rows of X differ by {spread:.3g} at most, the square of which underflows: "
            "rescale the columns, or give a reg_covar above 0"
        )


def warn_of_small_scale(covariance: Float64[np.ndarray, "*DD"], reg_covar: float) -> None:
    """Warn if what is added to each component's variances is large beside those of the rows."""
    largest_variance = float(covariance.max())
    if 0 < largest_variance < HIDES * reg_covar:
        warnings.warn(
            f"reg_covar={reg_covar:g} is added to the variances of each component, and no column "
            f"of X has one above {largest_variance:.3g}: clusters may not be told apart; give a "
            "smaller reg_covar, or rescale the columns",
            stacklevel=4,
        )


def warn_of_blur(x: Float[np.ndarray, "n D"], name: str) -> None:
    """Warn of a column so far from 0 that float32 has lost what tells rows apart."""
    if x.dtype == np.float32 and (blurred := blur_of(x, name)):
        warnings.warn(blurred, stacklevel=4)


def product_dtype(
    dtype: np.dtype,
    covariance: Float64[np.ndarray, "*DD"],
    expected: Float64[np.ndarray, "*DD"],
    covariance_type: str,
) -> torch.dtype:
    """The dtype for products with Φ: that of the data, unless a covariance needs float64.

    The logits of a full covariance that is close to singular cancel, and float32 would leave
    them wrong by whole nats: so where the data's columns are collinear, or where components
    that are far narrower than the data are ``expected`` (the prior's covariance). Scale does
    no harm within ``SCALES``, hence both are measured in the data's own spread.
    """
    if largest(dtype.itemsize) > 4 or _is_out_of_scale(covariance):
        return torch.float64
    if covariance_type not in MATRICES:
        return torch.float32
    narrow = any(_is_narrow(matrix, covariance.diagonal()) for matrix in (covariance, expected))
    return torch.float64 if narrow else torch.float32


def sample_of(rows: Rows, rng: np.random.RandomState, n_rows: int | None = None) -> Rows | None:
    """On rank 0, rows of all ranks in their order, about ``SAMPLE_ROWS`` at most; else None.

    Where there are more, every rank draws its share at random. ``n_rows`` is for ``rows`` that
    are themselves a sample of so many of this rank.
    """
    n_rows = len(rows.x) if n_rows is None else n_rows
    n_total = int(over_ranks(np.array([float(n_rows)]))[0])
    if n_total > SAMPLE_ROWS:
        share = min(len(rows.x), -(-SAMPLE_ROWS * n_rows // n_total))
        rows = rows[np.sort(rng.choice(len(rows.x), share, replace=False))]
    parts = gather(rows)
    return None if parts is None else _joined(parts)


def _joined(parts: list[Rows]) -> Rows:
    given = [part.var for part in parts]
    has_weights = any(part.weights is not None for part in parts)
    return Rows(
        np.concatenate([part.x for part in parts]),
        None
        if all(var is None for var in given)
        else np.concatenate([np.zeros(p.x.shape) if p.var is None else p.var for p in parts]),
        np.concatenate([part.counts for part in parts]) if has_weights else None,
    )


def _is_out_of_scale(covariance: Float64[np.ndarray, "*DD"]) -> bool:
    variances = covariance.diagonal() if covariance.ndim == 2 else covariance
    spread = variances[variances > 0]
    return bool(((spread < SCALES[0]) | (spread > SCALES[1])).any())


def _is_narrow(matrix: Float64[np.ndarray, "D D"], variances: Float64[np.ndarray, " D"]) -> bool:
    """Whether some direction of ``matrix`` is next to nothing beside these variances."""
    varies = variances > 0
    spread = np.sqrt(variances[varies])
    relative = matrix[np.ix_(varies, varies)] / np.outer(spread, spread)
    return bool(varies.any()) and bool(np.linalg.eigvalsh(relative).min() < NARROW)
