"""The variational autoencoder (Kingma & Welling 2014; the paper's eq. 1).

    log p(x) ≥ E_q[log p(x | z)]  +  E_q[log p(z)] + H[q(z | x)]
               reconstruction        the prior's terms

The prior is a part: with N(0, I) this is the plain VAE. With ``augment`` the encoder sees a
random copy of x in training, the decoder reconstructs x itself, and the bound is that of the
copies (V views of an object: the sum over them). The copy may be of another sample that shows
the same kind of thing.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from dimix.models.minibatch import mean_over, part_of, rsample
from dimix.models.objective import Model, Objective, bound
from dimix.nets import (
    Architecture,
    Decoder,
    Encoder,
    Likelihood,
    decoder_body,
    encoder_body,
    units_for,
)
from dimix.priors import InfiniteMixture, StandardNormal

Augment = Callable[[Float[Tensor, "B *shape"]], Float[Tensor, "B *shape"]]


class VAE(Model):
    """Encoder q(z | x), decoder p(x | z) and a prior p(z).

    augment: random copies of samples in their own shape; None takes them as they are.
    views: V, how many copies of each sample a training pass sees.
    prior_weight: weight of the prior's terms; the bound stays valid from 1 up.

    Attributes:
        unmoved: the share of the copies that a training pass leaves as the samples are.
    """

    unmoved: float = 0.0

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        *,
        architecture: Architecture = "mlp",
        likelihood: Likelihood = "bernoulli",
        augment: Augment | None = None,
        views: int = 1,
        prior_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.shape, self.augment, self.n_views = tuple(shape), augment, views
        self.prior_weight = prior_weight
        units = units_for(likelihood, shape)
        self.encoder = Encoder(encoder_body(architecture, shape), latent_dim, units)
        self.decoder = Decoder(decoder_body(architecture, shape, latent_dim), likelihood, shape)
        self.prior: StandardNormal | InfiniteMixture = StandardNormal(latent_dim)

    def objective(
        self, x: Float[Tensor, "B P"], seen: Float[Tensor, "B P"] | None = None
    ) -> Objective:
        """As every model's; ``seen`` are the samples whose copies the encoder sees, x if None."""
        q: Independent[Normal] = self.encoder(self.views(x, seen))
        of_prior = self.prior.terms(q)
        reconstruction = self.decoder(rsample(q, len(x))).log_prob(part_of(x)).sum(0)
        loss = -mean_over(reconstruction + self.prior_weight * bound(of_prior), len(x))
        return Objective(loss, {"reconstruction": reconstruction, **of_prior})

    def views(
        self, x: Float[Tensor, "B P"], seen: Float[Tensor, "B P"] | None = None
    ) -> Float[Tensor, "V b P"]:
        """Random copies, of ``seen`` if given, in training mode; otherwise each sample itself."""
        if not self.training:
            return part_of(x)[None]
        copies = self.copies(x if seen is None else seen, self.n_views)
        if not self.unmoved:
            return copies
        stays = torch.rand(len(copies), len(x), 1, device=x.device) < self.unmoved
        return torch.where(part_of(stays, 1), part_of(x), copies)

    def copies(self, x: Float[Tensor, "B P"], n_views: int) -> Float[Tensor, "V b P"]:
        """V copies of each sample, random ones if there is what makes them.

        Ranks make the copies of the whole batch, each for itself, and keep those of their part.
        """
        if self.augment is None:
            return part_of(x).expand(n_views, -1, -1)
        with torch.autocast(x.device.type, enabled=False):  # rounding would misplace pixels
            copies: Tensor = self.augment(x.repeat(n_views, 1).unflatten(1, self.shape))
        return part_of(copies.reshape(n_views, len(x), -1), 1)

    def log_likelihood(
        self, x: Float[Tensor, "B P"], noise: Float[Tensor, "S D"]
    ) -> Float[Tensor, " B"]:
        """The importance-weighted bound on log p(x), tighter with every draw of z ~ q(z | x).

        The S draws of each row come from the same standard normal noise.
        log 1/S Σ_s p(x | z_s) p(z_s) / q(z_s | x): Burda, Grosse and Salakhutdinov (2016).
        """
        q: Independent[Normal] = self.encoder(x)
        z = q.mean + q.stddev * noise[:, None]
        of_prior = self.prior.log_density(z.flatten(0, 1)).view(len(z), -1)
        weights = self.decoder(z).log_prob(x) + of_prior - q.log_prob(z)
        return torch.logsumexp(weights, dim=0) - math.log(len(z))

    def embed(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """The mean of q(z | x)."""
        mean: Tensor = self.encoder(x).mean
        return mean

    def decode(self, z: Float[Tensor, "B D"]) -> Distribution:
        """p(x | z)."""
        p: Distribution = self.decoder(z)
        return p

    def sample_latent(self, n: int, generator: torch.Generator) -> Float[Tensor, "n D"]:
        """z ~ N(0, I)."""
        assert isinstance(self.prior, StandardNormal)
        return self.prior.sample(n, generator)
