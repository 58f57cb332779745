"""Our mixture below the estimator, as the timings take it."""

import numpy as np
import torch
from torch import Tensor

from dimix.mixture import FullCovariance, MixturePrior, NormalWishart


def default_prior(x: np.ndarray, n_components: int) -> MixturePrior:
    """The priors of scikit-learn's defaults, full covariance, measured from the mean of x."""
    dim, one = x.shape[1], torch.ones(1, dtype=torch.float64)
    scatter = torch.from_numpy(np.cov(x.T.astype(np.float64)))[None]
    components = NormalWishart(torch.zeros(1, dim).double(), one, dim * one, scatter)
    centre = torch.from_numpy(x.mean(0, dtype=np.float64))
    return MixturePrior(FullCovariance(dim, 1e-6), components, 1 / n_components, centre)


def centred(x: np.ndarray, prior: MixturePrior) -> Tensor:
    """Rows as the mixture multiplies them, in their dtype."""
    return torch.from_numpy((x - prior.centre.numpy()).astype(x.dtype, copy=False))
