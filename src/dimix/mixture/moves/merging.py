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
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from dimix.mixture.moves.partition import Partition, Proposal, SharedRows
from dimix.mixture.posterior import MixturePrior
from dimix.mixture.sticks import stick_evidence

PAIR_BYTES = 2**26
"""Memory for the counts of all components, once a pair."""

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
        self._weights = shared.weights
        self._alive: Bool[Tensor, " K"] = partition.counts > 0
        n_components = len(self.statistics)
        self._overlaps = torch.zeros(n_components, n_components, dtype=torch.float64)
        for a in self._alive.nonzero()[:, 0].tolist():
            self._overlaps[a] = self._overlaps_of(a)

    @property
    def partition(self) -> Partition:
        """The components as they are now, those merged away as rows of zeros."""
        return Partition(self.prior, self.statistics.clone(), self.entropy)

    def pairs(self) -> Int64[Tensor, "P 2"]:
        """All pairs of components that are left, a < b."""
        alive = self._alive.nonzero()[:, 0]
        return torch.combinations(alive, 2)

    def pairs_with(self, component: int) -> Int64[Tensor, "P 2"]:
        """The pairs of one component with every other that is left, a < b."""
        others = self._alive.nonzero()[:, 0]
        others = others[others != component]
        return torch.stack([others, torch.full_like(others, component)], dim=1).sort(dim=1).values

    def gains(self, pairs: Int64[Tensor, "P 2"], s: float = 1.0) -> Float64[Tensor, " P"]:
        """gain(a, b; s) of each pair, in nats."""
        a, b = pairs.unbind(1)
        of_components = self.prior.family.merge_evidence(
            self.prior.components, s * self.statistics, pairs
        )
        return self._stick_gains(pairs, s) + of_components - s * self._overlaps[a, b]

    def merge(self, a: int, b: int) -> None:
        """Add component b to a."""
        self.entropy -= float(self._overlaps[a, b])
        self.statistics[a] += self.statistics[b]
        self.statistics[b] = 0
        self._alive[b] = False
        self._responsibilities[:, a] += self._responsibilities[:, b]
        self._responsibilities[:, b] = 0
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

    def _overlaps_of(self, a: int) -> Float64[Tensor, " K"]:
        """Σ_n w_n [φ(r_na + r_nk) - φ(r_na) - φ(r_nk)] for each k: the entropy a merger costs."""
        rows = self._responsibilities[:, a].nonzero()[:, 0]
        all_ = self._responsibilities[rows]
        ours = all_[:, a, None]
        joined = torch.xlogy(ours + all_, ours + all_)
        costs = (joined - torch.xlogy(ours, ours) - torch.xlogy(all_, all_)).double()
        overlaps = self._weights[rows].double() @ costs
        overlaps[a] = 0
        return overlaps.clamp(min=0)  # rounding alone can bring it below zero

    def _stick_gains(self, pairs: Int64[Tensor, "P 2"], s: float) -> Float64[Tensor, " P"]:
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


def merge_all(table: MergeTable, on_merge: OnMerge, *, s: float = 1.0, least: float = 0.0) -> None:
    """Merge the pair with the highest gain until none is above ``least`` nats.

    ``on_merge(a, b, gain)`` is called before b is added to a. The sticks' part of a pair's gain
    changes a little with every merge elsewhere, so the best pair is looked at again first.
    """
    pairs = table.pairs()
    gains = table.gains(pairs, s)
    while len(pairs) and float(gains.max()) > least:
        best = int(gains.argmax())
        exact = float(table.gains(pairs[best : best + 1], s))
        if exact < float(gains[best]):
            gains[best] = exact
            if exact < float(gains.max()) or exact <= least:
                continue
        a, b = pairs[best].tolist()
        on_merge(a, b, exact)
        table.merge(a, b)
        rest = ~torch.isin(pairs, pairs[best]).any(1)
        new = table.pairs_with(a)
        pairs = torch.cat([pairs[rest], new])
        gains = torch.cat([gains[rest], table.gains(new, s)])
