"""What a fitted mixture can be asked: clusters, densities, samples, another cut."""

import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from dimix.mixture.estimator import saved
from dimix.mixture.estimator.arguments import (
    check_choice,
    check_number,
    check_numeric,
    check_observed,
    device_of,
)
from dimix.mixture.families import FullCovariance
from dimix.mixture.gaps.full import by_pattern, log_density, log_responsibilities
from dimix.mixture.hierarchy import LEAST_ROWS, pool
from dimix.mixture.inference.batch import FitResult
from dimix.mixture.inference.blocks import (
    BlockSource,
    blocks_of,
    check_range,
    frames_of,
    is_read_in_blocks,
)
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.search import Move
from dimix.mixture.posterior import MixturePosterior

OF_ANOTHER = ("hierarchy_", "moves_", "converged_", "n_iter_", "lower_bound_", "lower_bounds_")
"""What an earlier fit may have left, and a stream or a fit without coarsening does not set."""

FAR = 100.0
"""Deviations of a component, as one column tells them, whose square float32 blurs too much."""

Asked = TypeVar("Asked", bound=Callable[..., Any])


def in_blocks_too(method: Asked) -> Asked:
    """The method, also of rows that are read block after block, as ``fit`` takes them."""

    @wraps(method)
    def asked(self: Any, X: Any) -> Any:
        if not is_read_in_blocks(X) or (self.allow_missing and isinstance(X, np.ndarray)):
            return method(self, X)
        check_is_fitted(self)
        return np.concatenate([method(self, block) for block in frames_of(blocks_of(X))])

    return cast(Asked, asked)


class FittedMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The side of the estimator that needs nothing but the posterior it was fitted to."""

    posterior_: MixturePosterior
    coarsening: float | str | None
    random_state: int | np.random.RandomState | None
    max_iter: int
    tol: float
    allow_missing: bool
    device: str | torch.device | None
    _dtype: torch.dtype
    _prior_is_learned: bool

    @in_blocks_too
    def predict(self, X: BlockSource) -> Int64[np.ndarray, " N"]:
        """The most probable cluster of each row; without coarsening, component."""
        labels: Int64[np.ndarray, " N"] = self.predict_proba(X).argmax(axis=1)
        return labels

    @in_blocks_too
    def predict_proba(self, X: BlockSource) -> Float[np.ndarray, "N C"]:
        """Probability of each cluster, the sum over its components, in the dtype of X.

        Without coarsening there is a column for each of the T components.
        """
        responsibilities = self.predict_components_proba(X)
        if self.coarsening is None:
            return responsibilities
        return pool(responsibilities, self.component_labels_)

    @in_blocks_too
    def predict_components(self, X: BlockSource) -> Int64[np.ndarray, " N"]:
        """The most probable component of each row, whether there is coarsening or not."""
        labels: Int64[np.ndarray, " N"] = self.predict_components_proba(X).argmax(axis=1)
        return labels

    @in_blocks_too
    def predict_components_proba(self, X: BlockSource) -> Float[np.ndarray, "N T"]:
        """Probability of each of the T components, whether there is coarsening or not."""
        return self._log_responsibilities(X).exp().numpy()

    def cut(
        self, how: str | None = None, *, n_clusters: int | None = None, n_eff: float | None = None
    ) -> Self:
        """Cut ``hierarchy_`` elsewhere, without refitting: "auto", n_clusters=… or n_eff=…."""
        check_is_fitted(self)
        if not hasattr(self, "hierarchy_"):
            raise ValueError("cut needs a hierarchy: fit with coarsening='auto' or N_eff")
        self.component_labels_ = self.hierarchy_.cut(how, n_clusters=n_clusters, n_eff=n_eff)
        self.n_clusters_ = int(self.component_labels_.max()) + 1
        return self

    @in_blocks_too
    def score_samples(self, X: BlockSource) -> Float64[np.ndarray, " N"]:
        """Log posterior predictive density of each row, in nats: a mixture of Student t's.

        Of a row with missing values it is the density of what is observed.
        """
        z = self._checked(X)
        if self._has_gaps(z):
            return log_density(self.posterior_, z).numpy()
        n_rows = max(1, 2**20 // (z.shape[1] + len(self.weights_)))
        return torch.cat(
            [self.posterior_.log_density(part) for part in torch.split(z, n_rows)]
        ).numpy()

    def score(self, X: BlockSource, y: object = None) -> float:
        """Mean of ``score_samples`` over the rows; higher is better."""
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Float64[np.ndarray, "N D"], Int64[np.ndarray, " N"]]:
        """Draw rows, all of one cluster if it is given; and the component of each.

        They are grouped by component. Weights are ``weights_``; the rows of component k come
        from N(``means_[k]``, ``covariances_[k]``), not from its posterior predictive.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, low=1, integer=True)
        weights = self.weights_
        if cluster is not None:
            check_choice("cluster", cluster, tuple(range(self.component_labels_.max() + 1)))
            weights = np.where(self.component_labels_ == cluster, weights, 0.0)
            if weights.sum() == 0:
                raise ValueError(f"cluster must be one that has weight, and {cluster} has none")
            weights /= weights.sum()
        rng = check_random_state(self.random_state)
        counts = rng.multinomial(n_samples, weights)
        labels = np.repeat(np.arange(len(counts)), counts)
        noise = torch.from_numpy(rng.standard_normal((n_samples, self.n_features_in_)))
        posterior = self.posterior_
        draws = [
            posterior.family.draw(posterior.components, k, part)
            for k, part in enumerate(torch.split(noise, counts.tolist()))
        ]
        return (torch.cat(draws) + posterior.prior.centre).numpy(), labels

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Save the fitted mixture as a folder of JSON and safetensors, for ``dimix.load``.

        The folder appears whole or not at all. What was fitted comes back to the bit, and so
        does every answer, a stream's next ``partial_fit`` included.

        Args:
            folder: where to; the folders above it are made.
            overwrite: replace a saved model; what is not one is never replaced.

        Raises:
            FileExistsError: the folder exists, and is not a saved model or not to be overwritten.
            ValueError: a parameter is no number, text or array; a RandomState, for one.
        """
        saved.write(self, folder, overwrite=overwrite)

    def log_responsibilities(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Log responsibilities of a tensor of rows, differentiable in z and in its dtype."""
        check_is_fitted(self)
        phi = self.posterior_.features(z.to(self._dtype_for(z)))
        return self.posterior_.log_responsibilities(phi).to(z.dtype)

    def _log_responsibilities(self, X: Any) -> Float[Tensor, "N K"]:
        z, posterior = self._checked(X), self.posterior_
        centred = posterior.centred(z.to(self._dtype_for(z)))
        device = device_of(self.device)
        if self._has_gaps(z):
            family = FullCovariance(z.shape[1])
            patterns = by_pattern(family, centred, device=device, cache_bytes=0)
            return log_responsibilities(patterns, posterior).to(z.dtype)
        chunks = FeatureChunks(posterior.family, centred, device=device, cache_bytes=0)
        return torch.cat(
            [posterior.log_responsibilities(phi).to("cpu", z.dtype) for _, phi in chunks]
        )

    def _dtype_for(self, z: Float[Tensor, "N D"]) -> torch.dtype:
        """For products with Φ of these rows: float64 where some are too far for float32."""
        dtype, posterior = torch.promote_types(z.dtype, self._dtype), self.posterior_
        if dtype == torch.float64 or not len(z):
            return dtype
        distance = posterior.centred(z.detach()).abs().nan_to_num()
        most = distance.amax(0).double().cpu().diag()
        below, here, above = (
            posterior.logits(posterior.family.features(z)) for z in (-most, 0 * most, most)
        )
        squared_deviations = 2 * here - below - above  # a logit's curvature is its precision
        return torch.float64 if bool((squared_deviations > FAR**2).any()) else dtype

    def _has_gaps(self, z: Float[Tensor, "N D"]) -> bool:
        """Whether rows lack values that covary with those they have."""
        return type(self.posterior_.family) is FullCovariance and bool(z.isnan().any())

    def _checked(self, X: Any) -> Float[Tensor, "N D"]:
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        check_range(rows, 1, "X")
        return torch.from_numpy(np.array(rows, order="C"))

    def _validated(
        self, X: ArrayLike, *, reset: bool, ensure_min_samples: int = 1
    ) -> Float[np.ndarray, "N D"]:
        """Rows as float32 or float64, NaN only if it may be and never a whole row of it."""
        check_numeric(X)
        try:
            rows: Float[np.ndarray, "N D"] = validate_data(
                self,
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                ensure_all_finite="allow-nan" if self.allow_missing else True,
                ensure_min_samples=ensure_min_samples,
            )
        except ValueError as error:
            if "contains NaN" not in str(error):
                raise
            raise ValueError(
                "Input X contains NaN: allow_missing=True takes it as missing, with "
                "covariance_type 'full' and 'diag'"
            ) from error
        if self.allow_missing:
            check_observed(rows)
        return rows

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may expect: NaN is welcome if it means missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.allow_missing
        return tags

    def _set_posterior(self, posterior: MixturePosterior) -> None:
        """Take a posterior, and read scikit-learn's attributes off it."""
        for name in OF_ANOTHER:
            self.__dict__.pop(name, None)
        family, components = posterior.family, posterior.components
        self.posterior_ = posterior
        self.weights_ = posterior.weights.numpy()
        self.means_ = posterior.means.numpy()
        self.covariances_ = family.covariance(components).numpy()
        self.precisions_ = family.precision(components).numpy()
        self.precisions_cholesky_ = family.precision_cholesky(components).numpy()
        self.component_labels_ = np.arange(posterior.n_components)
        self.n_clusters_ = int((posterior.counts >= LEAST_ROWS).sum())
        self.n_empty_ = posterior.n_components - self.n_clusters_

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
