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
from dimix.mixture.moves.heirs import Heirs
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

    def __init__(
        self, partition: Partition, shared: SharedRows, heirs: Heirs | None = None
    ) -> None:
        self.prior: MixturePrior = partition.prior
        self.statistics = partition.statistics.clone()
        self.entropy = partition.entropy
        # Component by row, so that what a pair needs is contiguous.
        self._responsibilities = shared.responsibilities.mT.clone(
            memory_format=torch.contiguous_format
        )
        self._phi = _phi(self._responsibilities)
        self._weights = shared.weights
        self._alive: Bool[Tensor, " K"] = partition.counts > 0
        self._heirs = heirs
        n_components = len(self.statistics)
        self._overlaps = torch.full((n_components, n_components), torch.nan, dtype=torch.float64)

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

    def allowed(self, pairs: Int64[Tensor, "P 2"]) -> Bool[Tensor, " P"]:
        """Which pairs may be merged: all, or those that are each other's heirs."""
        if self._heirs is None:
            return torch.ones(len(pairs), dtype=torch.bool)
        return self._heirs.mutual(pairs)

    def nearest(self, pairs: Int64[Tensor, "P 2"], n: int) -> Int64[Tensor, "p 2"]:
        """The ``n`` pairs whose merger adds least to the squared distances from the means.

        Source: Ward, Hierarchical grouping to optimize an objective function (1963).
        """
        if len(pairs) <= n:
            return pairs
        counts, means = self.statistics[:, 0], self.prior.family.averages(self.statistics)
        a, b = pairs.unbind(1)
        weights = counts[a] * counts[b] / (counts[a] + counts[b])
        distances = weights * torch.cdist(means, means)[a, b].square()
        return pairs[distances.topk(n, largest=False, sorted=False).indices.sort().values]

    def gains(self, pairs: Int64[Tensor, "P 2"], s: float = 1.0) -> Float64[Tensor, " P"]:
        """gain(a, b; s) of each pair, in nats."""
        sticks, gaussians = self.stick_gains(pairs, s), self.gaussian_gains(pairs, s)
        return sticks + gaussians - s * self.overlaps(pairs)

    def gaussian_gains(self, pairs: Int64[Tensor, "P 2"], s: float = 1.0) -> Float64[Tensor, " P"]:
        """g(s (S_a + S_b)) - g(s S_a) - g(s S_b): merges elsewhere leave it, unless Λ is shared."""
        family, components = self.prior.family, self.prior.components
        if isinstance(family, TiedCovariance):
            return family.merge_evidence(components, s * self.statistics, pairs)
        involved, places = pairs.unique(return_inverse=True)
        return family.merge_evidence(components, s * self.statistics[involved], places)

    def overlaps(self, pairs: Int64[Tensor, "P 2"]) -> Float64[Tensor, " P"]:
        """Σ_n w_n [φ(r_na + r_nb) - φ(r_na) - φ(r_nb)] >= 0: the entropy that a merger costs.

        It is looked for when a pair is first asked about, of one component with all at a time.
        """
        a, b = pairs.unbind(1)
        unknown = pairs[self._overlaps[a, b].isnan()]
        while len(unknown):
            component = int(unknown.flatten().mode().values)
            its = (unknown == component).any(1)
            others = unknown[its].sum(1) - component
            found = self._overlaps_of(component, others)
            self._overlaps[component, others] = self._overlaps[others, component] = found
            unknown = unknown[~its]
        return self._overlaps[a, b]

    def merge(self, a: int, b: int) -> None:
        """Add component b to a."""
        self.entropy -= float(self.overlaps(torch.tensor([[a, b]])))
        if self._heirs:
            self._heirs.merge(a, b)
        self.statistics[a] += self.statistics[b]
        self.statistics[b] = 0
        self._alive[b] = False
        self._responsibilities[a] += self._responsibilities[b]
        self._responsibilities[b] = self._phi[b] = 0
        self._phi[a] = _phi(self._responsibilities[a])
        self._overlaps[a] = self._overlaps[:, a] = torch.nan

    def proposal(self, a: int, b: int) -> Proposal:
        """Adding component b to a, as a proposal to the partition as it is now."""
        ours = self.statistics[b]
        return Proposal(
            "merge",
            (b,),
            torch.tensor([a, b]),
            torch.stack([ours, -ours]),
            self.statistics[:0].clone(),
            -float(self.overlaps(torch.tensor([[a, b]]))),
        )

    def _overlaps_of(self, a: int, others: Int64[Tensor, " k"]) -> Float64[Tensor, " k"]:
        """Rows without a part in a cost nothing."""
        rows = self._responsibilities[a].nonzero()[:, 0]
        overlaps = torch.zeros(len(others), dtype=torch.float64)
        for part in rows.split(CACHED_ROWS):
            overlaps += self._overlaps_in(part, a, others)
        return overlaps.clamp(min=0)  # rounding alone can bring it below zero

    def _overlaps_in(
        self, rows: Int64[Tensor, " m"], a: int, others: Int64[Tensor, " k"]
    ) -> Float64[Tensor, " k"]:
        others = others[:, None]
        joined = self._responsibilities[others, rows] + self._responsibilities[a, rows]
        costs = joined.log().mul_(joined).sub_(self._phi[others, rows])
        weights = self._weights[rows].double()
        return costs.double() @ weights - self._phi[a, rows].double() @ weights

    def stick_gains(self, pairs: Int64[Tensor, "P 2"], s: float = 1.0) -> Float64[Tensor, " P"]:
        """A(s n′) - A(s n), with n and n′ in falling order."""
        size = max(1, PAIR_BYTES // self.statistics[:, 0].nbytes)
        return torch.cat([self._stick_gains(part, s) for part in pairs.split(size)])

    def _stick_gains(self, pairs: Int64[Tensor, "P 2"], s: float) -> Float64[Tensor, " P"]:
        a, b = pairs.unbind(1)
        each = torch.arange(len(pairs))
        counts = s * self.statistics[:, 0].repeat(1 + len(pairs), 1)  # the first as they are
        merged = counts[1:]
        merged[each, a] += merged[each, b]
        merged[each, b] = 0
        counts = counts.sort(dim=1, descending=True).values
        evidence = stick_evidence(counts, self.prior.concentration)
        return evidence[1:] - evidence[0]


def _phi(responsibilities: Float[Tensor, "*k n"]) -> Float[Tensor, "*k n"]:
    """φ(t) = t log t, and 0 at 0."""
    return torch.xlogy(responsibilities, responsibilities)


def merge_all(table: MergeTable, on_merge: OnMerge, *, least: float = 0.0, fewest: int = 1) -> None:
    """Merge the pair with the highest gain until none is above ``least`` nats.

    At least ``fewest`` components stay. ``on_merge(a, b, gain)`` is called before b is added to
    a. Where a component has so many features that not every pair is ``affordable``, only the
    nearest are looked at, anew whenever none of these pays any more.
    """
    n_merged = -1
    while n_merged:
        candidates, n_merged = _Candidates(table, least), 0
        while table.n_alive > fewest and (best := candidates.best()):
            on_merge(*best)
            table.merge(*best[:2])
            candidates.follow(*best[:2])
            n_merged += 1
        if candidates.are_all:
            break


class _Candidates:
    """The pairs that are looked at and gain more than ``least`` nats, and the gain of each."""

    def __init__(self, table: MergeTable, least: float) -> None:
        self._table, self._least = table, least
        self._n_looked_at = affordable(table.prior.family)
        pairs = table.pairs()
        near = table.nearest(pairs, max(self._n_looked_at, table.n_alive))
        self.are_all = len(near) == len(pairs)
        self._pairs, self._others, self._gains = self._paying(near)

    def best(self) -> tuple[int, int, float] | None:
        """The pair with the highest gain, and that gain, if there is any.

        The sticks' part of a gain changes a little with every merge elsewhere, so that the
        best pair is looked at again first.
        """
        while len(self._pairs):
            best = int(self._gains.argmax())
            exact = self._again(best)
            if exact < float(self._gains[best]):
                self._gains[best] = exact
                if exact <= self._least or exact < float(self._gains.max()):
                    self._keep(self._gains > self._least)
                    continue
            a, b = self._pairs[best].tolist()
            return a, b, exact
        return None

    def follow(self, a: int, b: int) -> None:
        """Look at the pairs of component a, to which b was added, in place of those of both."""
        pairs = self._table.pairs_with(a)
        near = self._table.nearest(pairs, max(1, self._n_looked_at // self._table.n_alive))
        self.are_all = self.are_all and len(near) == len(pairs)
        self._keep(((self._pairs != a) & (self._pairs != b)).all(1))
        self._keep(self._table.allowed(self._pairs))  # a may be an heir now in place of others
        pairs, others, gains = self._paying(near)
        self._pairs = torch.cat([self._pairs, pairs])
        self._others = torch.cat([self._others, others])
        self._gains = torch.cat([self._gains, gains])

    def _keep(self, which: Bool[Tensor, " P"]) -> None:
        self._pairs, self._others = self._pairs[which], self._others[which]
        self._gains = self._gains[which]

    def _paying(
        self, pairs: Int64[Tensor, "P 2"]
    ) -> tuple[Int64[Tensor, "p 2"], Float64[Tensor, " p"], Float64[Tensor, " p"]]:
        """The pairs that pay, what each gains without the sticks, and with them.

        Overlaps only cost, so that those of pairs that would not pay without are not needed.
        """
        others = self._table.gaussian_gains(pairs)
        gains = others + self._table.stick_gains(pairs)
        may = (gains > self._least) & self._table.allowed(pairs)
        cost = self._table.overlaps(pairs[may])
        pays = gains[may] - cost > self._least
        return pairs[may][pays], (others[may] - cost)[pays], (gains[may] - cost)[pays]

    def _again(self, index: int) -> float:
        pair = self._pairs[index : index + 1]
        if isinstance(self._table.prior.family, TiedCovariance):
            return float(self._table.gains(pair))
        return float(self._others[index] + self._table.stick_gains(pair))
