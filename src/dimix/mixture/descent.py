"""N_eff falling, a merge of two components wherever one begins to pay: how the tree is built."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from dimix.mixture.hierarchy import LEAST_ROWS, Hierarchy
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.merging import MergeTable
from dimix.mixture.moves.partition import Partition, SharedRows, survey
from dimix.mixture.posterior import MixturePosterior

GRID = 24
"""Heights at which every pair is looked at, evenly from one end of a descent to the other."""
BISECTIONS = 10
"""Halvings of a step of the grid: they leave an N_eff of 60,000 uncertain by 0.05%."""
BESIDE = 1e-9
"""How far from the height at which clusters are known the merges before and after it stay."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters that are known at an N_eff: the ``labels`` of the components."""

    labels: Int64[Tensor, " T"]
    n_eff: float


def build_hierarchy(
    chunks: FeatureChunks, posterior: MixturePosterior, known: Clusters | None = None
) -> Hierarchy:
    """The tree of a fitted mixture, in one pass over its data; see `merge_tree`."""
    view = survey(chunks, posterior)
    return merge_tree(view.partition, view.shared, known)


def hierarchy_of_stream(
    batch: FeatureChunks, posterior: MixturePosterior, statistics: Float64[Tensor, "T F"]
) -> Hierarchy:
    """The tree of a mixture whose rows are gone but for a minibatch, given S of them all.

    The minibatch says which components share rows, and stands for as many as S is of.
    """
    view = survey(batch, posterior)
    times = float(statistics[:, 0].sum() / view.partition.counts.sum())
    partition = Partition(posterior.prior, statistics, times * view.partition.entropy)
    shared = SharedRows(view.shared.responsibilities, times * view.shared.weights)
    return merge_tree(partition, shared)


def merge_tree(
    partition: Partition, shared: SharedRows, known: Clusters | None = None
) -> Hierarchy:
    """Merge the pair that begins to pay at the largest N_eff, until one cluster is left.

    A merge can make another pay that would have paid at a larger N_eff by itself. It is then
    made at once, at the same height, so that heights never fall.

    A cut at the N_eff of ``known`` clusters gives these: above it only components of the same
    one are merged, all of them by then, and the clusters only below.
    """
    filled = partition.counts >= LEAST_ROWS
    leaves = filled.nonzero()[:, 0]
    table = MergeTable(
        Partition(partition.prior, partition.statistics[leaves], partition.entropy),
        SharedRows(shared.responsibilities[:, leaves], shared.weights),
    )
    counts = partition.counts[leaves].numpy().copy()
    node, merges, heights = list(range(len(leaves))), [], []
    for part in _parts(leaves, float(counts.sum()), known):
        descent = _Descent(table, *part)
        for a, b in descent:
            merges.append(sorted((node[a], node[b])))
            heights.append(descent.height)
            node[a] = len(leaves) + len(heights) - 1
    return Hierarchy(
        leaves.numpy(),
        counts,
        np.array(merges, dtype=np.int64).reshape(-1, 2),
        np.array(heights, dtype=np.float64),
        len(partition.counts),
        partition.prior.family.n_features,
    )


def _parts(
    leaves: Int64[Tensor, " K"], n_rows: float, known: Clusters | None
) -> Iterator[tuple[float, float, Int64[Tensor, " K"]]]:
    """From which height to which leaves with the same label are merged, and the labels."""
    top, everywhere = max(math.log(n_rows), 0.0), torch.zeros_like(leaves)
    if not known:
        yield 0.0, top, everywhere
        return
    here = math.log(n_rows / known.n_eff)
    yield 0.0, min(max(here - BESIDE, 0.0), top), known.labels[leaves]
    yield min(max(here + BESIDE, 0.0), top), top, everywhere


class _Descent:
    """N_eff falling from one height to another, a merge wherever one begins to pay.

    Only components with the same label are merged; those left at the end are merged there.

    ``levels`` holds for each pair the first height on a grid, from the present one up, at which
    it pays; only pairs of the least level are looked at more closely.
    """

    def __init__(
        self, table: MergeTable, begin: float, end: float, labels: Int64[Tensor, " K"]
    ) -> None:
        self.table = table
        self.height = begin
        self._labels = labels
        self._grid = np.linspace(begin, end, GRID)
        self._pairs = self._alike(table.pairs())
        self._levels = self._first_levels(self._pairs)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while len(self._pairs):
            a, b = self._next_merge()
            yield a, b
            self._merge(a, b)

    def _alike(self, pairs: Int64[Tensor, "P 2"]) -> Int64[Tensor, "p 2"]:
        a, b = self._labels[pairs].unbind(1)
        return pairs[a == b]

    def _next_merge(self) -> tuple[int, int]:
        """The pair that pays soonest, or, of those that pay already, the one that gains most."""
        pairs, level = self._soonest()
        if 0 < level < GRID:
            pairs = self._rise_until_one_pays(pairs, self._grid[level])
        elif level == GRID:  # no pair pays even at the upper end
            self.height = self._grid[-1]
        a, b = pairs[int(self._gains(pairs, self.height).argmax())].tolist()
        return a, b

    def _merge(self, a: int, b: int) -> None:
        """Add component b to a, and look at the pairs of a anew."""
        self.table.merge(a, b)
        rest = ((self._pairs != a) & (self._pairs != b)).all(1)
        new = self._alike(self.table.pairs_with(a))
        self._pairs = torch.cat([self._pairs[rest], new])
        self._levels = torch.cat([self._levels[rest], self._first_levels(new)])

    def _gains(self, pairs: Int64[Tensor, "P 2"], height: float) -> Float64[Tensor, " P"]:
        return self.table.gains(pairs, math.exp(-height))

    def _first_levels(self, pairs: Int64[Tensor, "P 2"]) -> Int64[Tensor, " P"]:
        """The first level from the present height up at which each pair pays; GRID if none."""
        levels = torch.full((len(pairs),), GRID)
        waiting = torch.arange(len(pairs))
        for level in range(int(np.searchsorted(self._grid, self.height)), GRID):
            pays = self._gains(pairs[waiting], self._grid[level]) >= 0
            levels[waiting[pays]] = level
            waiting = waiting[~pays]
            if not len(waiting):
                break
        return levels

    def _soonest(self) -> tuple[Int64[Tensor, "p 2"], int]:
        """The pairs of the least level, and that level."""
        while True:
            level = int(self._levels.min())
            top = self._levels == level
            # Merges elsewhere have changed the sticks' part of the gains since.
            self._levels[top] = self._first_levels(self._pairs[top])
            if int(self._levels[top].min()) <= level:
                level = int(self._levels[top].min())
                return self._pairs[self._levels == level], level

    def _rise_until_one_pays(self, pairs: Int64[Tensor, "P 2"], end: float) -> Int64[Tensor, "p 2"]:
        """Raise the height, at most to ``end``, to where the first of the pairs pays."""
        pays = self._gains(pairs, self.height) >= 0
        if bool(pays.any()):
            return pairs[pays]
        low = self.height
        for _ in range(BISECTIONS):
            middle = (low + end) / 2
            pays = self._gains(pairs, middle) >= 0
            if bool(pays.any()):
                pairs, end = pairs[pays], middle
            else:
                low = middle
        self.height = end
        return pairs
