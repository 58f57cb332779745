"""Merging pairs of components: the exact gain of every pair, at any tempering s.

With s = min(1, N_eff / N) in front of the whole local term, merging a and b changes the bound by

    gain(a, b; s) = A(s n′) - A(s n) + g(s (S_a + S_b)) - g(s S_a) - g(s S_b)
                    - s Σ_n w_n [φ(r_na + r_nb) - φ(r_na) - φ(r_nb)]

with φ(t) = t log t. At s = 1 that is the change of B(R). The last part needs the rows that both
components share, and nothing else does: after a merge two rows of S and two columns of R are
added, and only pairs with the merged component have to be looked at again.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from dimix.mixture.families import TiedCovariance
from dimix.mixture.moves.partition import Partition, Proposal, SharedRows, affordable
from dimix.mixture.posterior import MixturePrior
from dimix.mixture.sticks import stick_evidence

PAIR_BYTES = 2**26
"""Memory for the counts of all components, once a pair."""

CACHED_ROWS = 4096
"""Rows whose responsibilities stay in the processor's cache while they are looked at."""

OnMerge = Callable[[int, int, float], None]


class MergeTable:
    """Components that can be merged one pair after another, and the gain of each pair.

    A component that was merged into another stays as a row of zeros, so that indices last.
    """

    def __init__(self, partition: Partition, shared: SharedRows) -> None:
        self.prior: MixturePrior = partition.prior
        self.statistics = partition.statistics.clone()
        self.entropy = partition.entropy
        self._responsibilities = shared.responsibilities.clone()
        self._phi = _phi(self._responsibilities)
        self._weights = shared.weights
        self._alive: Bool[Tensor, " K"] = partition.counts > 0
        n_components = len(self.statistics)
        self._overlaps = torch.zeros(n_components, n_components, dtype=torch.float64)
        for a in self._alive.nonzero()[:, 0].tolist():
            self._overlaps[a, a + 1 :] = self._overlaps_of(a, a + 1)
        self._overlaps += self._overlaps.mT.clone()

    @property
    def partition(self) -> Partition:
        """The components as they are now, those merged away as rows of zeros."""
        return Partition(self.prior, self.statistics.clone(), self.entropy)

    @property
    def n_alive(self) -> int:
        """Components that are left."""
        return int(self._alive.sum())

    def pairs(self) -> Int64[Tensor, "P 2"]:
        """All pairs of components that are left, a < b."""
        alive = self._alive.nonzero()[:, 0]
        return torch.combinations(alive, 2)

    def pairs_with(self, component: int) -> Int64[Tensor, "P 2"]:
        """The pairs of one component with every other that is left, a < b."""
        others = self._alive.nonzero()[:, 0]
        others = others[others != component]
        return torch.stack([others, torch.full_like(others, component)], dim=1).sort(dim=1).values

    def nearest(self, pairs: Int64[Tensor, "P 2"], n: int) -> Int64[Tensor, "p 2"]:
        """The ``n`` pairs whose merger adds least to the squared distances from the means.

        Source: Ward, Hierarchical grouping to optimize an objective function (1963).
        """
        if len(pairs) <= n:
            return pairs
        counts = self.statistics[:, 0]
        sums = self.statistics[:, 1 : 1 + self.prior.family.dim]
        means = sums / counts.clamp(min=torch.finfo(counts.dtype).tiny)[:, None]
        a, b = pairs.unbind(1)
        weights = counts[a] * counts[b] / (counts[a] + counts[b])
        distances = weights * torch.cdist(means, means)[a, b].square()
        return pairs[distances.topk(n, largest=False, sorted=False).indices.sort().values]

    def gains(self, pairs: Int64[Tensor, "P 2"], s: float = 1.0) -> Float64[Tensor, " P"]:
        """gain(a, b; s) of each pair, in nats."""
        return self.stick_gains(pairs, s) + self.other_gains(pairs, s)

    def other_gains(self, pairs: Int64[Tensor, "P 2"], s: float) -> Float64[Tensor, " P"]:
        """gain(a, b; s) but for the sticks: merges elsewhere leave it, unless Λ is shared."""
        a, b = pairs.unbind(1)
        family, components = self.prior.family, self.prior.components
        if isinstance(family, TiedCovariance):
            of_components = family.merge_evidence(components, s * self.statistics, pairs)
        else:
            involved, places = pairs.unique(return_inverse=True)
            of_components = family.merge_evidence(components, s * self.statistics[involved], places)
        return of_components - s * self._overlaps[a, b]

    def merge(self, a: int, b: int) -> None:
        """Add component b to a."""
        self.entropy -= float(self._overlaps[a, b])
        self.statistics[a] += self.statistics[b]
        self.statistics[b] = 0
        self._alive[b] = False
        self._responsibilities[:, a] += self._responsibilities[:, b]
        self._responsibilities[:, b] = 0
        self._phi[:, [a, b]] = _phi(self._responsibilities[:, [a, b]])
        self._overlaps[b] = self._overlaps[:, b] = 0
        self._overlaps[a] = self._overlaps[:, a] = self._overlaps_of(a)

    def proposal(self, a: int, b: int) -> Proposal:
        """Adding component b to a, as a proposal to the partition as it is now."""
        ours = self.statistics[b]
        return Proposal(
            "merge",
            (b,),
            torch.tensor([a, b]),
            torch.stack([ours, -ours]),
            self.statistics[:0].clone(),
            -float(self._overlaps[a, b]),
        )

    def _overlaps_of(self, a: int, first: int = 0) -> Float64[Tensor, " k"]:
        """Σ_n w_n [φ(r_na + r_nk) - φ(r_na) - φ(r_nk)] for each k from ``first`` on.

        It is the entropy that a merger costs; rows without a part in a cost nothing.
        """
        rows = self._responsibilities[:, a].nonzero()[:, 0]
        overlaps = torch.zeros(len(self.statistics) - first, dtype=torch.float64)
        for part in rows.split(CACHED_ROWS):
            overlaps += self._overlaps_in(part, a, first)
        overlaps[a - first :][: a >= first] = 0
        return overlaps.clamp(min=0)  # rounding alone can bring it below zero

    def _overlaps_in(self, rows: Int64[Tensor, " m"], a: int, first: int) -> Float64[Tensor, " k"]:
        joined = self._responsibilities[rows, first:] + self._responsibilities[rows, a, None]
        costs = joined.log().mul_(joined).sub_(self._phi[rows, first:])
        weights = self._weights[rows].double()
        return weights @ costs.double() - weights @ self._phi[rows, a].double()

    def stick_gains(self, pairs: Int64[Tensor, "P 2"], s: float) -> Float64[Tensor, " P"]:
        """A(s n′) - A(s n), with n and n′ in falling order."""
        counts = s * self.statistics[:, 0].sort(descending=True).values
        before = stick_evidence(counts, self.prior.concentration)
        size = max(1, PAIR_BYTES // counts.nbytes)
        after = [self._merged_sticks(part, s) for part in pairs.split(size)]
        return torch.cat([*after, counts[:0]]) - before

    def _merged_sticks(self, pairs: Int64[Tensor, "P 2"], s: float) -> Float64[Tensor, " P"]:
        a, b = pairs.unbind(1)
        each = torch.arange(len(pairs))
        counts = s * self.statistics[:, 0].repeat(len(pairs), 1)
        counts[each, a] += counts[each, b]
        counts[each, b] = 0
        counts = counts.sort(dim=1, descending=True).values
        return stick_evidence(counts, self.prior.concentration)


def _phi(responsibilities: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """φ(t) = t log t, and 0 at 0."""
    return torch.xlogy(responsibilities, responsibilities)


def merge_all(
    table: MergeTable, on_merge: OnMerge, *, s: float = 1.0, least: float = 0.0, fewest: int = 1
) -> None:
    """Merge the pair with the highest gain until none is above ``least`` nats.

    At least ``fewest`` components stay. ``on_merge(a, b, gain)`` is called before b is added to
    a. Where a component has so many features that not every pair is ``affordable``, only the
    nearest are looked at, anew whenever none of these pays any more.
    """
    n_merged = -1
    while n_merged:
        candidates, n_merged = _Candidates(table, s), 0
        while table.n_alive > fewest and (best := candidates.best(least)):
            on_merge(*best)
            table.merge(*best[:2])
            candidates.follow(*best[:2])
            n_merged += 1
        if candidates.are_all:
            break


class _Candidates:
    """The pairs that are looked at, and the gain of each."""

    def __init__(self, table: MergeTable, s: float) -> None:
        self._table, self._s = table, s
        self._n_looked_at = affordable(table.prior.family)
        pairs = table.pairs()
        self._pairs = table.nearest(pairs, max(self._n_looked_at, table.n_alive))
        self.are_all = len(self._pairs) == len(pairs)
        self._others, self._gains = self._gains_of(self._pairs)

    def best(self, least: float) -> tuple[int, int, float] | None:
        """The pair with the highest gain, and that gain, if it is above ``least``.

        The sticks' part of a gain changes a little with every merge elsewhere, so that the
        best pair is looked at again first.
        """
        while len(self._pairs) and float(self._gains.max()) > least:
            best = int(self._gains.argmax())
            exact = self._again(best)
            if exact < float(self._gains[best]):
                self._gains[best] = exact
                if exact < float(self._gains.max()) or exact <= least:
                    continue
            a, b = self._pairs[best].tolist()
            return a, b, exact
        return None

    def follow(self, a: int, b: int) -> None:
        """Look at the pairs of component a, to which b was added, in place of those of both."""
        pairs = self._table.pairs_with(a)
        near = self._table.nearest(pairs, max(1, self._n_looked_at // self._table.n_alive))
        self.are_all = self.are_all and len(near) == len(pairs)
        rest = ((self._pairs != a) & (self._pairs != b)).all(1)
        others, gains = self._gains_of(near)
        self._pairs = torch.cat([self._pairs[rest], near])
        self._others = torch.cat([self._others[rest], others])
        self._gains = torch.cat([self._gains[rest], gains])

    def _gains_of(
        self, pairs: Int64[Tensor, "P 2"]
    ) -> tuple[Float64[Tensor, " P"], Float64[Tensor, " P"]]:
        """The gain of each pair without what the sticks gain, and with it."""
        others = self._table.other_gains(pairs, self._s)
        return others, others + self._table.stick_gains(pairs, self._s)

    def _again(self, index: int) -> float:
        pair = self._pairs[index : index + 1]
        if isinstance(self._table.prior.family, TiedCovariance):
            return float(self._table.gains(pair, self._s))
        return float(self._others[index] + self._table.stick_gains(pair, self._s))
