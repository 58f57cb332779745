"""Φ in chunks of a few megabytes: what a pass over rows in memory iterates over.

Chunks are kept from pass to pass while they fit a memory budget and rebuilt otherwise, so
memory does not grow with N beyond the data and that budget.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from dimix.mixture.families import GaussianFamily

CACHE_BYTES = 2**30
CHUNK_BYTES = 8 * 2**20
CHUNK_ROWS = 2048
"""At low D a chunk of CHUNK_BYTES has so many rows that their responsibilities leave the cache."""


class FeatureChunks:
    """Φ of centred rows ``z`` (or of Gaussians N(z, diag var)), chunk after chunk.

    Iterating yields (rows, Φ of those rows) in order.

    Args:
        family: the covariance type, which makes Φ.
        z: rows measured from the centre; their dtype is that of all products.
        var: variances, if the rows are Gaussians.
        weights: how many times each row counts; None is once. Finite and >= 0.
        device: where Φ is built, kept and multiplied; None is where ``z`` is.
        cache_bytes: memory budget for chunks kept between passes; 0 rebuilds all every time.
        chunk_bytes: the most that one chunk takes.
    """

    def __init__(
        self,
        family: GaussianFamily,
        z: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"] | None = None,
        *,
        weights: Float[Tensor, " N"] | None = None,
        device: torch.device | str | None = None,
        cache_bytes: int = CACHE_BYTES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.family = family
        self.z = z.detach()
        self.var = None if var is None else var.detach()
        self.weights = None if weights is None else _checked(weights)
        self.device = z.device if device is None else torch.device(device)
        row_bytes = family.n_features * z.element_size()
        self.rows_per_chunk = max(1, min(CHUNK_ROWS, chunk_bytes // row_bytes))
        self._n_kept = cache_bytes // (self.rows_per_chunk * row_bytes)
        self._kept: list[Tensor] = []

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.z)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Pairs of a slice of rows and Φ [n, F] of those rows, on the device."""
        for index, start in enumerate(range(0, len(self), self.rows_per_chunk)):
            rows = slice(start, min(start + self.rows_per_chunk, len(self)))
            yield rows, self._chunk(index, rows)

    @property
    def total_weight(self) -> float:
        """The number of rows, each counted as often as its weight says."""
        return float(len(self) if self.weights is None else self.weights.sum())

    def _chunk(self, index: int, rows: slice) -> Tensor:
        if index < len(self._kept):
            return self._kept[index]
        var = None if self.var is None else self.var[rows].to(self.device)
        phi = self.family.features(self.z[rows].to(self.device), var)
        if index == len(self._kept) < self._n_kept:
            self._kept.append(phi)
        return phi


def _checked(weights: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Weights in float64; raise at the first that is negative or not finite."""
    wrong = ~(torch.isfinite(weights) & (weights >= 0))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(f"weights must be finite and >= 0, got {float(weights[row])} in row {row}")
    return weights.detach().double()
