"""Rows as a fit sees them: whole, or full covariance over rows with gaps.

Both can be fitted and give a hierarchy; they differ in what stands for the rows. Diagonal
covariance takes gaps in its Φ, and so is whole here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.descent import build_hierarchy, merge_tree
from dimix.mixture.estimator.rows import Rows
from dimix.mixture.families import FullCovariance
from dimix.mixture.gaps.diagonal import mean_imputed
from dimix.mixture.gaps.full import (
    Pattern,
    by_pattern,
    fill,
    fit_patterns,
    log_responsibilities,
    sweep_patterns,
)
from dimix.mixture.hierarchy import Hierarchy
from dimix.mixture.inference.chunks import CHUNK_BYTES, FeatureChunks
from dimix.mixture.moves.partition import SHARED, SHARED_BYTES, Partition, SharedRows
from dimix.mixture.moves.search import LEAST_GAIN, ImprovedFit, Move, improve
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior

ROUNDS = 3
"""The most rounds of moves over rows with gaps, which are filled in anew before each."""


LEAST_CHUNK_ROWS = 32
"""S [T, F] is read and written once a chunk, so a chunk should not be much smaller than S."""


@dataclass(frozen=True)
class Ascent:
    """How a fit climbs: ``fit_batch``'s arguments, and the moves that it may make."""

    moves: tuple[str, ...]
    tol: float = 1e-3
    max_iter: int = 100
    reorder: bool = True
    on_iteration: Callable[[int, Bound], None] | None = None


@dataclass(frozen=True, eq=False)
class WholeRows:
    """Rows of which Φ says everything."""

    chunks: FeatureChunks

    def fit(
        self, start: MixturePosterior, rng: np.random.RandomState, ascent: Ascent
    ) -> ImprovedFit:
        """Moves and coordinate ascent from ``start``."""
        return improve(
            self.chunks,
            start,
            rng,
            moves=ascent.moves,
            tol=ascent.tol,
            max_iter=ascent.max_iter,
            reorder=ascent.reorder,
            on_iteration=ascent.on_iteration,
        )

    def hierarchy(self, posterior: MixturePosterior) -> Hierarchy:
        """The merge tree of a mixture that was fitted to the rows."""
        return build_hierarchy(self.chunks, posterior)


@dataclass(frozen=True, eq=False)
class RowsWithGaps:
    """Rows of which some lack values that covary with those they have.

    ``chunks`` holds Gaussians in their place, each gap with the moments of its column: what a
    start looks at.
    """

    patterns: tuple[Pattern, ...]
    chunks: FeatureChunks

    def fit(
        self, start: MixturePosterior, rng: np.random.RandomState, ascent: Ascent
    ) -> ImprovedFit:
        """Coordinate ascent, then rounds of moves, each kept if the bound of the rows rises.

        Moves see the rows filled in by the last fit, as Gaussians; whether what they find is
        better is for the bound of what is observed to say.
        """
        best, moves = self._ascend(start, ascent), tuple[Move, ...]()
        for _ in range(ROUNDS if ascent.moves else 0):
            search = replace(ascent, on_iteration=None)
            moved = WholeRows(self._filled(best.posterior)).fit(best.posterior, rng, search)
            if not moved.moves:
                break
            after = self._ascend(moved.posterior, ascent)
            gain = after.bounds[-1].total - best.bounds[-1].total
            if gain <= LEAST_GAIN * self.chunks.total_weight:
                break
            best, moves = replace(after, bounds=best.bounds + after.bounds), moves + moved.moves
        return replace(best, n_iter=len(best.bounds) - 1, moves=moves)

    def hierarchy(self, posterior: MixturePosterior) -> Hierarchy:
        """The merge tree, whose gains leave q(missing | c) as it is: each is at least as high."""
        statistics, _ = sweep_patterns(self.patterns, posterior)
        resp = log_responsibilities(self.patterns, posterior).exp()
        several = resp.amax(dim=1) < 1 - SHARED
        weights = self.chunks.weights
        weights = resp.new_ones(len(resp)) if weights is None else weights.to(resp)
        shared = SharedRows(resp[several], weights[several]).thinned(SHARED_BYTES)
        # The entropy is the same before and after as far as the gains do not count it themselves.
        return merge_tree(Partition(posterior.prior, statistics, 0.0), shared)

    def _ascend(self, start: MixturePosterior, ascent: Ascent) -> ImprovedFit:
        result = fit_patterns(
            self.patterns,
            start,
            tol=ascent.tol,
            max_iter=ascent.max_iter,
            reorder=ascent.reorder,
            on_iteration=ascent.on_iteration,
        )
        return ImprovedFit(result.posterior, result.bounds, result.converged, result.n_iter, ())

    def _filled(self, posterior: MixturePosterior) -> FeatureChunks:
        chunks = self.chunks
        filled = fill(self.patterns, posterior)
        return FeatureChunks(chunks.family, *filled, weights=chunks.weights, device=chunks.device)


Data = WholeRows | RowsWithGaps


@dataclass(frozen=True, eq=False)
class Encoding:
    """What turns rows into data for a fit.

    ``by_pattern``: full covariance meets gaps. ``learned``: the prior is, from a first fit.
    """

    prior: MixturePrior
    dtype: torch.dtype
    device: torch.device
    by_pattern: bool = False
    learned: bool = False

    def __call__(self, rows: Rows) -> Data:
        """The rows, measured from the centre of the prior."""
        family, device = self.prior.family, self.device
        z = self._tensor(rows.x - self.prior.centre.numpy())
        var = None if rows.var is None else self._tensor(rows.var)
        weights = None if rows.weights is None else torch.from_numpy(rows.weights)
        if not (self.by_pattern and isinstance(family, FullCovariance)):
            return WholeRows(self._chunks(z, var, weights))
        return RowsWithGaps(
            by_pattern(family, z, var, weights=weights, device=device),
            self._chunks(*mean_imputed(z, var), weights),
        )

    def _chunks(
        self,
        z: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"] | None,
        weights: Float64[Tensor, " N"] | None,
    ) -> FeatureChunks:
        family = self.prior.family
        least = LEAST_CHUNK_ROWS * family.n_features * z.element_size()
        size = max(CHUNK_BYTES, least)
        return FeatureChunks(family, z, var, weights=weights, device=self.device, chunk_bytes=size)

    def _tensor(self, values: Float[np.ndarray, "N D"]) -> Float[Tensor, "N D"]:
        return torch.from_numpy(values).to(self.dtype)
