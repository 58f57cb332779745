"""What the tests of moves and of the hierarchy share."""

import torch
from torch import Tensor

from dimix.mixture import (
    FeatureChunks,
    GaussianFamily,
    MixturePosterior,
    MixturePrior,
    NormalWishart,
)


def responsibilities(chunks: FeatureChunks, posterior: MixturePosterior) -> Tensor:
    """R of all rows, dense."""
    return torch.cat([posterior.log_responsibilities(phi).exp() for _, phi in chunks])


def weak_prior(family: GaussianFamily, concentration: float = 0.1) -> MixturePrior:
    """Unit covariance, means anywhere: what well-separated clusters are drawn from, about."""
    dim, one = family.dim, torch.ones(1, dtype=torch.float64)
    components = NormalWishart(
        torch.zeros(1, dim).double(), 0.01 * one, (dim + 2) * one, torch.eye(dim).double()[None]
    )
    return MixturePrior(family, components, concentration, torch.zeros(dim).double())
