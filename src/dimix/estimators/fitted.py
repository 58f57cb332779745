"""What a fitted deep infinite mixture can be asked: clusters, samples, another cut."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from dimix.estimators.base import Array
from dimix.estimators.clusterer import DeepClusterer
from dimix.estimators.likelihood import LikelihoodMixin
from dimix.mixture import Hierarchy, MixturePosterior
from dimix.mixture.estimator.arguments import check_choice, check_number
from dimix.mixture.hierarchy import pool
from dimix.training.moves import posteriors


class FittedInfiniteMixture(LikelihoodMixin, DeepClusterer):
    """A fit's end: components, and the tree over them that makes them clusters.

    What its attributes are says `DeepInfiniteMixture`, which fits it.
    """

    n_clusters_: int
    component_labels_: NDArray[np.int64]
    hierarchy_: Hierarchy

    def cut(
        self, how: str | None = None, *, n_clusters: int | None = None, n_eff: float | None = None
    ) -> Self:
        """Cut `hierarchy_` elsewhere, without training: "auto", n_clusters=… or n_eff=…."""
        check_is_fitted(self, "hierarchy_")
        self.component_labels_ = self.hierarchy_.cut(how, n_clusters=n_clusters, n_eff=n_eff)
        self.n_clusters_ = int(self.component_labels_.max()) + 1
        return self

    @property
    def posterior_(self) -> MixturePosterior:
        """q(v, μ, Λ) of the mixture."""
        check_is_fitted(self, "component_labels_")
        posterior: MixturePosterior = self.model_.mixture.posterior
        return posterior

    def transform(self, X: ArrayLike, *, return_var: bool = False) -> Any:
        """Latent means [N, D]; with `return_var` also the variances of q(z | x), [N, D]."""
        if not return_var:
            return super().transform(X)
        rows = self._rows(X)
        mean, var = posteriors(self.model_, rows)
        return mean.numpy(), var.numpy()

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probability of each cluster, the sum over its components: [N, n_clusters_]."""
        return pool(self.predict_components_proba(X), self.component_labels_)

    def predict_components_proba(self, X: ArrayLike) -> Array:
        """Probability of each component, [N, T]."""
        check_is_fitted(self, "component_labels_")
        return super().predict_proba(X)

    def cluster_weights(self) -> NDArray[np.float64]:
        """E[π] of each cluster, the sum over its components, scaled to sum to one."""
        weights: NDArray[np.float64] = pool(
            self.posterior_.weights.numpy()[None], self.component_labels_
        )[0]
        return weights

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw samples (means of p(x | z)) and their clusters; all of one, if it is given."""
        check_is_fitted(self, "hierarchy_")
        check_number("n_samples", n_samples, low=1, integer=True)
        generator = torch.Generator().manual_seed(self.seed_)
        weights = self.posterior_.weights
        if cluster is not None:
            check_choice("cluster", cluster, tuple(range(self.n_clusters_)))
            weights = weights * torch.from_numpy(self.component_labels_ == cluster)
        components = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        z = self.model_.mixture.sample(components, generator)
        return self.inverse_transform(z.numpy()), self.component_labels_[components.numpy()]
