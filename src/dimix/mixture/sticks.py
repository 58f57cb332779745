"""Stick-breaking weights: q(v) = ∏_k Beta(a_k, b_k) against the prior v_k ~ Beta(1, α).

The truncation is that of q(c > T) = 0: the last stick v_T stays free, and the sticks after it
keep their prior and cost nothing. Empty components at the end therefore add nothing either,
and bounds are comparable across T. The same holds if α is learned, by leaving the empty sticks
at the end out of its mean field: see ``concentration``.

Source: Blei and Jordan, Variational inference for Dirichlet process mixtures (2006), section 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from dimix.mixture.concentration import Concentration, as_concentration, later_counts

LOG_ZERO = -1e30
"""Stands for log 0 in a logit: infinity would make NaN of a gradient of zero."""


@dataclass(frozen=True, eq=False)
class Sticks:
    """q(v) of T sticks and q(α), ``concentration``, with its ``prior``.

    The first ``n_used`` sticks take part: T if α is known, else up to the last with rows.
    """

    a: Float64[Tensor, " K"]
    b: Float64[Tensor, " K"]
    concentration: Concentration
    prior: Concentration
    n_used: int

    @classmethod
    def from_counts(
        cls, counts: Float64[Tensor, " K"], concentration: float | Concentration
    ) -> "Sticks":
        """a_k = 1 + n_k, b_k = E[α] + Σ_{j>k} n_j, under the best q(α)."""
        prior = as_concentration(concentration)
        posterior = prior.given(counts)
        b = posterior.mean + later_counts(counts)
        return cls(1 + counts, b, posterior, prior, int(prior.used(counts).sum()))

    def expected_log_weights(self) -> Float64[Tensor, " K"]:
        """E[log π_k] = E[log v_k] + Σ_{j<k} E[log(1 - v_j)]; ``LOG_ZERO`` if not used."""
        total = torch.digamma(self.a + self.b)
        log_rest = torch.digamma(self.b) - total
        log_weights = torch.digamma(self.a) - total + log_rest.cumsum(0) - log_rest
        log_weights[self.n_used :] = LOG_ZERO
        return log_weights

    def expected_weights(self) -> Float64[Tensor, " K"]:
        """E[π_k], 0 if not used; they sum to 1 - ``expected_remainder()``."""
        rest = (self.b / (self.a + self.b)).cumprod(0)
        before = torch.cat([rest.new_ones(1), rest[:-1]])
        weights = self.a / (self.a + self.b) * before
        weights[self.n_used :] = 0
        return weights

    def expected_remainder(self) -> Float64[Tensor, ""]:
        """E[∏_k (1 - v_k)], the weight expected of all components after the last one used."""
        return (self.b / (self.a + self.b))[: self.n_used].prod()

    def kl(self) -> Float64[Tensor, ""]:
        """E[KL(q(v) ‖ p(v | α))] under q(α): a sum over sticks, every constant in."""
        a, b = self.a[: self.n_used], self.b[: self.n_used]
        alpha = self.concentration.mean
        per_stick = (
            -_log_beta(a, b)
            + (a - 1) * torch.digamma(a)
            + (b - alpha) * torch.digamma(b)
            - (a - 1 + b - alpha) * torch.digamma(a + b)
            - self.concentration.expected_log  # log B(1, α) = -log α
        )
        return per_stick.sum()

    def concentration_kl(self) -> Float64[Tensor, ""]:
        """KL(q(α) ‖ p(α)); 0 if α is known."""
        return self.concentration.kl(self.prior)


def stick_evidence(
    counts: Float64[Tensor, "*batch K"], concentration: float | Concentration
) -> Float64[Tensor, "*batch"]:
    """A(n) = Σ_k log B(1 + n_k, α + n_{>k}) - log B(1, α), in the order of the counts.

    What the sticks add to the bound at counts n, globals at their best. If α is learned, it is
    that sum at E[α], with E[log α] in place of -log B(1, α) and less KL(q(α) ‖ p(α)).

    With t_k = α + n_{>=k}, log B(1 + n_k, t_{k+1}) = log Γ(1 + n_k) + log Γ(t_{k+1}) -
    log Γ(t_k) - log t_k, where but for the ends the last but one terms cancel in the sum.
    """
    prior = as_concentration(concentration)
    posterior = prior.given(counts)
    alpha = posterior.mean
    left = alpha[..., None] + later_counts(counts) + counts
    per_stick = torch.lgamma(1 + counts) - left.log() + posterior.expected_log[..., None]
    ends = torch.lgamma(alpha) - torch.lgamma(left[..., 0])
    return (per_stick * prior.used(counts)).sum(-1) + ends - posterior.kl(prior)


def _log_beta(
    a: Float64[Tensor, "*batch K"], b: Float64[Tensor, "*batch K"]
) -> Float64[Tensor, "*batch K"]:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
