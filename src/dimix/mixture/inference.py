"""Batch coordinate ascent: two matrix products a pass, then the conjugate update.

Φ is built in chunks of a few megabytes, whatever N and D are. Chunks are kept from pass to
pass while they fit a memory budget and rebuilt otherwise, so memory does not grow with N
beyond the data and that budget. Products run in the dtype of the data; statistics and bounds
are accumulated in float64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import threshold

from dimix.mixture.families import GaussianFamily
from dimix.mixture.posterior import Bound, MixturePosterior, by_size, update

CHUNK_BYTES = 8 * 2**20
CACHE_BYTES = 2**30

NEGLIGIBLE = 1e-30
"""Responsibilities this small count as zero: subnormal numbers slow a product a hundredfold."""


class FeatureChunks:
    """Φ of centred rows ``z`` (or of Gaussians N(z, diag var)), chunk after chunk.

    Iterating yields (rows, Φ of those rows) in order. ``cache_bytes`` is the memory budget for
    chunks that are kept between passes; 0 rebuilds every chunk every time.
    """

    def __init__(
        self,
        family: GaussianFamily,
        z: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"] | None = None,
        *,
        cache_bytes: int = CACHE_BYTES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.family = family
        self.z = z.detach()
        self.var = None if var is None else var.detach()
        row_bytes = family.n_features * z.element_size()
        self._rows = max(1, chunk_bytes // row_bytes)
        self._n_kept = cache_bytes // (self._rows * row_bytes)
        self._kept: list[Tensor] = []

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.z)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Pairs of a slice of rows and Φ [n, F] of those rows."""
        for index, start in enumerate(range(0, len(self), self._rows)):
            rows = slice(start, min(start + self._rows, len(self)))
            yield rows, self._chunk(index, rows)

    def _chunk(self, index: int, rows: slice) -> Tensor:
        if index < len(self._kept):
            return self._kept[index]
        phi = self.family.features(self.z[rows], None if self.var is None else self.var[rows])
        if index == len(self._kept) < self._n_kept:
            self._kept.append(phi)
        return phi


@dataclass(frozen=True, eq=False)
class FitResult:
    """The end of a fit.

    ``bounds`` holds the bound of the starting posterior and of the posterior after each update,
    so ``bounds[-1]`` is the bound of ``posterior`` and ``len(bounds) == n_iter + 1``.
    """

    posterior: MixturePosterior
    bounds: tuple[Bound, ...]
    converged: bool
    n_iter: int


def collect(
    chunks: FeatureChunks, responsibilities: Float[Tensor, "N K"]
) -> Float64[Tensor, "K F"]:
    """S = Rᵀ Φ for given responsibilities."""
    statistics = _empty_statistics(responsibilities.shape[1], chunks)
    for rows, phi in chunks:
        statistics += responsibilities[rows].to(phi.dtype).mT @ phi
    return statistics


@torch.no_grad()
def sweep(
    chunks: FeatureChunks, posterior: MixturePosterior
) -> tuple[Float64[Tensor, "K F"], float]:
    """One pass: S under the best q(c) at this posterior, and Σ_n logsumexp_k L_nk."""
    statistics = _empty_statistics(posterior.n_components, chunks)
    allocation = torch.zeros((), dtype=torch.float64)
    for _, phi in chunks:
        logits = posterior.logits(phi)
        normaliser = torch.logsumexp(logits, dim=1, keepdim=True)
        allocation += normaliser.sum(dtype=torch.float64)
        responsibilities = threshold(logits.sub_(normaliser).exp_(), NEGLIGIBLE, 0.0, inplace=True)
        statistics += responsibilities.mT @ phi
    return statistics, float(allocation)


def fit_batch(
    chunks: FeatureChunks,
    start: MixturePosterior,
    *,
    tol: float = 1e-3,
    max_iter: int = 100,
    reorder: bool = True,
    on_iteration: Callable[[int, Bound], None] | None = None,
) -> FitResult:
    """Coordinate ascent until an update changes the bound by less than ``tol`` nats a row.

    ``reorder`` sorts the components by size at each update; ``on_iteration`` is called with
    the number of the update (0 is the start) and the bound after it.
    """
    posterior, bounds = start, list[Bound]()
    for n_iter in range(max_iter + 1):
        statistics, allocation = sweep(chunks, posterior)
        bounds.append(posterior.bound(allocation))
        if on_iteration is not None:
            on_iteration(n_iter, bounds[-1])
        if _has_settled(bounds, tol * len(chunks)) or n_iter == max_iter:
            break
        posterior = update(posterior.prior, by_size(statistics) if reorder else statistics)
    return FitResult(posterior, tuple(bounds), _has_settled(bounds, tol * len(chunks)), n_iter)


def _has_settled(bounds: list[Bound], tolerance: float) -> bool:
    """Whether the last update changed the bound by less than ``tolerance`` nats."""
    # A fall, which only reg_covar can cause, is a change too: the fixed point is further on.
    return len(bounds) > 1 and abs(bounds[-1].total - bounds[-2].total) < tolerance


def _empty_statistics(n_components: int, chunks: FeatureChunks) -> Float64[Tensor, "K F"]:
    return torch.zeros(n_components, chunks.family.n_features, dtype=torch.float64)
