"""Birth, split, merge, delete: changes of the number of components, each kept only if B(R) rises.

Coordinate ascent keeps the number of components it starts with, and with it the local optimum.
``improve`` alternates it with moves until none is left that pays, so that a start from one
component and a start from two hundred reach the same answer where the data are clear. The gain
of a merge, deletion or split is known exactly before it is made (``partition``); a birth is
tried for a few sweeps and kept if the bound ends higher than without it.

Cost in passes over the data, beside the sweeps of coordinate ascent: 1 to survey the rows,
which is all that merges need (1 more for heirs); deletions 1; splits 1, or none if none looks
promising; a birth 2 (``TRIAL_SWEEPS`` + 1). Everything of a kind is looked at in the same pass.
All rows must be in this process.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from dimix.mixture.inference.batch import FitResult, fit_batch
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.deleting import propose_deletions
from dimix.mixture.moves.heirs import Heirs
from dimix.mixture.moves.merging import MergeTable, merge_all
from dimix.mixture.moves.partition import Partition, Proposal, Survey, affordable, survey
from dimix.mixture.moves.splitting import most_rows, propose_birth, propose_splits
from dimix.mixture.posterior import Bound, MixturePosterior, by_size, update

MOVES = ("merge", "delete", "split", "birth")
"""The kinds of moves, in the order in which they are tried."""

LEAST_GAIN = 1e-5
"""Nats a row that a move must bring."""
EMPTY = 1e-2
"""Components with fewer rows than this are set aside while moves are made."""
PARTS = 8
"""The most parts of a split, and the components of a birth."""
SETTLE_SWEEPS = 10
"""The most updates of coordinate ascent between moves."""
TRIAL_SWEEPS = 5
"""Updates after which a birth is judged."""
PATIENCE = 3
"""Tries of splits, which are random, before they are given up; a birth comes with the last."""


@dataclass(frozen=True)
class Move:
    """A move that was kept.

    ``components`` are the rows of the posterior at that time that it gave up, ``n_components``
    how many components held rows after it, ``gain`` the predicted change of B(R) in nats (for
    a birth, the measured one).
    """

    kind: str
    components: tuple[int, ...]
    n_components: int
    gain: float


@dataclass(frozen=True, eq=False)
class ImprovedFit(FitResult):
    """The end of a fit with moves, and the moves that were kept, in order.

    ``bounds`` and ``n_iter`` count all updates: those of coordinate ascent and those by moves.
    """

    moves: tuple[Move, ...]


def best_of(fits: Iterable[ImprovedFit]) -> ImprovedFit:
    """The fit that ended at the highest bound."""
    return max(fits, key=lambda fit: fit.bounds[-1].total)


def improve(
    chunks: FeatureChunks,
    start: MixturePosterior,
    rng: np.random.RandomState,
    *,
    moves: Iterable[str] = MOVES,
    fewest: int = 1,
    only_heirs: bool = False,
    tol: float = 1e-3,
    max_iter: int = 100,
    reorder: bool = True,
    on_iteration: Callable[[int, Bound], None] | None = None,
) -> ImprovedFit:
    """Coordinate ascent and moves from ``start``, whose T components are the most there may be.

    Merges and deletions leave ``fewest`` components, which coordinate ascent may then empty.
    With ``only_heirs`` only each other's heirs are merged. Ends with coordinate ascent of
    all T components, empty ones included, as ``fit_batch`` with the same arguments; without moves
    that is all.
    """
    search = _Search(chunks, start, rng, fewest, only_heirs, tol, reorder, on_iteration)
    kinds = [kind for kind in MOVES if kind in set(moves)]
    if kinds:
        search.run(kinds, min(max_iter, SETTLE_SWEEPS))
        search.use_all_slots()
    converged = search.ascend(max_iter)
    return ImprovedFit(
        search.posterior,
        tuple(search.bounds),
        converged,
        len(search.bounds) - 1,
        tuple(search.moves),
    )


def choose(
    partition: Partition, proposals: list[Proposal], *, fewest: int = 1, room: int, least: float
) -> tuple[Partition, list[Move]]:
    """Carry out the proposals that gain more than ``least`` nats each, best first.

    Gains are computed again after each, and of proposals that touch the same components only
    the best is carried out. From ``fewest`` to ``room`` components result; where there are fewer
    to begin with, no fewer than these.
    """
    fewest = min(fewest, partition.n_components)
    gains = [proposal.gain(partition) for proposal in proposals]
    kept, used = list[Move](), set[int]()
    for i in sorted(range(len(gains)), key=lambda i: -gains[i]):
        proposal, touched = proposals[i], set(proposals[i].touched.tolist())
        if gains[i] <= least:
            break
        if used & touched:
            continue
        gain = proposal.gain(partition) if kept else gains[i]
        after = proposal.applied(partition)
        if gain <= least or not fewest <= after.n_components <= room:
            continue
        used |= touched
        kept.append(Move(proposal.kind, proposal.given_up, after.n_components, gain))
        partition = after
    return partition, kept


class _Search:
    """Where a search has come to: its posterior, and the bounds and moves on the way."""

    def __init__(
        self,
        chunks: FeatureChunks,
        start: MixturePosterior,
        rng: np.random.RandomState,
        fewest: int,
        only_heirs: bool,
        tol: float,
        reorder: bool,
        on_iteration: Callable[[int, Bound], None] | None,
    ) -> None:
        self.posterior = start
        self.bounds = list[Bound]()
        self._recorded: MixturePosterior | None = None  # that whose bound is the last of them
        self.moves = list[Move]()
        self._chunks, self._rng, self._tol, self._reorder = chunks, rng, tol, reorder
        self._fewest, self._only_heirs, self._on_iteration = fewest, only_heirs, on_iteration
        self._n_slots = start.n_components
        self._n_affordable = affordable(chunks.family)
        self._least = LEAST_GAIN * chunks.total_weight
        self._worth = max(LEAST_GAIN, tol) * chunks.total_weight

    def run(self, kinds: list[str], n_sweeps: int) -> None:
        """Rounds of moves, each of the first kind that gains anything, until none is worth it.

        A round costs a few updates of every component that holds rows, so there are no more
        than are ``affordable``: 10 of three components or one of fifty, if full at D = 1,000.
        """
        self.ascend(n_sweeps)
        failures, view = 0, self._survey(n_sweeps)
        best = self.bounds[-1].total
        left = self._n_affordable
        while failures < PATIENCE and left > 0:
            if self.posterior is not view.posterior:  # moved, or swept by a birth that was not kept
                view = self._survey(n_sweeps)
            left -= view.partition.n_components
            moved = any(self._try(kind, view) for kind in kinds if _is_due(kind, failures))
            if moved and left > 0:  # an update of all slots follows anyway
                self.ascend(n_sweeps)
            # Where rows have no spread, reg_covar lets an update take back what a move won.
            failures = 0 if self.bounds[-1].total > best + self._worth else failures + 1
            best = max(best, self.bounds[-1].total)

    def _try(self, kind: str, view: Survey) -> bool:
        """Make the moves of a kind that pay; whether there were any."""
        # Not kept in self: with methods of its own in it, all Φ would wait for the collector.
        makers = {
            "merge": self._merge,
            "delete": self._delete,
            "split": self._split,
            "birth": self._birth,
        }
        return makers[kind](view)

    def ascend(self, max_iter: int) -> bool:
        """Coordinate ascent; whether it converged."""
        n_before, tell = len(self.bounds), self._on_iteration
        result = fit_batch(
            self._chunks,
            self.posterior,
            tol=self._tol,
            max_iter=max_iter,
            reorder=self._reorder,
            on_iteration=tell and (lambda i, bound: tell(n_before + i, bound)),
        )
        self._record(result, self.posterior)
        return result.converged

    def _record(self, result: FitResult, start: MixturePosterior) -> None:
        """Go on from the end of a fit."""
        self.bounds += result.bounds[1:] if start is self._recorded else result.bounds
        self.posterior = self._recorded = result.posterior

    def use_all_slots(self) -> None:
        """Put back the empty components that were set aside."""
        if self.posterior.n_components == self._n_slots:
            return
        statistics = survey(self._chunks, self.posterior).partition.statistics
        n_empty = self._n_slots - len(statistics)
        self._set(torch.cat([statistics, statistics.new_zeros(n_empty, statistics.shape[1])]))

    def _survey(self, n_sweeps: int) -> Survey:
        """A pass over the data, once the components that are all but empty are set aside."""
        while True:
            view = survey(self._chunks, self.posterior)
            filled = view.partition.counts >= EMPTY
            if bool(filled.all()):
                return view
            self._set(view.partition.statistics[filled])
            self.ascend(n_sweeps)

    def _set(self, statistics: Float64[Tensor, "K F"]) -> None:
        self.posterior = update(self.posterior.prior, by_size(statistics))

    def _merge(self, view: Survey) -> bool:
        table, made = self._table(view), list[Move]()

        def note(a: int, b: int, gain: float) -> None:
            made.append(Move("merge", (a, b), len(view.partition.counts) - len(made) - 1, gain))

        merge_all(table, note, least=self._least, fewest=self._fewest)
        return self._keep(table.partition, made)

    def _table(self, view: Survey) -> MergeTable:
        heirs = Heirs.of(self._chunks, view) if self._only_heirs else None
        return MergeTable(view.partition, view.shared, heirs)

    def _delete(self, view: Survey) -> bool:
        return self._carry_out(view, propose_deletions(self._chunks, view))

    def _split(self, view: Survey) -> bool:
        n_parts = min(PARTS, self._n_free(view) + 1)
        proposals = propose_splits(self._chunks, view, max(n_parts, 2), self._rng)
        if n_parts < PARTS and proposals:
            proposals += self._paid_for(proposals, self._table(view))
        return self._carry_out(view, proposals)

    def _paid_for(self, splits: list[Proposal], table: MergeTable) -> list[Proposal]:
        """Splits in two that make room for themselves by the cheapest merge elsewhere."""
        pairs = table.nearest(table.pairs(), max(self._n_affordable, table.n_alive))
        pairs = pairs[table.allowed(pairs)]
        pairs = pairs[table.gains(pairs).argsort(descending=True)]
        both = list[Proposal]()
        for split in splits:
            elsewhere = pairs[(pairs != split.given_up[0]).all(1)]
            if len(split.fresh) == 2 and len(elsewhere):
                both.append(split.with_(table.proposal(*elsewhere[0].tolist())))
        return both

    def _birth(self, view: Survey) -> bool:
        n_parts = min(PARTS, self._n_free(view))
        if n_parts < 1:
            return False
        rows = self._badly_explained(view)
        proposal = propose_birth(self._chunks, view, rows, n_parts, self._rng)
        if self._n_affordable < 2 * TRIAL_SWEEPS * (view.partition.n_components + n_parts):
            return self._carry_out(view, [proposal])  # if it gains before any sweep
        born = proposal.applied(view.partition).statistics
        starts = (self.posterior, update(self.posterior.prior, by_size(born)))
        without, with_ = (self._trial(start) for start in starts)
        gain = with_.bounds[-1].total - without.bounds[-1].total
        kept = gain > self._least
        self._record(*((with_, starts[1]) if kept else (without, starts[0])))
        if kept:
            self.moves.append(Move("birth", (), with_.posterior.n_components, gain))
        return kept

    def _trial(self, posterior: MixturePosterior) -> FitResult:
        return fit_batch(
            self._chunks, posterior, tol=0, max_iter=TRIAL_SWEEPS, reorder=self._reorder
        )

    def _badly_explained(self, view: Survey) -> Int64[Tensor, " M"]:
        """The rows with the lowest evidence, a tenth of all at the most."""
        n_rows = min(most_rows(self._chunks), max(2, len(self._chunks) // 10), len(self._chunks))
        return view.log_normalisers.topk(n_rows, largest=False).indices

    def _n_free(self, view: Survey) -> int:
        return self._n_slots - view.partition.n_components

    def _carry_out(self, view: Survey, proposals: list[Proposal]) -> bool:
        fewest, room, least = self._fewest, self._n_slots, self._least
        return self._keep(*choose(view.partition, proposals, fewest=fewest, room=room, least=least))

    def _keep(self, partition: Partition, made: list[Move]) -> bool:
        if made:
            self._set(partition.statistics[partition.counts > 0])
            self.moves += made
        return bool(made)


def _is_due(kind: str, failures: int) -> bool:
    """Whether a kind may succeed where so many tries have failed since the last move."""
    if kind == "birth":
        return failures == PATIENCE - 1  # the dearest, hence the last
    return kind == "split" or failures == 0  # merges and deletions are not random
