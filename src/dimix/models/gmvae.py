"""The Gaussian-mixture VAE of Dilokthanakul et al. (2016); the paper's eq. 2.

    w ~ N(0, I)    y ~ Uniform(1..K)    z | w, y=k ~ N(μ_k(w), diag σ²_k(w))    x | z

The network β gives μ_k and σ²_k; q(z | x) and q(w | x) are recognised, and p(y | w, z) is
exact: p(y=k | w, z) ∝ N(z | μ_k(w), σ²_k(w)). At one draw of z and w, with r = p(y | w, z):

    reconstruction      log p(x | z)
    conditional_prior   -Σ_k r_k [log q(z | x) - log p(z | w, y=k)]
    w_prior             -KL(q(w | x) ‖ N(0, I))
    y_prior             -KL(r ‖ Uniform)

conditional_prior + y_prior = log Σ_k p(z | w, k)/K - log q(z | x) at every (w, z), so the sum
of the four is an unbiased draw of the exact bound. (The closed KL(q(z|x) ‖ p(z|w,k)) averaged
under r, used in places, is not: r depends on z.)
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from dimix.models.minibatch import mean_over, part_of, rsample
from dimix.models.objective import Model, Objective
from dimix.nets import (
    Architecture,
    Decoder,
    Likelihood,
    NormalHead,
    decoder_body,
    diagonal_normal,
    encoder_body,
    mlp,
    units_for,
)
from dimix.priors import StandardNormal


class ComponentNetwork(nn.Module):
    """The network β: w -> p(z | w, y=k) for all k, a Normal over [*B, K, D]."""

    def __init__(self, w_dim: int, latent_dim: int, n_components: int, hidden: int = 500) -> None:
        super().__init__()
        self.shape = (n_components, 2 * latent_dim)
        self.body = mlp([w_dim, hidden, n_components * 2 * latent_dim], activate_last=False)

    def forward(self, w: Float[Tensor, "*B W"]) -> Independent[Normal]:
        mean, log_var = self.body(w).float().unflatten(-1, self.shape).chunk(2, dim=-1)
        return diagonal_normal(mean, log_var)


class GMVAE(Model):
    """Gaussian-mixture VAE with K components.

    y_kl_min is λ of the information constraint: training replaces KL(r ‖ Uniform), averaged
    over the batch, by max(λ, KL); the reported terms stay unclamped.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        *,
        n_components: int = 10,
        w_dim: int | None = None,
        y_kl_min: float = 0.0,
        architecture: Architecture = "mlp",
        likelihood: Likelihood = "bernoulli",
    ) -> None:
        super().__init__()
        self.n_components = n_components
        self.y_kl_min = y_kl_min
        w_dim = latent_dim if w_dim is None else w_dim
        body = encoder_body(architecture, shape)
        self.units, self.body = units_for(likelihood, shape), body.module
        self.z_head = NormalHead(body.features, latent_dim)
        self.w_head = NormalHead(body.features, w_dim)
        self.components = ComponentNetwork(w_dim, latent_dim, n_components)
        self.decoder = Decoder(decoder_body(architecture, shape, latent_dim), likelihood, shape)
        self.w_prior = StandardNormal(w_dim)

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        part = part_of(x)
        h = self.features(part)
        q_z: Independent[Normal] = self.z_head(h)
        q_w: Independent[Normal] = self.w_head(h)
        z, w = rsample(q_z, len(x)), rsample(q_w, len(x))
        terms = {
            "reconstruction": self.decoder(z).log_prob(part),
            **self.mixture_terms(q_z.log_prob(z), z, w),
            "w_prior": -self.w_prior.kl(q_w),
        }
        free = terms["reconstruction"] + terms["conditional_prior"] + terms["w_prior"]
        y_kl = (-mean_over(terms["y_prior"], len(x))).clamp_min(self.y_kl_min)
        return Objective(y_kl - mean_over(free, len(x)), terms)

    def features(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B H"]:
        """What the heads of z and w are given."""
        h: Tensor = self.body(self.units(x))
        return h

    def mixture_terms(
        self, log_q: Float[Tensor, " B"], z: Float[Tensor, "B D"], w: Float[Tensor, "B W"]
    ) -> dict[str, Float[Tensor, " B"]]:
        """The two terms that hold y, at one draw (w, z) with log_q = log q(z | x)."""
        log_p = self.component_log_prob(z, w)
        log_r = log_p.log_softmax(-1)
        r = log_r.exp()
        return {
            "conditional_prior": (r * log_p).sum(-1) - log_q,
            "y_prior": -(r * log_r).sum(-1) - math.log(self.n_components),
        }

    def component_log_prob(
        self, z: Float[Tensor, "B D"], w: Float[Tensor, "B W"]
    ) -> Float[Tensor, "B K"]:
        """log p(z | w, y=k)."""
        log_p: Tensor = self.components(w).log_prob(z.unsqueeze(-2))
        return log_p

    def embed(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """The mean of q(z | x)."""
        mean: Tensor = self.z_head(self.features(x)).mean
        return mean

    def decode(self, z: Float[Tensor, "B D"]) -> Distribution:
        """p(x | z)."""
        p: Distribution = self.decoder(z)
        return p

    def log_assignments(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B K"]:
        """log p(y | w, z) at the posterior means of w and z."""
        h = self.features(x)
        return self.component_log_prob(self.z_head(h).mean, self.w_head(h).mean).log_softmax(-1)

    def sample_latent(self, y: Int[Tensor, " n"], generator: torch.Generator) -> Tensor:
        """z | y, with w ~ N(0, I): [n, D]."""
        p: Independent[Normal] = self.components(self.w_prior.sample(len(y), generator))
        rows = torch.arange(len(y))
        mean, scale = p.mean[rows, y], p.stddev[rows, y]
        return mean + scale * torch.randn(mean.shape, generator=generator)
