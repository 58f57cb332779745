"""Full covariance of rows with missing values (NaN), through q(missing | component).

Given c = k, the best q of what a row lacks (u) is the Gaussian that follows from what it has (o)
under E[Λ_k] = P and the mean m:

    z_u | z_o, k ~ N(m_u - P_uu⁻¹ P_uo (z_o - m_o), P_uu⁻¹)

Integrated over it, the logits are linear in T(z_o); and the expected T(z) that it adds to S_k is
an affine map of the statistics of z_o. So rows with the same pattern of gaps cost the two matrix
products of their observed features, and one small completion for each pattern. The bound stays a
lower bound on the log evidence of what is observed, and rises at every step.

Source: Ghahramani and Jordan, Supervised learning from incomplete data via an EM approach (1994),
here with variational expectations in place of point estimates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from dimix.mixture.families import FullCovariance, NormalWishart
from dimix.mixture.families.base import LOG_2PI
from dimix.mixture.inference.batch import FitResult, Statistics, ascend, sweep_shard
from dimix.mixture.inference.chunks import CACHE_BYTES, FeatureChunks
from dimix.mixture.inference.distributed import all_reduce_
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior


@dataclass(frozen=True, eq=False)
class Pattern:
    """The rows that have the features in ``observed`` and no others."""

    observed: Int64[Tensor, " O"]
    missing: Int64[Tensor, " U"]
    rows: Int64[Tensor, " n"]
    chunks: FeatureChunks


@dataclass(frozen=True, eq=False)
class Completion:
    """q(z | z_o, k) of each component: mean ``slope`` z_o + ``offset``, covariance ``spread``.

    ``natural`` is η of the observed features, the missing ones integrated out.
    """

    slope: Float64[Tensor, "K D O"]
    offset: Float64[Tensor, "K D"]
    spread: Float64[Tensor, "K D D"]
    natural: Float64[Tensor, "K f"]

    def statistics(self, observed: Float64[Tensor, "K f"]) -> Float64[Tensor, "K F"]:
        """S of whole rows, from S of what is observed of them."""
        _, dim, n_observed = self.slope.shape
        counts, sums, packed = observed.tensor_split((1, 1 + n_observed), dim=1)
        moments = FullCovariance(n_observed)._moments(packed)
        mapped = _times(self.slope, sums)
        cross = mapped[:, :, None] * self.offset[:, None, :]
        second = self.slope @ moments @ self.slope.mT + cross + cross.mT
        of_offset = self.offset[:, :, None] * self.offset[:, None, :]
        second += counts[:, :, None] * (of_offset + self.spread)
        i, j = torch.triu_indices(dim, dim)
        return torch.cat([counts, mapped + counts * self.offset, second[:, i, j]], dim=1)


def by_pattern(
    family: FullCovariance,
    z: Float[Tensor, "N D"],
    var: Float[Tensor, "N D"] | None = None,
    *,
    weights: Float[Tensor, " N"] | None = None,
    device: torch.device | str | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> tuple[Pattern, ...]:
    """Rows grouped by what they lack; every row must have something.

    The arguments are those of ``FeatureChunks``; ``cache_bytes`` is for all patterns together.
    """
    absent = z.isnan()
    if bool(absent.all(dim=1).any()):
        row = int(absent.all(dim=1).nonzero()[0])
        raise ValueError(f"every row must have a value that is not missing, but row {row} has none")
    kinds, kind_of_row, sizes = absent.unique(dim=0, return_inverse=True, return_counts=True)
    rows_of_kinds = kind_of_row.argsort(stable=True).split(sizes.tolist())
    patterns = []
    for kind, rows in zip(kinds, rows_of_kinds, strict=True):
        observed = (~kind).nonzero()[:, 0]
        chunks = FeatureChunks(
            FullCovariance(len(observed), family.reg_covar),
            z[rows][:, observed],
            None if var is None else var[rows][:, observed],
            weights=None if weights is None else weights[rows],
            device=device,
            cache_bytes=int(cache_bytes * len(rows) / len(z)),
        )
        patterns.append(Pattern(observed, kind.nonzero()[:, 0], rows, chunks))
    return tuple(patterns)


def complete(posterior: MixturePosterior, pattern: Pattern) -> Completion:
    """The best q of the missing features of a pattern, given each component."""
    o, u = pattern.observed, pattern.missing
    mean, precision = posterior.components.mean, posterior.family.precision(posterior.components)
    factor = torch.linalg.cholesky(precision[:, u][:, :, u])
    gain = -torch.cholesky_solve(precision[:, u][:, :, o], factor)
    slope = precision.new_zeros(*mean.shape, len(o))
    slope[:, o] = torch.eye(len(o), dtype=torch.float64)
    slope[:, u] = gain
    spread = torch.zeros_like(precision)
    spread[:, u[:, None], u] = torch.cholesky_inverse(factor)
    # The density of z_o has the Schur complement as its precision, and the peak of E[log N].
    schur = precision[:, o][:, :, o] + precision[:, o][:, :, u] @ gain
    log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
    peak = posterior.natural_parameters[:, 0] + 0.5 * _square(mean, precision)
    constant = peak + 0.5 * (len(u) * LOG_2PI - log_det - _square(mean[:, o], schur))
    linear, quadratic = _times(schur, mean[:, o]), FullCovariance(len(o))._coefficients(schur)
    return Completion(
        slope,
        mean - _times(slope, mean[:, o]),
        spread,
        torch.cat([constant[:, None], linear, quadratic], dim=1),
    )


def sweep_patterns(patterns: tuple[Pattern, ...], posterior: MixturePosterior) -> Statistics:
    """``sweep`` over rows with gaps, under the best q(c) and q(missing | c)."""
    shape = (posterior.n_components, posterior.family.n_features)
    statistics = torch.zeros(shape, dtype=torch.float64)
    allocation = torch.zeros((), dtype=torch.float64)
    for pattern in patterns:
        completion = complete(posterior, pattern)
        of_observed, of_rows = sweep_shard(pattern.chunks, completion.natural)
        statistics += completion.statistics(of_observed.cpu())
        allocation += of_rows.cpu()
    return all_reduce_(statistics), float(all_reduce_(allocation))


def fit_patterns(
    patterns: tuple[Pattern, ...],
    start: MixturePosterior,
    *,
    tol: float = 1e-3,
    max_iter: int = 100,
    reorder: bool = True,
    on_iteration: Callable[[int, Bound], None] | None = None,
) -> FitResult:
    """``fit_batch`` on rows with gaps."""
    weight = sum(pattern.chunks.total_weight for pattern in patterns)
    return ascend(
        lambda posterior: sweep_patterns(patterns, posterior),
        start,
        tolerance=tol * float(all_reduce_(torch.tensor(weight, dtype=torch.float64))),
        max_iter=max_iter,
        reorder=reorder,
        on_iteration=on_iteration,
    )


def log_responsibilities(
    patterns: tuple[Pattern, ...], posterior: MixturePosterior
) -> Float[Tensor, "N K"]:
    """Logarithms of q(c_n = k) of all rows, in their order."""
    return _in_order(patterns, [_log_responsibilities(p, complete(posterior, p)) for p in patterns])


@torch.no_grad()
def fill(
    patterns: tuple[Pattern, ...], posterior: MixturePosterior
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Mean and variance of each entry under q(missing | c) q(c); none where it is observed."""
    means, variances = [], []
    for pattern in patterns:
        completion = complete(posterior, pattern)
        resp = _log_responsibilities(pattern, completion).exp().double()
        z = pattern.chunks.z.double()
        # Of the observed: slope and spread are those of the identity.
        mean, second = (z.new_zeros(len(z), posterior.family.dim) for _ in range(2))
        for k, (slope, offset) in enumerate(zip(completion.slope, completion.offset, strict=True)):
            of_k, spread = z @ slope.mT + offset, completion.spread[k].diagonal()
            if pattern.chunks.var is not None:
                spread = spread + pattern.chunks.var.double() @ slope.square().mT
            mean += resp[:, [k]] * of_k
            second += resp[:, [k]] * (of_k.square() + spread)
        means.append(mean)
        variances.append((second - mean.square()).clamp(min=0))
    dtype = patterns[0].chunks.z.dtype
    return _in_order(patterns, means).to(dtype), _in_order(patterns, variances).to(dtype)


