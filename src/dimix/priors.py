"""Priors of a latent: what a deep latent model's bound says of q(z | x) besides the data.

A prior is given q over [V, B, D], V views of each of B objects, and returns per-object terms
[B], by name, whose sum is Σ_v (E_q[log p(z_v)] + H[q(z_v)]).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from dimix.mixture import (
    MOVES,
    Clusters,
    FeatureChunks,
    Hierarchy,
    MixturePosterior,
    MixturePrior,
    Move,
    build_hierarchy,
    by_size,
    improve,
    sweep,
    update,
)
from dimix.mixture.hierarchy import LEAST_ROWS
from dimix.mixture.inference.distributed import all_reduce_
from dimix.mixture.moves.search import SETTLE_SWEEPS
from dimix.mixture.sticks import LOG_ZERO


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def terms(self, q: Independent[Normal]) -> dict[str, Float[Tensor, " B"]]:
        """`prior` = -Σ_v KL(q ‖ N(0, I))."""
        return {"prior": -self.kl(q).sum(0)}

    def kl(self, q: Independent[Normal]) -> Float[Tensor, "*B"]:
        """KL(q ‖ N(0, I)), closed form (Kingma & Welling 2014, appendix B)."""
        mean, var = q.mean, q.variance
        return 0.5 * (mean.square() + var - 1 - var.log()).sum(-1)

    def log_density(self, z: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """log N(z | 0, I)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n D"]:
        """z ~ N(0, I)."""
        return torch.randn(n, self.latent_dim, generator=generator)


@dataclass(frozen=True, slots=True)
class Climb:
    """How the mixture climbs the bound while the networks train.

    n_rows: N, the objects of the training set.
    views: V, how many latents each object brings.
    sharpness: τ; q(c) = softmax(τ L). Above 1 it is a worse q(c) of a still valid bound, and
        acts like more views of each object.
    step_size: ρ of the natural-gradient step after each minibatch.
    """

    n_rows: int
    views: int = 1
    sharpness: float = 1.0
    step_size: float = 0.02


