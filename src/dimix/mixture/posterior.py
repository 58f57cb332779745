"""The infinite mixture as two immutable values: its prior, and q(v, μ, Λ) given statistics.

``update(prior, S)`` leads to the posterior, so that whatever collects S (one pass over the data,
minibatches, several machines) shares it. The bound is reported by named terms:

    allocation     Σ_n logsumexp_k L_nk, where the best q(c) is already in
    sticks         -E[KL(q(v) ‖ p(v | α))]
    components     -Σ_k KL(q(μ_k, Λ_k) ‖ p(μ, Λ)), a precision that is shared counted once
    concentration  -KL(q(α) ‖ p(α)), 0 if α is known
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dimix.mixture.concentration import Concentration
from dimix.mixture.families import GaussianFamily, NormalWishart
from dimix.mixture.sticks import Sticks


@dataclass(frozen=True)
class Bound:
    """A lower bound on log p(z), in nats, every constant in."""

    allocation: float
    sticks: float
    components: float
    concentration: float = 0.0

    @property
    def total(self) -> float:
        """The bound: the sum of its terms."""
        return self.allocation + self.sticks + self.components + self.concentration


@dataclass(frozen=True, eq=False)
class MixturePrior:
    """The prior of an infinite mixture.

    ``components`` holds one Normal-Wishart (K = 1) in coordinates measured from ``centre``,
    as everything inside the mixture is; ``concentration`` is α, or its Gamma prior.
    """

    family: GaussianFamily
    components: NormalWishart
    concentration: float | Concentration
    centre: Float64[Tensor, " D"]


@dataclass(frozen=True, eq=False)
class MixturePosterior:
    """q(v) q(α) q(μ, Λ) of T components, with the prior it belongs to."""

    prior: MixturePrior
    sticks: Sticks
    components: NormalWishart

    @property
    def family(self) -> GaussianFamily:
        """The covariance type."""
        return self.prior.family

    @property
    def n_components(self) -> int:
        """T, empty components included."""
        return len(self.components.mean)

    @cached_property
    def natural_parameters(self) -> Float64[Tensor, "K F"]:
        """η with E[log π] added to its first column, which Φ multiplies by one."""
        natural = self.family.expected_natural(self.components)
        natural[:, 0] += self.sticks.expected_log_weights()
        return natural

    def features(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N F"]:
        """Φ of raw (uncentred) rows, in their dtype; differentiable in z and var."""
        return self.family.features(self.centred(z), var)

    def centred(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Raw rows measured from the centre, in their dtype."""
        # The centre has more digits than a float32 row far from the origin.
        return (z.double() - self.prior.centre.to(z.device)).to(z.dtype)

    def logits(self, phi: Float[Tensor, "N F"]) -> Float[Tensor, "N K"]:
        """L = Φ ηᵀ, differentiable through Φ."""
        return phi @ self.natural_parameters.to(phi).mT

    def log_responsibilities(self, phi: Float[Tensor, "N F"]) -> Float[Tensor, "N K"]:
        """Logarithms of q(c_n = k), differentiable through Φ."""
        return torch.log_softmax(self.logits(phi), dim=1)

    def bound(self, allocation: float) -> Bound:
        """The bound at this posterior, given Σ_n logsumexp_k L_nk over all the data."""
        kl = self.family.kl(self.components, self.prior.components)
        return Bound(
            allocation,
            sticks=-float(self.sticks.kl()),
            components=-float(kl.sum()),
            concentration=-float(self.sticks.concentration_kl()),
        )

    @property
    def counts(self) -> Float64[Tensor, " K"]:
        """The number of rows of each component."""
        return self.sticks.a - 1

    @property
    def weights(self) -> Float64[Tensor, " K"]:
        """E[π_k] scaled to sum to one."""
        expected = self.sticks.expected_weights()
        return expected / expected.sum()

    @property
    def means(self) -> Float64[Tensor, "K D"]:
        """E[μ_k] in the coordinates of the raw data."""
        return self.components.mean + self.prior.centre

    def log_density(self, z: Float[Tensor, "N D"]) -> Float64[Tensor, " N"]:
        """Log posterior predictive density of raw rows, in float64.

        A mixture of Student t's weighted by E[π_k]. The weight that is left for components
        after T goes to what is predicted of one without rows, so that the density integrates
        to one.
        """
        centred = z.double() - self.prior.centre
        weights = torch.cat(
            [self.sticks.expected_weights(), self.sticks.expected_remainder()[None]]
        )
        unseen = self.family.unseen(self.components, self.prior.components)
        densities = [
            self.family.log_predictive(params, centred) for params in (self.components, unseen)
        ]
        return torch.logsumexp(weights.log() + torch.cat(densities, dim=1), dim=1)


def update(
    prior: MixturePrior, statistics: Float64[Tensor, "K F"], *, views: int = 1
) -> MixturePosterior:
    """The exact conjugate posterior given S, the components in the order of its rows.

    An object with several ``views`` is that many rows of S, but counts once for the sticks.
    """
    return MixturePosterior(
        prior,
        Sticks.from_counts(statistics[:, 0] / views, prior.concentration),
        prior.family.update(prior.components, statistics),
    )


def by_size(statistics: Float64[Tensor, "K F"]) -> Float64[Tensor, "K F"]:
    """S with the largest component first: the order of sticks with the highest bound."""
    order = statistics[:, 0].argsort(descending=True, stable=True)
    return statistics[order]
