"""How rows differ from their neighbours: what the prior expects of a cluster's covariance."""

import numpy as np
from jaxtyping import Float64
from sklearn.neighbors import NearestNeighbors

from dimix.mixture.estimator.rows import Rows, reduced

NEIGHBOUR = 10
"""Which neighbour: near enough to be of the same cluster, and too far to be a copy."""
ROWS = 2000
"""The most rows whose neighbours are looked for."""


def local_covariance(rows: Rows, covariance_type: str) -> Float64[np.ndarray, "*DD"]:
    """Half the mean outer product of the differences of rows from their tenth neighbours.

    In the shape of ``covariance_prior``. Equal rows are one, which counts as often as they do.
    Neighbours are near in columns of equal spread, a missing value being taken for the mean; the
    differences are of what is observed.
    """
    x, counts = _distinct(rows)
    if len(x) == 1:
        return reduced(np.zeros((x.shape[1], x.shape[1])), covariance_type)
    some = np.unique(np.linspace(0, len(x) - 1, ROWS).astype(int))
    difference = x[some] - x[_neighbours(x, some)]
    observed = ~np.isnan(difference)
    difference[~observed] = 0
    weights = counts[some] / counts[some].sum()
    products = (difference * weights[:, None]).T @ difference
    share = np.maximum(weights @ observed, weights.min())
    np.fill_diagonal(products, products.diagonal() / share)
    return reduced(products / 2, covariance_type)


def _distinct(rows: Rows) -> tuple[Float64[np.ndarray, "n D"], Float64[np.ndarray, " n"]]:
    """The rows that differ, in order of their values, and how often each counts."""
    x = rows.x.astype(np.float64)
    keys = np.hstack([np.nan_to_num(x), np.isnan(x)])  # NaN is not equal to itself
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return x[first], np.bincount(inverse.ravel(), weights=rows.counts)


def _neighbours(x: Float64[np.ndarray, "n D"], some: np.ndarray) -> np.ndarray:
    """The place of the neighbour of each of ``some`` rows."""
    centred = x - np.nanmean(x, axis=0)
    spread = np.nanstd(x, axis=0)
    scaled = np.nan_to_num(centred / np.where(spread > 0, spread, 1))
    nth = min(NEIGHBOUR, len(x) - 1)
    search = NearestNeighbors(n_neighbors=nth + 1).fit(scaled)  # each row is its own nearest
    nearest: np.ndarray = search.kneighbors(scaled[some], return_distance=False)[:, nth]
    return nearest
