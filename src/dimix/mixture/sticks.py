"""Stick-breaking weights: q(v) = ∏_k Beta(a_k, b_k) against the prior v_k ~ Beta(1, α).

The truncation is that of q(c > T) = 0: the last stick v_T stays free, and the sticks after it
keep their prior and cost nothing. Empty components at the end therefore add nothing either,
and bounds are comparable across T.

Source: Blei and Jordan, Variational inference for Dirichlet process mixtures (2006), section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sticks:
    """q(v) of T sticks, with the concentration α of their prior."""

    a: Float64[Tensor, " K"]
    b: Float64[Tensor, " K"]
    concentration: float

    @classmethod
    def from_counts(cls, counts: Float64[Tensor, " K"], concentration: float) -> "Sticks":
        """a_k = 1 + n_k, b_k = α + Σ_{j>k} n_j."""
        later = counts.flip(0).cumsum(0).flip(0) - counts
        # Rounding must not make b fall below its prior value.
        return cls(1 + counts, concentration + later.clamp(min=0), concentration)

    def expected_log_weights(self) -> Float64[Tensor, " K"]:
        """E[log π_k] = E[log v_k] + Σ_{j<k} E[log(1 - v_j)]."""
        total = torch.digamma(self.a + self.b)
        log_rest = torch.digamma(self.b) - total
        return torch.digamma(self.a) - total + log_rest.cumsum(0) - log_rest

    def expected_weights(self) -> Float64[Tensor, " K"]:
        """E[π_k]; they sum to 1 - ``expected_remainder()``."""
        rest = (self.b / (self.a + self.b)).cumprod(0)
        before = torch.cat([rest.new_ones(1), rest[:-1]])
        return self.a / (self.a + self.b) * before

    def expected_remainder(self) -> Float64[Tensor, ""]:
        """E[∏_k (1 - v_k)], the weight expected of all components after T."""
        return (self.b / (self.a + self.b)).prod()

    def kl(self) -> Float64[Tensor, ""]:
        """KL(q(v) ‖ p(v)), a sum of KLs of Beta distributions, every constant in."""
        a, b, alpha = self.a, self.b, self.concentration
        per_stick = (
            -_log_beta(a, b)
            + (a - 1) * torch.digamma(a)
            + (b - alpha) * torch.digamma(b)
            - (a - 1 + b - alpha) * torch.digamma(a + b)
            - torch.as_tensor(alpha, dtype=a.dtype).log()  # log B(1, α) = -log α
        )
        return per_stick.sum()


def _log_beta(a: Float64[Tensor, " K"], b: Float64[Tensor, " K"]) -> Float64[Tensor, " K"]:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
