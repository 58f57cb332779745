"""The infinite mixture behind scikit-learn's face: its parameters, and how it is fitted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from dimix.mixture.estimator.arguments import (
    check_parameters,
    check_var,
    concentration_of,
    make_prior,
    product_dtype,
    reduced,
    sample_covariance,
)
from dimix.mixture.estimator.fitted import FittedMixture
from dimix.mixture.hierarchy import build_hierarchy
from dimix.mixture.inference.batch import collect, sweep
from dimix.mixture.inference.blocks import Blocks, blocks_of
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.inference.memoized import fit_memoized
from dimix.mixture.inference.overview import overview
from dimix.mixture.inference.starts import STARTS
from dimix.mixture.inference.stochastic import StochasticState, stochastic_step
from dimix.mixture.moves.search import MOVES, ImprovedFit, improve
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior, by_size, update


class DirichletProcessGaussianMixture(FittedMixture):
    """An infinite mixture of Gaussians, fitted by variational inference.

    The names and defaults are those of ``sklearn.mixture.BayesianGaussianMixture``. With full
    covariance, the same priors and start, ``moves=False`` and ``reorder=False``, so is the
    fixed point.

    Args:
        n_components: T, the most components there may be. It may exceed the number of rows;
            components that are not needed stay empty. 50 is ample for most data.
        covariance_type: "full", "tied", "diag" or "spherical", each the exact conjugate family.
        tol: stop when an update changes the bound by less than this many nats a row.
        reg_covar: added to the diagonal of each component's covariance in every update.
        max_iter: the most updates of coordinate ascent after the last move.
        n_init: number of starts; the one with the highest bound is kept.
        init_params: "kmeans", "k-means++", "random" or "random_from_data".
        init_components: how many components a start has; None is all of them. Births and
            splits add more.
        weight_concentration_prior: α; a pair (shape, rate) gives it a Gamma prior and learns
            it; None is 1 / T.
        mean_precision_prior: κ₀; None is 1.
        mean_prior: m₀ ``[D]``; None is the mean of the data.
        degrees_of_freedom_prior: ν₀ > D - 1; None is D.
        covariance_prior: W₀⁻¹, ``[D, D]`` (full, tied), ``[D]`` (diag) or a number (spherical);
            None is the covariance of the data. The prior mean of a precision is ν₀ W₀.
        moves: True tries births, splits, merges and deletions, each kept only if the bound
            rises; False none; or some of their names, from "birth", "split", "merge", "delete".
        coarsening: None leaves every component a cluster. A number is N_eff, and "auto" takes
            the widest gap: components are then merged into clusters (``hierarchy_``), and
            ``predict`` and ``predict_proba`` speak of these.
        reorder: sort the components by size at each update, which raises the bound.
        random_state: seed of the starts, of moves and of ``sample``.
        verbose: 1 prints the bound after each update.

    Attributes:
        weights_: E[π_k] ``[T]``, scaled to sum to one.
        means_: E[μ_k] ``[T, D]``.
        precisions_: E[Λ_k], in scikit-learn's shape for the covariance type.
        covariances_: E[Λ_k]⁻¹, of the same shape.
        precisions_cholesky_: upper-triangular U (or its diagonal) with U Uᵀ = E[Λ_k].
        lower_bound_: bound on log p(X) at this fit, in nats, every constant in.
        lower_bounds_: the bound after each update.
        converged_, n_iter_: whether ``tol`` was met, and the number of updates.
        moves_: the moves that were kept, in order.
        n_clusters_: the number of clusters; without coarsening, of components that hold rows.
        component_clusters_: the cluster of each component ``[T]``.
        hierarchy_: the tree over components, if there is coarsening.
        posterior_: q(v, μ, Λ) as one immutable value.
    """

    _stream: StochasticState

    def __init__(
        self,
        n_components: int = 50,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        init_components: int | None = None,
        weight_concentration_prior: float | tuple[float, float] | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        moves: bool | tuple[str, ...] = True,
        coarsening: float | str | None = None,
        reorder: bool = True,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.init_components = init_components
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.moves = moves
        self.coarsening = coarsening
        self.reorder = reorder
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        var: ArrayLike | None = None,
    ) -> Self:
        """Fit to rows ``X [N, D]``, N >= 2; float32 stays float32 unless columns are collinear.

        Rows that do not fit in memory come as a memory map, the path of a .npy or .parquet
        file, or a callable that returns an iterator over arrays ``[n, D]``; they are fitted by
        memoized passes from the fit of a sample, with memory that does not grow with N.

        Args:
            X: rows, or where they come from.
            y: ignored.
            sample_weight: how many times each row counts ``[N]``; None is once.
            var: variances ``[N, D]``, if the rows are Gaussians N(X, diag var).
        """
        check_parameters(self)
        if isinstance(X, str | Path | np.memmap | Blocks) or callable(X):
            return self._fit_blocks(blocks_of(X))
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, rows, dtype=np.float64, ensure_non_negative=True
            )
            rows, weights = rows[weights > 0], weights[weights > 0]
        centre = np.average(rows.astype(np.float64, copy=False), axis=0, weights=weights)
        centred = rows - centre
        prior = self._prior(sample_covariance(centred, self.covariance_type, weights), centre)
        chunks = self._chunks(prior, centred, rows.dtype, var=var, weights=weights)
        result = self._best_of_starts(prior, chunks, check_random_state(self.random_state))
        self._set_result(result, result.moves)
        if self.coarsening is not None:
            self._coarsen(chunks)
        return self

    def partial_fit(self, X: ArrayLike, y: object = None, *, n_rows: float | None = None) -> Self:
        """Take one minibatch of a stream: a stochastic natural-gradient step.

        The first minibatch, which should hold some rows of every kind, gives the priors that
        are None and the start. ``n_rows`` is the number of rows that the stream will have;
        None takes the number seen so far.
        """
        first = not hasattr(self, "_stream")
        if first:
            check_parameters(self)
        rows = validate_data(
            self, X, reset=first, dtype=[np.float64, np.float32], ensure_min_samples=1 + first
        )
        if first:
            self._begin_stream(rows)
        prior = self.posterior_.prior
        chunks = self._chunks(prior, rows - prior.centre.numpy(), rows.dtype)
        state = stochastic_step(self._stream, prior, chunks, n_rows=n_rows, reorder=self.reorder)
        self._stream = state
        self._set_posterior(state.posterior(prior))
        self.n_iter_ = state.step
        return self

    def fit_predict(self, X: ArrayLike, y: object = None) -> Int64[np.ndarray, " N"]:
        """Fit, and label each row with its cluster."""
        return self.fit(X).predict(X)

    def _prior(self, sample: NDArray[np.float64], centre: NDArray[np.float64]) -> MixturePrior:
        concentration, mean_precision = self.weight_concentration_prior, self.mean_precision_prior
        return make_prior(
            sample,
            centre,
            covariance_type=self.covariance_type,
            reg_covar=self.reg_covar,
            concentration=concentration_of(concentration, self.n_components),
            mean_precision=1.0 if mean_precision is None else mean_precision,
            mean=self.mean_prior,
            degrees_of_freedom=self.degrees_of_freedom_prior,
            covariance=self.covariance_prior,
        )

    def _chunks(
        self,
        prior: MixturePrior,
        centred: NDArray[np.float64],
        dtype: Any,
        *,
        var: ArrayLike | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> FeatureChunks:
        """Φ of rows in the dtype that their products need, which is remembered."""
        z = torch.from_numpy(centred.astype(dtype, copy=False))
        self._dtype = product_dtype(centred, z.dtype, self.covariance_type)
        return FeatureChunks(
            prior.family,
            z.to(self._dtype),
            None if var is None else check_var(var, centred.shape).to(self._dtype),
            weights=None if weights is None else torch.from_numpy(weights),
        )

    def _fit_blocks(self, blocks: Blocks) -> Self:
        rng = check_random_state(self.random_state)
        seen = overview(blocks, rng)
        centre, sample = seen.moments.mean, seen.sample
        self.n_features_in_ = len(centre)
        prior = self._prior(reduced(seen.moments.covariance, self.covariance_type), centre)
        chunks = self._chunks(prior, sample - centre, sample.dtype)
        of_sample = self._best_of_starts(prior, chunks, rng)
        result = fit_memoized(
            blocks,
            of_sample.posterior,
            tol=self.tol,
            max_iter=self.max_iter,
            reorder=self.reorder,
            dtype=self._dtype,
            on_iteration=self._report(),
        )
        self._set_result(result, of_sample.moves)
        if self.coarsening is not None:
            self._coarsen(chunks)
        return self

    def _begin_stream(self, rows: NDArray[Any]) -> None:
        centre = rows.mean(axis=0, dtype=np.float64)
        centred = rows - centre
        prior = self._prior(sample_covariance(centred, self.covariance_type), centre)
        chunks = self._chunks(prior, centred, rows.dtype)
        start = self._start(prior, chunks, check_random_state(self.random_state))
        statistics, _ = sweep(chunks, start)
        self.posterior_ = update(prior, statistics)
        self._stream = StochasticState(statistics)

    def _best_of_starts(
        self, prior: MixturePrior, chunks: FeatureChunks, rng: np.random.RandomState
    ) -> ImprovedFit:
        results = [
            improve(
                chunks,
                self._start(prior, chunks, rng),
                rng,
                moves=MOVES if self.moves is True else self.moves or (),
                tol=self.tol,
                max_iter=self.max_iter,
                reorder=self.reorder,
                on_iteration=self._report(),
            )
            for _ in range(self.n_init)
        ]
        return max(results, key=lambda result: result.bounds[-1].total)

    def _start(
        self, prior: MixturePrior, chunks: FeatureChunks, rng: np.random.RandomState
    ) -> MixturePosterior:
        n_start = min(self.init_components or self.n_components, self.n_components)
        responsibilities = STARTS[self.init_params](chunks.z.numpy(), n_start, rng)
        statistics = collect(chunks, torch.from_numpy(responsibilities))
        empty = statistics.new_zeros(self.n_components - n_start, statistics.shape[1])
        if self.reorder:
            statistics = by_size(statistics)
        return update(prior, torch.cat([statistics, empty]))

    def _report(self) -> Callable[[int, Bound], None] | None:
        return _print_bound if self.verbose else None

    def _coarsen(self, chunks: FeatureChunks) -> None:
        self.hierarchy_ = build_hierarchy(chunks, self.posterior_)
        auto = self.coarsening == "auto"
        self.cut("auto") if auto else self.cut(n_eff=float(self.coarsening or 0))


def _print_bound(n_iter: int, bound: Bound) -> None:
    print(f"update {n_iter}: bound {bound.total:.6g} nats")