def log_density(posterior: MixturePosterior, z: Float[Tensor, "N D"]) -> Float64[Tensor, " N"]:
    """Log posterior predictive density of what is observed of raw rows."""
    patterns = by_pattern(FullCovariance(posterior.family.dim), z, cache_bytes=0)
    return _in_order(
        patterns, [marginal(posterior, p.observed).log_density(p.chunks.z) for p in patterns]
    )


def marginal(posterior: MixturePosterior, observed: Int64[Tensor, " O"]) -> MixturePosterior:
    """The mixture of some of the features, which predicts what the whole one does of them.

    An inverse Wishart keeps ν - D as features are left out: Murphy (2007).
    """
    prior, family = posterior.prior, FullCovariance(len(observed), posterior.family.reg_covar)
    of_prior = _marginal(prior.components, observed)
    return replace(
        posterior,
        prior=MixturePrior(family, of_prior, prior.concentration, prior.centre[observed]),
        components=_marginal(posterior.components, observed),
    )


def _marginal(params: NormalWishart, observed: Int64[Tensor, " O"]) -> NormalWishart:
    n_left_out = params.mean.shape[1] - len(observed)
    return NormalWishart(
        params.mean[:, observed],
        params.mean_precision,
        params.degrees_of_freedom - n_left_out,
        params.scatter[:, observed][:, :, observed],
    )


@torch.no_grad()
def _log_responsibilities(pattern: Pattern, completion: Completion) -> Float[Tensor, "n K"]:
    parts = []
    for _, phi in pattern.chunks:
        logits = phi @ completion.natural.to(phi).mT
        parts.append(torch.log_softmax(logits, dim=1).cpu())
    return torch.cat(parts)


def _in_order(patterns: tuple[Pattern, ...], parts: list[Tensor]) -> Tensor:
    """What was found pattern by pattern, in the order of the rows."""
    order = torch.cat([pattern.rows for pattern in patterns]).argsort()
    return torch.cat(parts)[order]


def _times(
    matrix: Float64[Tensor, "K a b"], vector: Float64[Tensor, "K b"]
) -> Float64[Tensor, "K a"]:
    return (matrix @ vector[:, :, None])[:, :, 0]


def _square(
    vector: Float64[Tensor, "K d"], matrix: Float64[Tensor, "K d d"]
) -> Float64[Tensor, " K"]:
    return (vector * _times(matrix, vector)).sum(1)
