"""Priors of a latent: what a deep latent model's bound says of q(z | x) besides the data.

A prior gives per-sample terms, by name, whose sum is E_q[log p(z)] + H[q(z | x)].
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Independent, Normal


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def terms(self, q: Independent[Normal]) -> dict[str, Float[Tensor, "*B"]]:
        """`prior` = -KL(q ‖ N(0, I)), closed form (Kingma & Welling 2014, appendix B)."""
        mean, var = q.mean, q.variance
        return {"prior": -0.5 * (mean.square() + var - 1 - var.log()).sum(-1)}

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n D"]:
        return torch.randn(n, self.latent_dim, generator=generator)
