"""The Gaussian-mixture VAE as an estimator."""

from dataclasses import KW_ONLY

import numpy as np
from numpy.typing import NDArray

from dimix import models
from dimix.estimators.base import estimator
from dimix.estimators.clusterer import DeepClusterer
from dimix.mixture.estimator.arguments import check_number


@estimator
class GMVAE(DeepClusterer):
    """Gaussian-mixture VAE with a known number of components (the paper's eq. 2).

    Parameters, besides those of `DeepEstimator`:
        n_components: K.
        w_dim: size of the continuous latent w above the components; None takes `latent_dim`.
        y_kl_min: λ in max(λ, KL(p(y | w, z) ‖ Uniform)), nats; 0 leaves the bound as it is.
    """

    _: KW_ONLY
    n_components: int = 10
    w_dim: int | None = None
    y_kl_min: float = 0.0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("n_components", self.n_components, low=1, integer=True)
        check_number("y_kl_min", self.y_kl_min, low=0)
        if self.w_dim is not None:
            check_number("w_dim", self.w_dim, low=1, integer=True)

    def build(self, shape: tuple[int, ...]) -> models.GMVAE:
        """The untrained model for samples of this shape."""
        return models.GMVAE(
            shape,
            self.latent_dim,
            n_components=self.n_components,
            w_dim=self.w_dim,
            y_kl_min=self.y_kl_min,
            architecture=self.networks_,
            likelihood=self.likelihood_,
        )

    def cluster_weights(self) -> NDArray[np.float64]:
        """Uniform, [K]."""
        n_components = self.model_.n_components
        return np.full(n_components, 1 / n_components)
