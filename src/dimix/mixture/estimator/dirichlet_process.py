"""The infinite mixture behind scikit-learn's face: its parameters, and how it is fitted."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from dimix.mixture.descent import hierarchy_of_stream
from dimix.mixture.estimator.arguments import (
    check_none_in_blocks,
    check_number,
    check_parameters,
    check_same_mixture,
    check_var,
    device_of,
    width_of,
)
from dimix.mixture.estimator.encoding import Ascent, Data, Encoding
from dimix.mixture.estimator.fitted import FittedMixture
from dimix.mixture.estimator.learned import kept_prior, learned_prior
from dimix.mixture.estimator.neighbours import local_covariance
from dimix.mixture.estimator.prior import check_prior, prior_of
from dimix.mixture.estimator.progress import Progress, print_end
from dimix.mixture.estimator.rows import (
    Rows,
    check_spread,
    has_gaps,
    moments,
    reduced,
    sample_of,
    total_weight,
    warn_of_blur,
    warn_of_small_scale,
)
from dimix.mixture.estimator.seen import Seen
from dimix.mixture.hierarchy import Hierarchy
from dimix.mixture.inference.batch import sweep
from dimix.mixture.inference.blocks import Blocks, blocks_of, check_range, is_read_in_blocks
from dimix.mixture.inference.distributed import check_same, from_first, in_use, is_first, together
from dimix.mixture.inference.memoized import fit_memoized
from dimix.mixture.inference.overview import overview
from dimix.mixture.inference.starts import carried_over, start_from
from dimix.mixture.inference.stochastic import StochasticState, stochastic_step
from dimix.mixture.moves.search import MOVES, ImprovedFit, best_of
from dimix.mixture.posterior import MixturePosterior, MixturePrior, update

BEGINS_ANEW = (
    "partial_fit begins a stream with this minibatch, and what fit found is forgotten: a stream "
    "takes all its rows by partial_fit"
)


class DirichletProcessGaussianMixture(FittedMixture):
    """An infinite mixture of Gaussians, fitted by variational inference.

    The names are those of ``sklearn.mixture.BayesianGaussianMixture``, and so are the defaults but
    for the prior, which is scikit-learn's with ``covariance_prior="empirical"``. With full
    covariance, the same prior and start, ``moves=False`` and ``reorder=False``, so is the fixed
    point.

    Args:
        n_components: T, the most components there may be. It may exceed the number of rows;
            components that are not needed stay empty. 50 is ample for most data.
        covariance_type: "full", "tied", "diag" or "spherical", each the exact conjugate family.
        tol: stop when an update changes the bound by less than this many nats a row, and when
            three rounds of moves together with their updates have raised it by less, each.
        reg_covar: added to the diagonal of each component's covariance in every update, in the
            units of X squared: of columns that vary by less, give a smaller one.
        max_iter: the most updates of coordinate ascent after the last move.
        n_init: number of starts; the one with the highest bound is kept.
        init_params: "kmeans", "k-means++", "random" or "random_from_data".
        init_components: how many components a start has; None is all of them. Births and
            splits add more.
        weight_concentration_prior: α; a pair (shape, rate) gives it a Gamma prior and learns
            it; None is 1 / T.
        mean_precision_prior: κ₀; None lets means vary as the data or the first components do,
            and is 1 if the ``covariance_prior`` is numbers or "empirical".
        mean_prior: m₀ ``[D]``; None is the mean of the data.
        degrees_of_freedom_prior: ν₀ > D - 1; None is D + 2 (full, tied) or 3, or more if it is
            learned, and D if the ``covariance_prior`` is numbers or "empirical".
        covariance_prior: W₀⁻¹, ``[D, D]`` (full, tied), ``[D]`` (diag) or a number (spherical);
            "empirical", scikit-learn's default, is the covariance S of the data; "local" is ν₀
            times C + S / T, where C is how rows vary about their tenth neighbours: components
            are expected to be as wide as a neighbourhood; "learned" makes a first fit so, and
            takes W₀, κ₀ and ν₀ from its components, if they are two or more; None is "learned"
            without coarsening, and "local" with it, with "tied" and for a stream. The prior mean
            of a precision is ν₀ W₀.
        moves: True tries births, splits, merges and deletions, each kept only if the bound
            rises; False none; or some of their names, from "birth", "split", "merge", "delete".
        coarsening: None leaves every component a cluster. A number is N_eff, and "auto" takes
            the widest gap: components are then merged into clusters (``hierarchy_``), and
            ``predict`` and ``predict_proba`` speak of these.
        reorder: sort the components by size at each update, which raises the bound.
        random_state: seed of the starts, of moves and of ``sample``.
        warm_start: start the next fit from the last posterior, moved to the centre of the new
            rows, in place of ``n_init`` starts.
        verbose: 1 prints the bound at every ``verbose_interval``-th update, 2 its change and
            the seconds it took as well.
        verbose_interval: updates from one line to the next.
        allow_missing: take NaN as missing (at random). "diag" is exact, with counts for each
            feature; "full" has a Gaussian over what is missing for each component, and its
            moves look at the rows as the last fit fills them in, kept if the bound of what is
            observed rises. Other types, rows on disk and, with "full", ``partial_fit`` take
            whole rows only.
        device: where Φ is built and multiplied; None is the CPU. Results are on the CPU.

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
        n_empty_: the number of components with less than half a row.
        component_labels_: the cluster of each component ``[T]``.
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
        warm_start: bool = False,
        verbose: int | bool = 0,
        verbose_interval: int = 10,
        allow_missing: bool = False,
        device: str | torch.device | None = None,
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
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.allow_missing = allow_missing
        self.device = device

    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        var: ArrayLike | None = None,
    ) -> Self:
        """Fit to rows ``X [N, D]``, N >= 2; float32 stays float32 where it is exact enough.

        Rows that do not fit in memory come as a memory map, the path of a .npy or .parquet
        file, or a callable that returns an iterator over arrays ``[n, D]``; they are fitted by
        memoized passes from the fit of a sample, with memory that does not grow with N.

        Under torch.distributed every rank calls this with rows of its own, and gets the mixture
        of all rows. Start and moves are made on rank 0, from the rows of all ranks or, beyond
        20,000, about as many drawn at random; coordinate ascent over all rows follows. The
        others wait, within the timeout of the process group.

        Args:
            X: rows, or where they come from; of a .parquet file all columns but pandas' index.
            y: ignored.
            sample_weight: how many times each row counts ``[N]``, for an array in memory.
            var: variances ``[N, D]``, if the rows are Gaussians N(X, diag var); in memory too.
        """
        check_parameters(self)
        rng = check_random_state(self.random_state)
        if is_read_in_blocks(X):
            check_none_in_blocks(sample_weight=sample_weight, var=var)
            return self._fit_blocks(blocks_of(X), rng)
        with together():
            rows = self._rows(X, sample_weight, var)
        encoding = self._encoding(rows, rng)
        data = encoding(rows)
        few = sample_of(rows, rng) if in_use() else None
        result = best_of(self._fit_once(encoding, data, few, rng) for _ in range(self._n_starts()))
        total = total_weight(rows)
        return self._finish(
            encoding, result, lambda: data if few is None else encoding(few.standing_for(total))
        )

    def partial_fit(self, X: ArrayLike, y: object = None, *, n_rows: float | None = None) -> Self:
        """Take one minibatch of a stream: a stochastic natural-gradient step.

        The first minibatch, which should hold some rows of every kind, gives the priors that
        are None and the start, which with ``warm_start`` is an earlier fit; else a stream does
        not go on from ``fit``. ``n_rows`` is the number of rows that the stream will have, 1 or
        more; None takes the number seen so far. Under
        torch.distributed every rank brings a part of each minibatch. With ``coarsening``, which
        components share rows is read off the last minibatch. There are no moves here, so that a
        stream keeps the components it began with, parts of clusters among them: take
        ``coarsening="auto"``.
        """
        first = not hasattr(self, "_stream")
        if n_rows is not None:
            check_number("n_rows", n_rows, low=1)
        if first:
            check_parameters(self)
            if hasattr(self, "lower_bound_") and not self.warm_start:
                warnings.warn(BEGINS_ANEW, stacklevel=2)
        with together():
            rows = self._rows(X, None, None, reset=first)
            if self.covariance_type == "full" and np.isnan(rows.x).any():
                raise ValueError(
                    "partial_fit takes missing values with covariance_type='diag', not 'full': "
                    "fit takes them with both"
                )
        if first:
            self._begin_stream(rows)
        prior = self.posterior_.prior
        batch = Encoding(prior, self._dtype, device_of(self.device))(rows).chunks
        state = stochastic_step(self._stream, prior, batch, n_rows=n_rows, reorder=self.reorder)
        self._stream = state
        self._set_posterior(state.posterior(prior))
        self.n_iter_ = state.step
        return self._coarsen(lambda: hierarchy_of_stream(batch, self.posterior_, state.statistics))

    def fit_predict(
        self,
        X: Any,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        var: ArrayLike | None = None,
    ) -> Int64[np.ndarray, " N"]:
        """Fit, and label each row with its cluster."""
        return self.fit(X, sample_weight=sample_weight, var=var).predict(X)

    def _rows(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        var: ArrayLike | None,
        *,
        reset: bool = True,
    ) -> Rows:
        """The rows of this rank, checked; those of weight 0 are left out."""
        least = 2 if reset and not in_use() else 1
        x = self._validated(X, reset=reset and not self._is_warm(), ensure_min_samples=least)
        rows = Rows(x, None if var is None else check_var(var, x))
        check_range(x, len(x), "X")
        if reset:
            warn_of_blur(x, "X")
        if sample_weight is None:
            return rows
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        return replace(rows, weights=weights)[weights > 0]

    def _encoding(self, rows: Rows, rng: np.random.RandomState | None = None) -> Encoding:
        """How rows become data: the prior, given the moments of the rows of all ranks.

        With ``rng`` the prior is learned, where ``width_of`` says so.
        """
        check_same("the number of columns of X", rows.x.shape[1])
        check_prior(self, rows.x.shape[1])
        centre, covariance = moments(rows, self.covariance_type)
        if rows.var is None:
            warn_of_small_scale(covariance, self.reg_covar)
        gaps = self.allow_missing and self.covariance_type == "full" and has_gaps(rows)
        return self._encoding_of(Seen(centre, covariance, rows, gaps=gaps), rng)

    def _encoding_of(self, seen: Seen, rng: np.random.RandomState | None) -> Encoding:
        width, kind, device = width_of(self), self.covariance_type, device_of(self.device)
        if width is not None and self.reg_covar == 0:
            check_spread(seen.rows.x, seen.covariance)
        few = seen.few() if width in ("learned", "local") else None
        encoding = seen.encoding(self._expected_prior(seen, few), kind, device)
        if self._is_warm():
            check_same_mixture(self.posterior_, encoding.prior.family, self.n_components)
        if rng is None or width != "learned":
            return encoding
        learned = from_first(partial(self._learned_prior, encoding, few, rng))
        return replace(seen.encoding(learned, kind, device), learned=True)

    def _expected_prior(self, seen: Seen, few: Rows | None) -> MixturePrior:
        """The prior that the arguments make, before any fit."""

        def local() -> Float64[np.ndarray, "*DD"]:
            assert few is not None  # on rank 0
            return local_covariance(few, self.covariance_type)

        return prior_of(self, seen.centre, seen.covariance, lambda: from_first(local))

    def _learned_prior(
        self, encoding: Encoding, few: Rows | None, rng: np.random.RandomState
    ) -> MixturePrior:
        """On rank 0, the prior that the components of a first fit make, or made before."""
        assert few is not None
        given = {
            "mean_precision": self.mean_precision_prior,
            "degrees_of_freedom": self.degrees_of_freedom_prior,
        }
        if self._is_warm() and self._prior_is_learned:
            return kept_prior(self.posterior_.prior, encoding.prior, **given)
        data = encoding(few)
        first = data.fit(self._start(encoding.prior, data, rng), rng, Ascent(moves=self._moves()))
        return learned_prior(first.posterior, **given)

    def _fit_once(
        self, encoding: Encoding, data: Data, few: Rows | None, rng: np.random.RandomState
    ) -> ImprovedFit:
        """From one start; over several ranks, start and moves are those of a few of the rows."""
        if not in_use():
            return self._fit_from_start(encoding.prior, data, rng)

        def draft() -> ImprovedFit:
            assert few is not None  # on rank 0
            if self.moves:
                return self._fit_from_start(encoding.prior, encoding(few), rng)
            start = self._start(encoding.prior, encoding(few), rng)
            return ImprovedFit(start, (), converged=False, n_iter=0, moves=())

        drafted = from_first(draft)
        result = data.fit(drafted.posterior, rng, replace(self._ascent(), moves=()))
        return replace(result, moves=drafted.moves)

    def _fit_blocks(self, blocks: Blocks, rng: np.random.RandomState) -> Self:
        seen = overview(blocks, rng)
        check_prior(self, seen.sample.shape[1])
        covariance = reduced(seen.moments.covariance, self.covariance_type)
        warn_of_small_scale(covariance, self.reg_covar)
        warn_of_blur(seen.sample, f"a sample of {blocks.name}")
        rows, centre = Rows(seen.sample), seen.moments.mean
        encoding = self._encoding_of(Seen(centre, covariance, rows, seen.n_rows), rng)
        self.n_features_in_ = len(centre)
        self.__dict__.pop("feature_names_in_", None)
        if blocks.columns is not None:
            self.feature_names_in_ = np.array(blocks.columns, dtype=object)
        few = sample_of(rows, rng, seen.n_rows)

        def draft() -> ImprovedFit:
            assert few is not None  # on rank 0
            data, n_starts = encoding(few), self._n_starts()
            return best_of(self._fit_from_start(encoding.prior, data, rng) for _ in range(n_starts))

        drafted = from_first(draft)
        result = fit_memoized(
            blocks,
            drafted.posterior,
            tol=self.tol,
            max_iter=self.max_iter,
            reorder=self.reorder,
            dtype=encoding.dtype,
            device=encoding.device,
            on_iteration=self._ascent().on_iteration,
        )

        def sample() -> Data:
            assert few is not None  # on rank 0
            return encoding(few.standing_for(seen.moments.count))

        return self._finish(encoding, ImprovedFit(**vars(result), moves=drafted.moves), sample)

    def _begin_stream(self, rows: Rows) -> None:
        encoding, rng = self._encoding(rows), check_random_state(self.random_state)
        few = sample_of(rows, rng) if in_use() else rows

        def draft() -> MixturePosterior:
            assert few is not None  # on rank 0
            return self._start(encoding.prior, encoding(few), rng)

        statistics, _ = sweep(encoding(rows).chunks, from_first(draft))
        self._dtype, self._prior_is_learned = encoding.dtype, encoding.learned
        self.posterior_ = update(encoding.prior, statistics)
        self._stream = StochasticState(statistics)

    def _fit_from_start(
        self, prior: MixturePrior, data: Data, rng: np.random.RandomState
    ) -> ImprovedFit:
        return data.fit(self._start(prior, data, rng), rng, self._ascent())

    def _start(
        self, prior: MixturePrior, data: Data, rng: np.random.RandomState
    ) -> MixturePosterior:
        if self._is_warm():
            return carried_over(self.posterior_, prior)
        return start_from(
            data.chunks,
            prior,
            kind=self.init_params,
            n_start=min(self.init_components or self.n_components, self.n_components),
            n_components=self.n_components,
            rng=rng,
            reorder=self.reorder,
        )

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "posterior_")

    def _n_starts(self) -> int:
        return 1 if self._is_warm() else self.n_init

    def _ascent(self) -> Ascent:
        says = self.verbose and is_first()
        return Ascent(
            tol=self.tol,
            max_iter=self.max_iter,
            reorder=self.reorder,
            moves=self._moves(),
            on_iteration=Progress(self.verbose_interval, self.verbose > 1) if says else None,
        )

    def _moves(self) -> tuple[str, ...]:
        return MOVES if self.moves is True else self.moves or ()

    def _finish(self, encoding: Encoding, result: ImprovedFit, sample: Callable[[], Data]) -> Self:
        """Take the end of a fit, and coarsen the mixture on ``sample``, of rank 0."""
        self.__dict__.pop("_stream", None)  # a stream would go on from another centre
        self._dtype, self._prior_is_learned = encoding.dtype, encoding.learned
        self._set_result(result, result.moves)
        if self.verbose and is_first():
            print_end(result)
        return self._coarsen(lambda: sample().hierarchy(self.posterior_))

    def _coarsen(self, build: Callable[[], Hierarchy]) -> Self:
        """Cut the tree that ``build`` makes on rank 0, if there is to be one."""
        if self.coarsening is None:
            return self
        self.hierarchy_ = from_first(build)
        auto = self.coarsening == "auto"
        return self.cut("auto") if auto else self.cut(n_eff=float(self.coarsening))
