"""The mixtures inside saved deep models: what each is taken apart into, and put together from.

    GMVAE                 its components are a network, so that only the labels are left
    Algorithm1            the DP-GMM of its last epoch, as a saved mixture has it
    DeepInfiniteMixture   prior and statistics, from which q(v, μ, Λ) follows, and the tree

The labels of the training samples go with each.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from dimix.mixture import DirichletProcessGaussianMixture, FullCovariance, GaussianFamily
from dimix.mixture.estimator import saved
from dimix.mixture.estimator.claims import Claims, TensorClaims
from dimix.mixture.estimator.parts import (
    check_follows,
    family_entries,
    prior_tensors,
    read_labels,
    read_prior,
    read_statistics,
    read_tree,
    tree_tensors,
)
from dimix.priors import Climb, InfiniteMixture

LABELS, STATISTICS = "labels", "statistics"


@dataclass(frozen=True)
class Pieces:
    """A mixture's entries in the config, its history, and its tensors."""

    entries: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class MixturePart:
    """How one class of estimators gives its mixture, and takes it from checked files."""

    take_apart: Callable[[Any], Pieces]
    put_together: Callable[[Any, Claims, Claims, TensorClaims], None]


# --- GMVAE


def _labels(estimator: Any) -> dict[str, Tensor]:
    return {LABELS: torch.from_numpy(estimator.labels_)}


def _take_labels(estimator: Any, n_components: int, tensors: TensorClaims) -> None:
    n_rows = tensors.length(LABELS, range(1, 2**53))
    estimator.labels_ = read_labels(LABELS, n_rows, n_components, tensors)


def _gmvae(estimator: Any) -> Pieces:
    return Pieces(tensors=_labels(estimator))


def _to_gmvae(estimator: Any, entries: Claims, history: Claims, tensors: TensorClaims) -> None:
    _take_labels(estimator, estimator.n_components, tensors)


# --- Algorithm 1


def _algorithm1(estimator: Any) -> Pieces:
    entries, history, tensors = saved.taken_apart(estimator.model_.mixture)
    return Pieces(entries, {"mixture": history}, tensors | _labels(estimator))


def _to_algorithm1(estimator: Any, entries: Claims, history: Claims, tensors: TensorClaims) -> None:
    mixture = saved.put_together(
        DirichletProcessGaussianMixture, entries, history.section("mixture"), tensors
    )
    posterior = mixture.posterior_
    _check_family(posterior.family, estimator.latent_dim, entries.section("fitted"))
    if posterior.n_components != estimator.n_components:
        raise entries.error("fitted.n_components", f"must be {estimator.n_components}")
    estimator.model_.take(mixture)
    _take_labels(estimator, estimator.n_components, tensors)


# --- DeepInfiniteMixture


def _infinite(estimator: Any) -> Pieces:
    mixture: InfiniteMixture = estimator.model_.mixture
    entries = {
        **family_entries(mixture.prior.family),
        "n_components": len(mixture.statistics),
        "n_eff": float(mixture.n_eff),
        "climb": asdict(mixture.climb),
        "mixed": mixture.mixed.tolist(),
        "trained_n_eff": estimator.hierarchy_.trained_n_eff,
    }
    tensors = {
        **prior_tensors(mixture.prior),
        STATISTICS: mixture.statistics,
        **tree_tensors(estimator.hierarchy_),
        "component_labels": torch.from_numpy(estimator.component_labels_),
    }
    moves = [dict(zip(MOVE, move, strict=True)) for move in estimator.moves_]
    return Pieces(entries, {"moves": moves}, tensors | _labels(estimator))


def _to_infinite(estimator: Any, entries: Claims, history: Claims, tensors: TensorClaims) -> None:
    prior, size = read_prior(entries, tensors), entries.whole("n_components", low=1)
    family, mixed = prior.family, _mixed(entries, estimator.latent_dim)
    _check_family(family, int(mixed.sum()), entries)
    statistics = read_statistics(STATISTICS, size, family, tensors)
    climb, n_eff = _climb(entries.section("climb")), entries.number("n_eff", low=1e-9)
    mixture = InfiniteMixture(prior, statistics, climb, n_eff, mixed)
    estimator.mixed_latents_ = mixed.numpy()
    check_follows(STATISTICS, mixture.posterior, tensors)
    estimator.model_.give_mixture(mixture, estimator.views, estimator.prior_weight)
    tree = read_tree(size, family, tensors)
    estimator.hierarchy_ = estimator._as_trained(tree, _trained_n_eff(estimator, entries, climb))
    estimator.component_labels_ = read_labels("component_labels", size, size, tensors)
    estimator.n_clusters_ = int(estimator.component_labels_.max()) + 1
    estimator.moves_ = [
        tuple(move.value(name, kind) for name, kind in MOVE.items())
        for move in history.sections("moves")
    ]
    _take_labels(estimator, size, tensors)


MOVE = {"epoch": int, "kind": str, "n_components": int, "gain": float}
"""The entries of a move that was kept."""


def _climb(entries: Claims) -> Climb:
    return Climb(
        n_rows=entries.whole("n_rows", low=1),
        views=entries.whole("views", low=1),
        sharpness=entries.number("sharpness", low=1),
        step_size=entries.number("step_size"),
    )


def _trained_n_eff(estimator: Any, entries: Claims, climb: Climb) -> float:
    """N_eff at the end of the training; that of its recipe, in a file from before it was kept."""
    if "trained_n_eff" not in entries:
        return float(estimator._coarsening(climb.n_rows).last)
    return entries.number("trained_n_eff", low=1e-9)


def _mixed(entries: Claims, latent_dim: int) -> Tensor:
    """Which latents the mixture is of, [D]; of all, in a file from before it could be of some."""
    mixed = torch.ones(latent_dim, dtype=torch.bool)
    if "mixed" not in entries:
        return mixed
    chosen = entries.value("mixed", tuple[int, ...])
    if not chosen or list(chosen) != sorted({d for d in chosen if 0 <= d < latent_dim}):
        raise entries.error("mixed", f"must be rising numbers from 0, below {latent_dim}")
    return mixed.fill_(False).index_fill_(0, torch.tensor(chosen), True)


def _check_family(family: GaussianFamily, n_latents: int, entries: Claims) -> None:
    """Raise unless the components are those of full covariance over so many latents."""
    if type(family) is not FullCovariance:
        raise entries.error("family", "must be 'full'")
    if family.dim != n_latents:
        raise entries.error("n_features", f"must be {n_latents}, the latents of the mixture")


MIXTURES: Mapping[str, MixturePart] = {
    "GMVAE": MixturePart(_gmvae, _to_gmvae),
    "Algorithm1": MixturePart(_algorithm1, _to_algorithm1),
    "DeepInfiniteMixture": MixturePart(_infinite, _to_infinite),
}