class InfiniteMixture(nn.Module):
    """p(z | c) p(c): the infinite mixture, whose q(v, μ, Λ) is updated as the networks train.

    It is of all latents, or of the ``mixed`` ones alone; the others are then N(0, I).

    The views of an object share one c, so their logits add up, and with any q(c) = r

        entropy      Σ_v H[q(z_v)]
        allocation   Σ_k r_k L_k + H(r),   L_k = E[log π_k] + Σ_v <η_k, E_q[T(z_v)]>

    is a valid bound. r = softmax(L) is the best, and no gradient through r is needed there.
    Other latents add `prior`, as under N(0, I).

    In training mode a pass also folds its minibatch into the statistics, as batch normalisation
    does: a natural-gradient step S ← (1 - ρ) S + ρ (N / B) Rᵀ Φ, then the conjugate update.

    Attributes:
        statistics: S [T, F] of N objects; components without rows are rows of zeros.
        n_eff: N_eff of the coarsened bound, in which every object counts N_eff / N times.
        mixed, others: the latents that the mixture is of, and those that it is not.
    """

    statistics: Float64[Tensor, "T F"]
    n_eff: Float64[Tensor, ""]
    mixed: Int64[Tensor, " M"]
    others: Int64[Tensor, " O"]

    def __init__(
        self,
        prior: MixturePrior,
        statistics: Float64[Tensor, "T F"],
        climb: Climb,
        n_eff: float | None = None,
        mixed: Bool[Tensor, " D"] | None = None,
    ) -> None:
        super().__init__()
        self.prior, self.climb = prior, climb
        mixed = torch.ones(prior.family.dim, dtype=torch.bool) if mixed is None else mixed
        self.register_buffer("mixed", mixed.nonzero().flatten())
        self.register_buffer("others", (~mixed).nonzero().flatten())
        self.of_others = StandardNormal(len(self.others))
        self.register_buffer("statistics", statistics)
        n_eff = climb.n_rows if n_eff is None else n_eff
        self.register_buffer("n_eff", torch.tensor(n_eff, dtype=torch.float64))
        self._current: tuple[tuple[int, int], MixturePosterior] | None = None

    @classmethod
    def from_fit(
        cls,
        fitted: MixturePosterior,
        mean: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"],
        climb: Climb,
        n_eff: float | None = None,
        mixed: Bool[Tensor, " D"] | None = None,
    ) -> "InfiniteMixture":
        """From a mixture fitted to the ``mixed`` latents of q(z | x) of all objects."""
        if mixed is not None:
            mean, var = mean[:, mixed], var[:, mixed]
        latents = FeatureChunks(fitted.family, mean.double() - fitted.prior.centre, var.double())
        statistics, _ = sweep(latents, fitted)
        return cls(fitted.prior, climb.views * statistics, climb, n_eff, mixed)

    @property
    def posterior(self) -> MixturePosterior:
        """q(v, μ, Λ) of the T components, of the coarsened bound."""
        versions = self.statistics._version, self.n_eff._version
        if self._current is None or self._current[0] != versions:
            tempered = self.tempering * self.statistics.cpu()
            self._current = versions, update(self.prior, tempered, views=self.climb.views)
        return self._current[1]

    @property
    def tempering(self) -> float:
        """s = N_eff / N."""
        return float(self.n_eff) / self.climb.n_rows

    @property
    def n_filled(self) -> int:
        """How many components hold rows."""
        return int((self.statistics[:, 0] >= LEAST_ROWS * self.climb.views).sum())

    def terms(self, q: Independent[Normal]) -> dict[str, Float[Tensor, " B"]]:
        """`entropy`, `allocation` and, where there are others, `prior`.

        In training mode the mixture takes its own step too.
        In float32 whatever the networks' precision: large terms of L cancel.
        """
        phi = self.features(q).sum(0)
        with torch.autocast(phi.device.type, enabled=False):
            logits = self.logits(phi, len(q.mean))
        with torch.no_grad():
            log_r = torch.log_softmax(self.climb.sharpness * logits, dim=1)
            r = log_r.exp()
            if self.training:
                self.fold(r.double().mT @ phi.double(), len(phi))
        others = self.of_others.terms(_part(q, self.others)) if len(self.others) else {}
        return {
            "entropy": _part(q, self.mixed).entropy().sum(0),
            "allocation": (r * (logits - log_r)).sum(1),
            **others,
        }

    def of_mixed(self, values: Float[Tensor, "*B D"]) -> Float[Tensor, "*B M"]:
        """Those of the latents that the mixture is of."""
        return values[..., self.mixed.to(values.device)] if len(self.others) else values

    def features(self, q: Independent[Normal]) -> Float[Tensor, "V B F"]:
        """Φ of each view, differentiable in the mean and the variance of q."""
        mean, var = self.of_mixed(q.mean), self.of_mixed(q.variance)
        centred = mean - self.prior.centre.to(mean)
        flat = self.prior.family.features(centred.flatten(0, 1), var.flatten(0, 1))
        phi: Tensor = flat.unflatten(0, mean.shape[:2])
        return phi

    def logits(self, phi: Float[Tensor, "B F"], views: int) -> Float[Tensor, "B T"]:
        """L of objects with the Φ of their views added up; components without rows get none."""
        posterior = self.posterior
        # Φ η holds E[log π] once a view, and an object has one c.
        extra = (views - 1) * posterior.sticks.expected_log_weights()
        logits = posterior.logits(phi) - extra.to(phi)
        return logits.masked_fill(self.statistics[:, 0] <= 0, LOG_ZERO)

    def log_density(self, z: Float[Tensor, "N D"]) -> Float64[Tensor, " N"]:
        """The posterior predictive density of latents, in logs."""
        of_mixture = self.posterior.log_density(self.of_mixed(z).cpu()).to(z.device)
        return of_mixture + self.of_others.log_density(z[:, self.others])

    @torch.no_grad()
    def fold(self, statistics: Float64[Tensor, "T F"], n_objects: int) -> None:
        """The natural-gradient step on S after a minibatch, whose objects are all ranks'."""
        total = torch.tensor(float(n_objects), dtype=torch.float64, device=statistics.device)
        share = float(all_reduce_(total)) / self.climb.n_rows
        rho = max(self.climb.step_size, share)  # a memory of one epoch at the most
        new = all_reduce_(statistics)
        if new.isfinite().all():  # otherwise the networks have diverged, which the loss says
            self.statistics.mul_(1 - rho).add_(new, alpha=rho / share)

    def improve(
        self,
        mean: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"],
        rng: np.random.RandomState,
        *,
        moves: Iterable[str] = MOVES,
        fewest: int = 1,
    ) -> tuple[Move, ...]:
        """Births, splits, merges and deletions that raise the coarsened bound at fixed networks.

        Merges and deletions leave ``fewest`` components, and only each other's heirs are merged:
        networks draw together what is merged. ``mean`` and ``var`` are those of
        q(z | x) of all N objects, one view each. Nothing changes unless a move is kept.
        """
        s, views = self.tempering, self.climb.views
        latents = self._latents(mean, var, s)
        start = update(self.prior, s / views * self.statistics.cpu())
        found = improve(
            latents,
            start,
            rng,
            moves=moves,
            fewest=fewest,
            only_heirs=True,
            max_iter=SETTLE_SWEEPS,
        )
        if found.moves:
            statistics, _ = sweep(latents, found.posterior)
            statistics[statistics[:, 0] < s] = 0  # less than one row
            self.statistics.copy_(views / s * by_size(statistics))
        return found.moves

    def hierarchy(
        self,
        fitted: MixturePosterior,
        mean: Float[Tensor, "N D"],
        var: Float[Tensor, "N D"],
        weight: float,
        known: Clusters | None = None,
    ) -> Hierarchy:
        """The tree over the components of a fit, by N objects that each count ``weight`` times."""
        return build_hierarchy(self._latents(mean, var, weight), fitted, known)

    def _latents(
        self, mean: Float[Tensor, "N D"], var: Float[Tensor, "N D"], weight: float
    ) -> FeatureChunks:
        """Φ of all objects, each counted ``weight`` times."""
        mean, var = self.of_mixed(mean), self.of_mixed(var)
        weights = torch.full((len(mean),), weight, dtype=torch.float64)
        centred = mean.double() - self.prior.centre
        return FeatureChunks(self.prior.family, centred, var.double(), weights=weights)

    def sample(
        self, components: Int[Tensor, " n"], generator: torch.Generator
    ) -> Float[Tensor, "n D"]:
        """z ~ N(E[μ_k], E[Λ_k]⁻¹) of the given components; the others ~ N(0, I)."""
        params, family = self.posterior.components, self.prior.family
        noise = torch.randn(len(components), family.dim, generator=generator, dtype=torch.float64)
        z = torch.empty_like(noise)
        for k in components.unique().tolist():
            chosen = components == k
            z[chosen] = family.draw(params, k, noise[chosen])
        whole = torch.empty(len(z), family.dim + len(self.others))
        whole[:, self.mixed.cpu()] = (z + self.prior.centre).float()
        whole[:, self.others.cpu()] = self.of_others.sample(len(z), generator)
        return whole


def _part(q: Independent[Normal], which: Int64[Tensor, " M"]) -> Independent[Normal]:
    """q of some of the latents."""
    some = Normal(q.mean[..., which], q.stddev[..., which], validate_args=False)
    return Independent(some, 1, validate_args=False)
