"""Batch coordinate ascent: two matrix products a pass, then the conjugate update.

Products run in the dtype of the data; statistics and bounds are accumulated in float64. Under
torch.distributed each rank passes over its own rows and the sums are those of all ranks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import threshold

from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.inference.distributed import all_reduce_
from dimix.mixture.posterior import Bound, MixturePosterior, by_size, update

NEGLIGIBLE = 1e-30
"""Responsibilities this small count as zero: subnormal numbers slow a product a hundredfold."""

Statistics = tuple[Float64[Tensor, "K F"], float]
"""S under the best q(c), and Σ_n w_n logsumexp_k L_nk."""


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


@torch.no_grad()
def collect(
    chunks: FeatureChunks, responsibilities: Float[Tensor, "N K"]
) -> Float64[Tensor, "K F"]:
    """S = Rᵀ Φ for given responsibilities, each row of R times the weight of that row."""
    statistics = _zeros(responsibilities.shape[1], chunks)
    for rows, phi in chunks:
        r = responsibilities[rows].to(phi)
        if chunks.weights is not None:
            r = r * chunks.weights[rows, None].to(r)
        statistics += r.mT @ phi
    return all_reduce_(statistics).cpu()


def sweep(chunks: FeatureChunks, posterior: MixturePosterior) -> Statistics:
    """One pass: S under the best q(c) at this posterior, and Σ_n w_n logsumexp_k L_nk."""
    statistics, allocation = sweep_shard(chunks, posterior.natural_parameters)
    return all_reduce_(statistics).cpu(), float(all_reduce_(allocation))


@torch.no_grad()
def sweep_shard(
    chunks: FeatureChunks, natural: Float64[Tensor, "K F"]
) -> tuple[Float64[Tensor, "K F"], Float64[Tensor, ""]]:
    """``sweep`` over the rows of this rank alone, given η; the results stay on the device."""
    n_components = len(natural)
    statistics = _zeros(n_components, chunks)
    allocation = statistics.new_zeros(())
    eta = natural.to(chunks.device, chunks.z.dtype)
    scratch = eta.new_empty(n_components * min(chunks.rows_per_chunk, len(chunks)))
    product = torch.empty_like(eta)
    for rows, phi in chunks:
        # Component by row: softmax along the strided axis vectorises, and S = R Φ needs no copy.
        logits = scratch[: n_components * len(phi)].view(n_components, len(phi))
        torch.mm(eta, phi.mT, out=logits)
        weights = None if chunks.weights is None else chunks.weights[rows].to(chunks.device)
        allocation += _to_responsibilities_(logits, weights)
        statistics += torch.mm(logits, phi, out=product)
    return statistics, allocation


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
    weight = torch.tensor(chunks.total_weight, dtype=torch.float64, device=chunks.device)
    return ascend(
        lambda posterior: sweep(chunks, posterior),
        start,
        tolerance=tol * float(all_reduce_(weight)),
        max_iter=max_iter,
        reorder=reorder,
        on_iteration=on_iteration,
    )


def ascend(
    one_pass: Callable[[MixturePosterior], Statistics],
    start: MixturePosterior,
    *,
    tolerance: float,
    max_iter: int = 100,
    reorder: bool = True,
    on_iteration: Callable[[int, Bound], None] | None = None,
) -> FitResult:
    """``fit_batch`` for any pass over the data; ``tolerance`` is in nats, all rows together."""
    posterior, bounds = start, list[Bound]()
    for n_iter in range(max_iter + 1):
        statistics, allocation = one_pass(posterior)
        bounds.append(posterior.bound(allocation))
        if on_iteration is not None:
            on_iteration(n_iter, bounds[-1])
        if has_settled(bounds, tolerance) or n_iter == max_iter:
            break
        posterior = update(posterior.prior, by_size(statistics) if reorder else statistics)
    return FitResult(posterior, tuple(bounds), has_settled(bounds, tolerance), n_iter)


def has_settled(bounds: Sequence[Bound], tolerance: float) -> bool:
    """Whether the last update changed the bound by less than ``tolerance`` nats."""
    # A fall, which only reg_covar can cause, is a change too: the fixed point is further on.
    return len(bounds) > 1 and abs(bounds[-1].total - bounds[-2].total) < tolerance


def _to_responsibilities_(
    logits: Float[Tensor, "K n"], weights: Float64[Tensor, " n"] | None
) -> Float64[Tensor, ""]:
    """Turn logits into weighted responsibilities, in place; Σ_n w_n logsumexp_k L_nk."""
    largest = logits.amax(dim=0)
    threshold(logits.sub_(largest).exp_(), NEGLIGIBLE, 0.0, inplace=True)
    sums = logits.sum(dim=0)
    normaliser = largest + sums.log()
    if weights is None:
        logits.mul_(sums.reciprocal())
        return normaliser.sum(dtype=torch.float64)
    logits.mul_(weights.to(sums) / sums)
    return weights @ normaliser.double()


def _zeros(n_components: int, chunks: FeatureChunks) -> Float64[Tensor, "K F"]:
    shape = (n_components, chunks.family.n_features)
    return torch.zeros(shape, dtype=torch.float64, device=chunks.device)
