"""Memoized inference: coordinate ascent over rows on disk, with an update after each group.

S is kept for each group of blocks and replaced when the group is visited again, so the sum over
groups is always that of all rows and the bound is exact: no step sizes, and a pass over the data
brings as many updates as there are groups. Blocks are joined into ever longer groups while the
first pass finds more of them, so memory does not grow with N.

The bound at posterior q is that of the responsibilities last computed for each group. With H
their entropy, the sum of which is kept beside S,

    Σ_n Σ_k r_nk (L_nk - log r_nk) = Σ_kf S_kf η_kf + H

stands where batch inference has Σ_n logsumexp_k L_nk; the two agree at a fixed point.

Source: Hughes and Sudderth, Memoized online variational inference for Dirichlet process mixture
models (2013).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import islice
from operator import add

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.inference.batch import FitResult, has_settled, sweep_shard
from dimix.mixture.inference.blocks import Blocks
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.inference.distributed import all_reduce_, largest
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior, update

MEMO_BYTES = 64 * 2**20
MOST_GROUPS = 64
DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


@dataclass(frozen=True, eq=False)
class Group:
    """What is kept of ``n_blocks`` consecutive blocks: S, the entropy of R, and how many rows."""

    statistics: Float64[Tensor, "K F"]
    entropy: Float64[Tensor, ""]
    n_rows: int
    n_blocks: int

    def __add__(self, other: "Group") -> "Group":
        """The two as one."""
        return Group(
            self.statistics + other.statistics,
            self.entropy + other.entropy,
            self.n_rows + other.n_rows,
            self.n_blocks + other.n_blocks,
        )


Visit = Callable[[Float[np.ndarray, "n D"], MixturePosterior], tuple[Group, Float64[Tensor, ""]]]


def fit_memoized(
    blocks: Blocks,
    start: MixturePosterior,
    *,
    tol: float = 1e-3,
    max_iter: int = 100,
    reorder: bool = True,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    on_iteration: Callable[[int, Bound], None] | None = None,
) -> FitResult:
    """Passes over ``blocks`` until one changes the bound by less than ``tol`` nats a row.

    The first pass is a batch update of ``start``; with ``max_iter=0`` it only yields the bound.
    ``reorder`` sorts the components by size after each pass. Products run in ``dtype`` (None:
    that of each block) on ``device``. Under torch.distributed the blocks of a rank are its
    shard. ``n_iter`` of the result counts passes, and ``on_iteration`` is called after each.
    """
    visit = partial(_visit, dtype=dtype, device=device)
    memo, allocation = _first_pass(blocks, start, visit)
    posterior, bounds = start, [start.bound(float(all_reduce_(allocation)))]
    tolerance = tol * float(all_reduce_(torch.tensor(sum(g.n_rows for g in memo)).double()))
    if on_iteration is not None:
        on_iteration(0, bounds[0])
    for n_iter in range(1, max_iter + 1):
        if n_iter > 1:
            _revisit(memo, blocks, posterior, visit)
        if reorder:
            _sort(memo)
        posterior, bound = _current(memo, start.prior)
        bounds.append(bound)
        if on_iteration is not None:
            on_iteration(n_iter, bound)
        if has_settled(bounds, tolerance):
            break
    return FitResult(posterior, tuple(bounds), has_settled(bounds, tolerance), len(bounds) - 1)


def _visit(
    block: Float[np.ndarray, "n D"],
    posterior: MixturePosterior,
    *,
    dtype: torch.dtype | None,
    device: torch.device | str,
) -> tuple[Group, Float64[Tensor, ""]]:
    """The best q(c) of the rows of a block, as a group, and their Σ_n logsumexp_k L_nk."""
    dtype = dtype or DTYPES[block.dtype]
    z = torch.from_numpy(block - posterior.prior.centre.numpy()).to(dtype)
    chunks = FeatureChunks(posterior.family, z, device=device, cache_bytes=0)
    natural = posterior.natural_parameters
    statistics, allocation = (part.cpu() for part in sweep_shard(chunks, natural))
    # As rounded for the products, or the entropy of float32 would be off by that rounding.
    entropy = allocation - (statistics * natural.to(dtype).double()).sum()
    return Group(statistics, entropy, len(block), 1), allocation


def _first_pass(
    blocks: Blocks, start: MixturePosterior, visit: Visit
) -> tuple[list[Group], Float64[Tensor, ""]]:
    """All groups, at most as many as the budget has room for, and Σ_n logsumexp_k L_nk."""
    memo, longest = list[Group](), 1
    allocation = torch.zeros((), dtype=torch.float64)
    most = _most_groups(start)
    for block in blocks:
        group, of_block = visit(block, start)
        allocation += of_block
        if len(memo) == most and memo[-1].n_blocks == longest:
            memo = [a + b for a, b in zip(memo[::2], memo[1::2], strict=True)]
            longest *= 2
        if memo and memo[-1].n_blocks < longest:
            memo[-1] += group
        else:
            memo.append(group)
    return memo, allocation


def _most_groups(start: MixturePosterior) -> int:
    """An even number of groups whose statistics fit the budget."""
    room = MEMO_BYTES // (start.n_components * start.family.n_features * 8)
    return 2 * min(max(1, room // 2), MOST_GROUPS // 2)


def _revisit(memo: list[Group], blocks: Blocks, posterior: MixturePosterior, visit: Visit) -> None:
    """Replace every group in turn, each under the posterior that all groups have by then."""
    remaining = iter(blocks)
    # Every rank takes part in as many updates as the one with the most groups.
    for index in range(largest(len(memo))):
        if index > 0:
            posterior, _ = _current(memo, posterior.prior)
        if index < len(memo):
            again = [visit(b, posterior)[0] for b in islice(remaining, memo[index].n_blocks)]
            _check_same_rows(again, memo[index], blocks.name)
            memo[index] = reduce(add, again)
    if next(remaining, None) is not None:
        raise ValueError(f"{blocks.name} must yield the same blocks on every pass: now it has more")


def _check_same_rows(again: list[Group], before: Group, name: str) -> None:
    n_rows = sum(group.n_rows for group in again)
    if n_rows != before.n_rows:
        raise ValueError(
            f"{name} must yield the same blocks on every pass: {before.n_blocks} blocks that held "
            f"{before.n_rows} rows on the first pass hold {n_rows} now"
        )


def _sort(memo: list[Group]) -> None:
    """Put the largest component first, in all groups alike."""
    counts, _ = _sums(memo)
    order = counts[:, 0].argsort(descending=True, stable=True)
    memo[:] = [replace(group, statistics=group.statistics[order]) for group in memo]


def _current(memo: list[Group], prior: MixturePrior) -> tuple[MixturePosterior, Bound]:
    """The posterior given all groups, and the bound at it and at their responsibilities."""
    statistics, entropy = _sums(memo)
    posterior = update(prior, statistics)
    allocation = (statistics * posterior.natural_parameters).sum() + entropy
    return posterior, posterior.bound(float(allocation))


def _sums(memo: list[Group]) -> tuple[Float64[Tensor, "K F"], Float64[Tensor, ""]]:
    """S and the entropy of all rows of all ranks, summed afresh lest differences add up."""
    statistics = torch.zeros_like(memo[0].statistics)
    entropy = torch.zeros_like(memo[0].entropy)
    for group in memo:
        statistics += group.statistics
        entropy += group.entropy
    return all_reduce_(statistics), all_reduce_(entropy)
