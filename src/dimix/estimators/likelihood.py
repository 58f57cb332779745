"""A bound on log p(x) by importance weights, for estimators that can bound it so."""

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from dimix.estimators.base import Array
from dimix.mixture.estimator.arguments import check_number
from dimix.training import CHUNK, EVALUATION, as_float, device_of, epoch_seed


class LikelihoodMixin:
    """For models whose likelihood can be bounded by importance weights."""

    model_: Any
    seed_: int
    _n_features_out: int
    _rows: Callable[[ArrayLike], Tensor]

    def score_samples(self, X: ArrayLike, n_draws: int = 32) -> Array:
        """A bound on log p(x) of each sample in nats, the tighter the more draws of z: [N]."""
        rows, device = self._rows(X), device_of(self.model_)
        check_number("n_draws", n_draws, low=1, integer=True)
        generator = torch.Generator().manual_seed(epoch_seed(self.seed_, 0, EVALUATION))
        noise = torch.randn(n_draws, self._n_features_out, generator=generator).to(device)
        with torch.inference_mode():
            parts = [
                self.model_.log_likelihood(as_float(part).to(device), noise).cpu()
                for part in rows.split(max(1, CHUNK // n_draws))
            ]
        likelihood: Array = torch.cat(parts).double().numpy()
        return likelihood
