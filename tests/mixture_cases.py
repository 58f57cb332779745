"""Small mixtures for the tests, and their translation into the oracles' terms."""

import numpy as np
import torch
from torch import Tensor

from dimix.mixture import (
    DiagonalCovariance,
    FeatureChunks,
    FullCovariance,
    GaussianFamily,
    MixturePosterior,
    MixturePrior,
    NormalWishart,
    collect,
    update,
)
from dimix.mixture.concentration import Concentration
from dimix.mixture.families import SphericalCovariance, TiedCovariance
from family_oracles import Parts
from oracles import NormalWishart as Plain

FAMILIES = [FullCovariance, TiedCovariance, DiagonalCovariance, SphericalCovariance]


def random_spd(dim: int, rng: np.random.Generator) -> np.ndarray:
    """A random covariance with eigenvalues near one."""
    factor = rng.normal(size=(dim, dim))
    return factor @ factor.T / dim + 0.5 * np.eye(dim)


def random_params(family: GaussianFamily, n_components: int, seed: int = 0) -> NormalWishart:
    """Parameters of ``n_components`` components, all different."""
    rng = np.random.default_rng(seed)
    scatter = np.stack([random_spd(family.dim, rng) for _ in range(n_components)])
    if isinstance(family, DiagonalCovariance | SphericalCovariance):
        scatter = scatter.diagonal(axis1=1, axis2=2).copy()
    if isinstance(family, SphericalCovariance):
        scatter = scatter.mean(1)
    n_precisions = 1 if isinstance(family, TiedCovariance) else n_components
    return NormalWishart(
        torch.from_numpy(rng.normal(size=(n_components, family.dim))),
        torch.from_numpy(rng.uniform(0.5, 3, n_components)),
        torch.from_numpy(family.dim + rng.uniform(0, 5, n_components))[:n_precisions],
        torch.from_numpy(scatter)[:n_precisions],
    )


def make_prior(family: GaussianFamily, concentration: float | Concentration = 0.8) -> MixturePrior:
    """A prior of one random component, centred off the origin."""
    centre = torch.linspace(-1, 1, family.dim, dtype=torch.float64)
    return MixturePrior(family, random_params(family, 1, seed=9), concentration, centre)


def plain(params: NormalWishart) -> list[Plain]:
    """The components of a full family as the oracles' tuples."""
    return [
        (mean, float(kappa), float(dof), scatter)
        for mean, kappa, dof, scatter in zip(
            params.mean.numpy(),
            params.mean_precision,
            params.degrees_of_freedom,
            params.scatter.numpy(),
            strict=True,
        )
    ]


def parts(params: NormalWishart) -> Parts:
    """The parameters of any family as the family oracles' tuple."""
    return (
        params.mean.numpy(),
        params.mean_precision.numpy(),
        params.degrees_of_freedom.numpy(),
        params.scatter.numpy(),
    )


def plain_feature(params: NormalWishart, d: int) -> list[Plain]:
    """Feature ``d`` of the components of a diagonal family, each a one-dimensional tuple."""
    return [
        (mean[[d]].numpy(), float(kappa), float(dof), scatter[[d]][None].numpy())
        for mean, kappa, dof, scatter in zip(
            params.mean,
            params.mean_precision,
            params.degrees_of_freedom,
            params.scatter,
            strict=True,
        )
    ]


def blobs(n: int, dim: int, seed: int = 0) -> Tensor:
    """Rows of three Gaussians of different spread and weight, in no order."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    centres = 4 * rng.normal(size=(3, dim))
    spread = np.array([1.0, 0.5, 1.5])
    return torch.from_numpy(centres[labels] + spread[labels, None] * rng.normal(size=(n, dim)))


def random_start(
    chunks: FeatureChunks, prior: MixturePrior, n_components: int, seed: int = 0
) -> MixturePosterior:
    """The posterior of random responsibilities."""
    rng = np.random.default_rng(seed)
    resp = torch.from_numpy(rng.dirichlet(np.ones(n_components), size=len(chunks)))
    return update(prior, collect(chunks, resp))
