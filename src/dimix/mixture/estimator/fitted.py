"""What a fitted mixture can be asked: clusters, densities, samples, another cut."""

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

from dimix.mixture.estimator.arguments import check_number
from dimix.mixture.hierarchy import LEAST_ROWS, pool
from dimix.mixture.inference.batch import FitResult
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.search import Move
from dimix.mixture.posterior import MixturePosterior


class FittedMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The side of the estimator that needs nothing but the posterior it was fitted to."""

    posterior_: MixturePosterior
    coarsening: float | str | None
    random_state: int | np.random.RandomState | None
    max_iter: int
    tol: float
    _dtype: torch.dtype

    def predict(self, X: ArrayLike) -> Int64[np.ndarray, " N"]:
        """The most probable cluster of each row; without coarsening, component."""
        labels: Int64[np.ndarray, " N"] = self.predict_proba(X).argmax(axis=1)
        return labels

    def predict_proba(self, X: ArrayLike) -> Float[np.ndarray, "N C"]:
        """Probability of each cluster, the sum over its components, in the dtype of X.

        Without coarsening there is a column for each of the T components.
        """
        responsibilities = self._log_responsibilities(X).exp().numpy()
        if self.coarsening is None:
            return responsibilities
        return pool(responsibilities, self.component_clusters_)

    def cut(
        self, how: str | None = None, *, n_clusters: int | None = None, n_eff: float | None = None
    ) -> Self:
        """Cut ``hierarchy_`` elsewhere, without refitting: "auto", n_clusters=… or n_eff=…."""
        check_is_fitted(self)
        if not hasattr(self, "hierarchy_"):
            raise ValueError("cut needs a hierarchy: fit with coarsening='auto' or N_eff")
        self.component_clusters_ = self.hierarchy_.cut(how, n_clusters=n_clusters, n_eff=n_eff)
        self.n_clusters_ = int(self.component_clusters_.max()) + 1
        return self

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

    def _set_posterior(self, posterior: MixturePosterior) -> None:
        """Take a posterior, and read scikit-learn's attributes off it."""
        family, components = posterior.family, posterior.components
        self.posterior_ = posterior
        self.weights_ = posterior.weights.numpy()
        self.means_ = posterior.means.numpy()
        self.covariances_ = family.covariance(components).numpy()
        self.precisions_ = family.precision(components).numpy()
        self.precisions_cholesky_ = family.precision_cholesky(components).numpy()
        self.component_clusters_ = np.arange(posterior.n_components)
        self.n_clusters_ = int((posterior.sticks.a - 1 >= LEAST_ROWS).sum())

    def _set_result(self, result: FitResult, moves: tuple[Move, ...]) -> None:
        """Take the end of a fit; warn if it did not converge."""
        self._set_posterior(result.posterior)
        self.moves_ = moves
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.bounds[-1].total
        self.lower_bounds_ = [bound.total for bound in result.bounds[1:]]
        if not result.converged and self.max_iter > 0:
            warnings.warn(
                f"the bound still changed by more than tol={self.tol} nats a row after "
                f"max_iter={self.max_iter} updates; raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )
