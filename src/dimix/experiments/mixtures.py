"""Mixtures fitted to latents, all read the same way: weights, Gaussians and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from dimix.experiments.rows import MixtureName, Row
from dimix.mixture import DirichletProcessGaussianMixture

Array = NDArray[np.floating[Any]]
Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LatentMixture:
    """weights [K], means [K, D] and covariances [K, D, D] of a fitted mixture.

    score: mean log density (or bound) of rows, nats per row; None where the method has none.
    """

    weights: Array
    means: Array
    covariances: Array
    predict: Callable[[Array], NDArray[np.integer[Any]]]
    score: Callable[[Array], float] | None
    settings: Settings

    def sample(self, component: int, n: int, rng: np.random.Generator) -> Array:
        """n draws from one component's Gaussian, [n, D]."""
        mean, covariance = self.means[component], self.covariances[component]
        return rng.multivariate_normal(mean, covariance, size=n, method="cholesky")


def heaviest_first(weights: Array) -> list[int]:
    """Component numbers in falling order of weight."""
    return [int(k) for k in np.argsort(-weights, kind="stable")]


def fit_kmeans(latents: Array, n_components: int, seed: int) -> LatentMixture:
    """K-means, read as the mixture it is the limit of: one spherical variance for all."""
    settings: Settings = {"n_init": 10}
    fitted = KMeans(n_components, random_state=seed, **settings).fit(latents)
    dim = latents.shape[1]
    covariance = np.eye(dim) * fitted.inertia_ / latents.size
    return LatentMixture(
        weights=np.bincount(fitted.labels_, minlength=n_components) / len(latents),
        means=fitted.cluster_centers_,
        covariances=np.broadcast_to(covariance, (n_components, dim, dim)),
        predict=fitted.predict,
        score=None,
        settings=settings,
    )


def fit_gmm(latents: Array, n_components: int, seed: int) -> LatentMixture:
    """Finite Gaussian mixture by EM, full covariance."""
    settings: Settings = {"covariance_type": "full", "max_iter": 500, "tol": 1e-5}
    fitted = GaussianMixture(n_components, random_state=seed, **settings).fit(latents)
    return _gaussian(fitted, settings)


def fit_dpgmm(latents: Array, n_components: int, seed: int) -> LatentMixture:
    """Our DP-GMM by coordinate ascent alone, as the paper's: full covariance, no moves."""
    settings: Settings = {
        "covariance_type": "full",
        "max_iter": 500,
        "tol": 1e-5,
        "moves": False,
        "covariance_prior": "empirical",
    }
    fitted = DirichletProcessGaussianMixture(n_components, random_state=seed, **settings)
    return _gaussian(fitted.fit(latents), settings)


def _gaussian(fitted: Any, settings: Settings) -> LatentMixture:
    return LatentMixture(
        weights=np.asarray(fitted.weights_, dtype=float),
        means=np.asarray(fitted.means_, dtype=float),
        covariances=np.asarray(fitted.covariances_, dtype=float),
        predict=fitted.predict,
        score=fitted.score,
        settings=settings,
    )


FIT: dict[MixtureName, Callable[[Array, int, int], LatentMixture]] = {
    "kmeans": fit_kmeans,
    "gmm": fit_gmm,
    "dpgmm": fit_dpgmm,
}


def fit_mixture(row: Row, latents: Array, seed: int) -> LatentMixture:
    """The row's mixture fitted to latent means [N, D]."""
    assert row.mixture is not None
    return FIT[row.mixture](latents, row.n_components, seed)
