"""``DirichletProcessGaussianMixture``: the infinite mixture behind scikit-learn's interface."""

import warnings
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from dimix.mixture.arguments import FAMILIES, check_choice, check_number, make_prior, product_dtype
from dimix.mixture.inference import FeatureChunks, FitResult, collect, fit_batch
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior, by_size, update
from dimix.mixture.starts import STARTS


class DirichletProcessGaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """An infinite mixture of Gaussians, fitted by variational inference.

    The names and defaults are those of ``sklearn.mixture.BayesianGaussianMixture``. With full
    covariance, the same priors and start, and ``reorder=False``, so is the fixed point.

    Args:
        n_components: T, the most components there may be. It may exceed the number of rows;
            components that are not needed stay empty. 50 is ample for most data.
        covariance_type: "full" or "diag" (exact conjugate: a Normal-Gamma a feature).
        tol: stop when an update changes the bound by less than this many nats a row.
        reg_covar: added to the diagonal of each component's covariance in every update.
        max_iter: the most updates of a start.
        n_init: number of starts; the one with the highest bound is kept.
        init_params: "kmeans", "k-means++", "random" or "random_from_data".
        weight_concentration_prior: α; None is 1 / T.
        mean_precision_prior: κ₀; None is 1.
        mean_prior: m₀ ``[D]``; None is the mean of the data.
        degrees_of_freedom_prior: ν₀ > D - 1; None is D.
        covariance_prior: W₀⁻¹, ``[D, D]`` (full) or ``[D]`` (diag); None is the covariance of
            the data. The prior mean of a precision is ν₀ W₀.
        reorder: sort the components by size at each update, which raises the bound.
        random_state: seed of the starts and of ``sample``.
        verbose: 1 prints the bound after each update.

    Attributes:
        weights_: E[π_k] ``[T]``, scaled to sum to one.
        means_: E[μ_k] ``[T, D]``.
        precisions_: E[Λ_k] ``[T, D, D]`` or ``[T, D]``.
        covariances_: E[Λ_k]⁻¹, of the same shape.
        precisions_cholesky_: upper-triangular U (or its diagonal) with U Uᵀ = E[Λ_k].
        lower_bound_: bound on log p(X) at this fit, in nats, every constant in.
        lower_bounds_: the bound after each update.
        converged_, n_iter_: whether ``tol`` was met, and the number of updates.
        posterior_: q(v, μ, Λ) as one immutable value.
    """

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
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
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
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.reorder = reorder
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit to rows ``X [N, D]``, N >= 2; float32 stays float32 unless columns are collinear."""
        self._check_arguments()
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        centre = rows.mean(axis=0, dtype=np.float64)
        centred = rows - centre
        prior = self._make_prior(centred, centre)
        z = torch.from_numpy(centred.astype(rows.dtype, copy=False))
        self._dtype = product_dtype(centred, z.dtype, self.covariance_type)
        chunks = FeatureChunks(prior.family, z.to(self._dtype))
        result = self._best_of_starts(prior, chunks)
        if not result.converged and self.max_iter > 0:
            warnings.warn(
                f"the bound still changed by more than tol={self.tol} nats a row after "
                f"max_iter={self.max_iter} updates; raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._set_result(result)
        return self

    def fit_predict(self, X: ArrayLike, y: object = None) -> Int64[np.ndarray, " N"]:
        """Fit, and label each row with its component."""
        return self.fit(X).predict(X)

    def predict(self, X: ArrayLike) -> Int64[np.ndarray, " N"]:
        """The most responsible component of each row."""
        return self._log_responsibilities(X).argmax(dim=1).numpy()

    def predict_proba(self, X: ArrayLike) -> Float[np.ndarray, "N K"]:
        """q(c_n = k): the responsibilities of the T components, in the dtype of X."""
        return self._log_responsibilities(X).exp().numpy()

    def score_samples(self, X: ArrayLike) -> Float64[np.ndarray, " N"]:
        """Log posterior predictive density of each row, in nats: a mixture of Student t's."""
        z = self._checked(X)
        n_rows = max(1, 2**20 // (z.shape[1] + len(self.weights_)))
        return torch.cat(
            [self.posterior_.log_density(part) for part in torch.split(z, n_rows)]
        ).numpy()

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean of ``score_samples`` over the rows; higher is better."""
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1
    ) -> tuple[Float64[np.ndarray, "N D"], Int64[np.ndarray, " N"]]:
        """Draw rows, and the component of each, grouped by component.

        Weights are ``weights_``; the rows of component k come from
        N(``means_[k]``, ``covariances_[k]``), not from its posterior predictive.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, low=1, integer=True)
        rng = check_random_state(self.random_state)
        counts = rng.multinomial(n_samples, self.weights_)
        labels = np.repeat(np.arange(len(counts)), counts)
        noise = torch.from_numpy(rng.standard_normal((n_samples, self.n_features_in_)))
        posterior = self.posterior_
        draws = [
            posterior.family.draw(posterior.components, k, part)
            for k, part in enumerate(torch.split(noise, counts.tolist()))
        ]
        return (torch.cat(draws) + posterior.prior.centre).numpy(), labels

    def log_responsibilities(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Log responsibilities of a tensor of rows, differentiable in z and in its dtype."""
        check_is_fitted(self)
        phi = self.posterior_.features(z.to(torch.promote_types(z.dtype, self._dtype)))
        return self.posterior_.log_responsibilities(phi).to(z.dtype)

    def _log_responsibilities(self, X: ArrayLike) -> Float[Tensor, "N K"]:
        z, posterior = self._checked(X), self.posterior_
        centred = posterior.centred(z.to(torch.promote_types(z.dtype, self._dtype)))
        chunks = FeatureChunks(posterior.family, centred, cache_bytes=0)
        return torch.cat([posterior.log_responsibilities(phi).to(z.dtype) for _, phi in chunks])

    def _checked(self, X: ArrayLike) -> Float[Tensor, "N D"]:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return torch.tensor(rows)

    def _check_arguments(self) -> None:
        check_number("n_components", self.n_components, low=1, integer=True)
        check_choice("covariance_type", self.covariance_type, tuple(FAMILIES))
        check_choice("init_params", self.init_params, tuple(STARTS))
        check_number("tol", self.tol, low=0)
        check_number("reg_covar", self.reg_covar, low=0)
        check_number("max_iter", self.max_iter, low=0, integer=True)
        check_number("n_init", self.n_init, low=1, integer=True)
        for name in ("weight_concentration_prior", "mean_precision_prior"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=0, closed=False)

    def _make_prior(
        self, centred: Float64[np.ndarray, "N D"], centre: Float64[np.ndarray, " D"]
    ) -> MixturePrior:
        concentration, mean_precision = self.weight_concentration_prior, self.mean_precision_prior
        return make_prior(
            centred,
            centre,
            covariance_type=self.covariance_type,
            reg_covar=self.reg_covar,
            concentration=1 / self.n_components if concentration is None else concentration,
            mean_precision=1.0 if mean_precision is None else mean_precision,
            mean=self.mean_prior,
            degrees_of_freedom=self.degrees_of_freedom_prior,
            covariance=self.covariance_prior,
        )

    def _best_of_starts(self, prior: MixturePrior, chunks: FeatureChunks) -> FitResult:
        rng = check_random_state(self.random_state)
        results = [self._fit_once(prior, chunks, rng) for _ in range(self.n_init)]
        return max(results, key=lambda result: result.bounds[-1].total)

    def _fit_once(
        self, prior: MixturePrior, chunks: FeatureChunks, rng: np.random.RandomState
    ) -> FitResult:
        responsibilities = STARTS[self.init_params](chunks.z.numpy(), self.n_components, rng)
        statistics = collect(chunks, torch.from_numpy(responsibilities))
        return fit_batch(
            chunks,
            update(prior, by_size(statistics) if self.reorder else statistics),
            tol=self.tol,
            max_iter=self.max_iter,
            reorder=self.reorder,
            on_iteration=_print_bound if self.verbose else None,
        )

    def _set_result(self, result: FitResult) -> None:
        posterior = result.posterior
        self.posterior_: MixturePosterior = posterior
        self.weights_ = posterior.weights.numpy()
        self.means_ = posterior.means.numpy()
        self.covariances_ = posterior.family.covariance(posterior.components).numpy()
        self.precisions_ = posterior.family.precision(posterior.components).numpy()
        self.precisions_cholesky_ = posterior.family.precision_cholesky(
            posterior.components
        ).numpy()
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.bounds[-1].total
        self.lower_bounds_ = [bound.total for bound in result.bounds[1:]]


def _print_bound(n_iter: int, bound: Bound) -> None:
    print(f"update {n_iter}: bound {bound.total:.6g} nats")
