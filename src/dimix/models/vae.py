"""The variational autoencoder (Kingma & Welling 2014; the paper's eq. 1).

    log p(x) ≥ E_q[log p(x | z)]  +  E_q[log p(z)] + H[q(z | x)]
               reconstruction        the prior's terms

The prior is a part: with N(0, I) this is the plain VAE.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from dimix.models.objective import Model, Objective, bound
from dimix.nets import Architecture, Decoder, Encoder, Likelihood, decoder_body, encoder_body
from dimix.priors import StandardNormal


class VAE(Model):
    """Encoder q(z | x), decoder p(x | z) and a prior p(z)."""

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        *,
        architecture: Architecture = "mlp",
        likelihood: Likelihood = "bernoulli",
    ) -> None:
        super().__init__()
        body = encoder_body(architecture, shape)
        self.encoder = Encoder(body.module, body.features, latent_dim)
        self.decoder = Decoder(decoder_body(architecture, shape, latent_dim), likelihood)
        self.prior = StandardNormal(latent_dim)

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        q: Independent[Normal] = self.encoder(x)
        terms = {
            "reconstruction": self.decoder(q.rsample()).log_prob(x),
            **self.prior.terms(q),
        }
        return Objective(-bound(terms).mean(), terms)

    def embed(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """The mean of q(z | x)."""
        mean: Tensor = self.encoder(x).mean
        return mean

    def decode(self, z: Float[Tensor, "B D"]) -> Distribution:
        """p(x | z)."""
        p: Distribution = self.decoder(z)
        return p

    def sample_latent(self, n: int, generator: torch.Generator) -> Float[Tensor, "n D"]:
        """z ~ p(z)."""
        return self.prior.sample(n, generator)
