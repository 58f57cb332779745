"""Mixtures of all rows' latents with the networks at rest, before and after the joint training."""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from dimix.estimators.fragments import joined_fragments
from dimix.mixture import (
    Clusters,
    DirichletProcessGaussianMixture,
    Hierarchy,
    MixturePosterior,
)
from dimix.models import DeepInfiniteMixture
from dimix.priors import Climb, InfiniteMixture
from dimix.training import device_of, in_chunks
from dimix.training.moves import posteriors

Latents = tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]
"""Mean and variance of q(z | x) of every row."""
USED = 5e-3
"""Share of a latent's variance that its means have, from which on it is used."""
TELLS = 1e-4
"""Latents whose means vary by less than this share of their variances tell nothing about X."""


def most_used(latents: Latents, most: int) -> Bool[Tensor, " D"]:
    """The latents whose means vary most, at most so many, and no unused ones if any is used.

    An unused latent tells nothing about X, and yet adds to the numbers of each component.
    """
    mean, var = latents
    spread = mean.var(0, correction=0)
    used = spread >= USED * (spread + var.mean(0))
    if not used.any():
        used = torch.ones_like(used)
    by_spread = spread.where(used, -1.0).argsort(descending=True, stable=True)
    chosen = torch.zeros_like(used)
    chosen[by_spread[: min(int(used.sum()), most)]] = True
    return chosen


def overcomplete(
    latents: Latents, n_components: int, *, weight: float, seed: int
) -> MixturePosterior:
    """An infinite mixture of latents, from a start of T components, every row ``weight`` times.

    The prior is as wide as the latents, with which all that is recorded was measured.
    """
    mean, var = (part.double().numpy() for part in latents)
    mixture = DirichletProcessGaussianMixture(
        n_components, moves=False, random_state=seed, covariance_prior="empirical"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # training or the tree goes on
        return mixture.fit(mean, var=var, sample_weight=np.full(len(mean), weight)).posterior_


def settle(
    model: DeepInfiniteMixture,
    rows: Tensor,
    fitted: MixturePosterior,
    judged: Latents,
    mixed: Bool[Tensor, " D"],
    *,
    weight: float,
    kept_at: float | None = None,
    join: bool = True,
) -> Hierarchy:
    """Give the model a mixture fitted to its ``mixed`` latents; the tree over its components.

    Merges are judged on the latents ``judged``, every row counted ``weight`` times; in the mixture
    that the model is given each counts once. The clusters of the mixture that it had are those of
    the tree at the N_eff ``kept_at``, if given: each component is of the one that most of its rows
    are of. Their fragments are joined unless ``join`` is False.
    """
    trained = _assigned(model, rows)
    latents, climb = posteriors(model, rows), Climb(n_rows=len(rows))
    model.prior = InfiniteMixture.from_fit(fitted, *latents, climb, mixed=mixed).eval()
    known = None
    if kept_at is not None:
        assigned = _assigned(model, rows)
        labels = (assigned.mT @ trained).argmax(1)
        if join:
            labels = joined_fragments(rows, labels[assigned.argmax(1)], trained.shape[1])[labels]
        known = Clusters(labels, kept_at)
    return model.mixture.hierarchy(fitted, *judged, weight, known)


def tell_nothing(latents: Latents) -> bool:
    """Whether q(z | x) has become the same for all x."""
    mean, var = latents
    return bool((mean.var(0, correction=0) < TELLS * var.mean(0)).all())


def _assigned(model: DeepInfiniteMixture, rows: Tensor) -> Float[Tensor, "N T"]:
    """q(c | x) of all rows."""
    return in_chunks(model.log_assignments, rows, device_of(model)).exp()
