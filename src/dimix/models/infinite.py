"""The deep infinite mixture: one bound, climbed by networks and mixture together.

    Σ_v ( E_q[log p(x | z_v)] + H[q(z_v)] )  +  logsumexp_k ( E[log π_k] + Σ_v <η_k, E_q[T(z_v)]> )
    less KL(q(v, μ, Λ) ‖ prior) / N

It is the VAE with the infinite mixture as its prior: the networks climb by gradients, the
mixture by the conjugate update after each minibatch, both the same function.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dimix.models.vae import VAE
from dimix.priors import InfiniteMixture


class DeepInfiniteMixture(VAE):
    """A VAE that begins with N(0, I) and is then given an infinite mixture for a prior."""

    @property
    def mixture(self) -> InfiniteMixture:
        """The prior, once it is a mixture."""
        assert isinstance(self.prior, InfiniteMixture)
        return self.prior

    def give_mixture(self, mixture: InfiniteMixture, views: int, prior_weight: float) -> None:
        """Take a mixture for a prior: from now on the bound is the joint one."""
        self.prior, self.n_views, self.prior_weight = mixture, views, prior_weight

    def log_assignments(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B T"]:
        """log q(c = k | x)."""
        phi = self.mixture.features(self.encoder(x[None]))[0]
        return torch.log_softmax(self.mixture.logits(phi, 1), dim=1)
