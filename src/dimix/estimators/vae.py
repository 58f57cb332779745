"""The variational autoencoder as an estimator."""

import torch
from sklearn.utils.validation import check_is_fitted

from dimix import models
from dimix.estimators.base import Array, DeepEstimator, estimator
from dimix.estimators.likelihood import LikelihoodMixin
from dimix.mixture.estimator.arguments import check_number


@estimator
class VAE(LikelihoodMixin, DeepEstimator):
    """Variational autoencoder with the prior N(0, I) (the paper's eq. 1)."""

    def build(self, shape: tuple[int, ...]) -> models.VAE:
        """The untrained model for samples of this shape."""
        return models.VAE(
            shape, self.latent_dim, architecture=self.networks_, likelihood=self.likelihood_
        )

    def sample(self, n_samples: int = 1) -> Array:
        """Draw samples: means of p(x | z) at z ~ p(z)."""
        check_is_fitted(self, "model_")
        check_number("n_samples", n_samples, low=1, integer=True)
        generator = torch.Generator().manual_seed(self.seed_)
        return self.inverse_transform(self.model_.sample_latent(n_samples, generator).numpy())
