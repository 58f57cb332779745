"""Algorithm 1 of *Deep Infinite Mixture Latent Variable Models*, as the paper prints it.

    for each epoch
        X_latent  <- Encoder(X)
        mean, var <- DPGMM(X_latent)
        z         <- reparameterize(X_latent, mean, var)
        X̂         <- Decoder(z)
        loss      <- diverge(X, X̂);  loss.backward

The paper leaves the rest open. Our reading: the DP-GMM (full covariance, its diagonal as the
variance) is refitted from scratch to the encoded training set every epoch and overwrites the
component means and variances; y is drawn from its log-responsibilities by Gumbel-softmax,

    y ~ Gumbel-softmax(log r(m(x)), temperature)      soft, or hard (straight-through)
    z = m(x) + sqrt(Σ_k y_k σ²_k) · ε,  ε ~ N(0, I)

and the loss is the reconstruction alone, as printed; `kl_weight` adds the divergence of that
z from its component, KL(N(m, σ²_y) ‖ N(μ_y, σ²_y)) = ½ Σ_d (m - μ_y)² / σ²_y. Two objectives
take turns here, and neither sees the other's: the paper reports that it does not train stably.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import gumbel_softmax

from dimix.mixture import DirichletProcessGaussianMixture
from dimix.models.gmvae import GMVAE
from dimix.models.minibatch import drawn, mean_over, part_of
from dimix.models.objective import Model, Objective
from dimix.nets import (
    Architecture,
    Decoder,
    Likelihood,
    decoder_body,
    encoder_body,
    units_for,
)

Gumbel = Literal["soft", "hard"]


class Algorithm1(Model):
    """An autoencoder whose latent noise is that of a DP-GMM refitted every epoch."""

    component_mean: Float[Tensor, "K D"]
    component_var: Float[Tensor, "K D"]

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        *,
        n_components: int = 10,
        gumbel: Gumbel = "soft",
        temperature: float = 1.0,
        kl_weight: float = 0.0,
        architecture: Architecture = "mlp",
        likelihood: Likelihood = "bernoulli",
    ) -> None:
        super().__init__()
        self.n_components = n_components
        self.gumbel, self.temperature, self.kl_weight = gumbel, temperature, kl_weight
        body = encoder_body(architecture, shape)
        self.units, self.body = units_for(likelihood, shape), body.module
        self.mean_head = nn.Linear(body.features, latent_dim)
        self.decoder = Decoder(decoder_body(architecture, shape, latent_dim), likelihood, shape)
        self.register_buffer("component_mean", torch.zeros(n_components, latent_dim))
        self.register_buffer("component_var", torch.ones(n_components, latent_dim))

    def start_from(self, gmvae: GMVAE) -> None:
        """Take a trained GMVAE's encoder (the mean of q(z | x)) and decoder."""
        latent_dim = self.mean_head.out_features
        self.body.load_state_dict(gmvae.body.state_dict())
        self.decoder.load_state_dict(gmvae.decoder.state_dict())
        with torch.no_grad():
            self.mean_head.weight.copy_(gmvae.z_head.linear.weight[:latent_dim])
            self.mean_head.bias.copy_(gmvae.z_head.linear.bias[:latent_dim])

    def refit(self, latents: Float[Tensor, "N D"], seed: int) -> None:
        """Fit the DP-GMM from scratch to the encoded training set and take its components.

        In float64: nothing in the loss keeps the latents' scale, and they stretch as they grow.
        """
        mixture = DirichletProcessGaussianMixture(
            n_components=self.n_components,
            covariance_type="full",
            moves=False,
            random_state=seed,
            covariance_prior="empirical",
        )
        self.take(mixture.fit(latents.double().numpy(force=True)))

    def take(self, mixture: DirichletProcessGaussianMixture) -> None:
        """Take a fitted mixture of full covariance, and its components' means and variances."""
        self.mixture = mixture
        var = self.mixture.covariances_.diagonal(axis1=-2, axis2=-1).copy()
        self.component_mean.copy_(torch.from_numpy(self.mixture.means_))
        self.component_var.copy_(torch.from_numpy(var))

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        part = part_of(x)
        mean = self.embed(part)
        choose = partial(gumbel_softmax, tau=self.temperature, hard=self.gumbel == "hard")
        with torch.autocast(mean.device.type, enabled=False):  # a mixture is no network
            y = drawn(choose, self.assign(mean), len(x))
            var, centre = y @ self.component_var, y @ self.component_mean
        z = mean + var.sqrt() * drawn(torch.randn_like, mean, len(x))
        terms = {"reconstruction": self.decode(z).log_prob(part)}
        climbed = terms["reconstruction"]
        if self.kl_weight:
            terms["prior"] = -0.5 * ((mean - centre).square() / var).sum(-1)
            climbed = climbed + self.kl_weight * terms["prior"]
        return Objective(-mean_over(climbed, len(x)), terms)

    def embed(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """m(x)."""
        mean: Tensor = self.mean_head(self.body(self.units(x))).float()
        return mean

    def assign(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """The DP-GMM's log-responsibilities at z, differentiable in z."""
        return self.mixture.log_responsibilities(z)

    def decode(self, z: Float[Tensor, "B D"]) -> Distribution:
        """p(x | z)."""
        p: Distribution = self.decoder(z)
        return p

    def log_assignments(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B K"]:
        """log r at the encoded mean."""
        return self.assign(self.embed(x))

    def sample_latent(self, y: Int[Tensor, " n"], generator: torch.Generator) -> Tensor:
        """z ~ N(μ_y, diag σ²_y): [n, D]."""
        mean, var = self.component_mean[y], self.component_var[y]
        return mean + var.sqrt() * torch.randn(mean.shape, generator=generator)
