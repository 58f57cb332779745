"""What a fit has seen of its rows before it begins: what the prior, and the precision, go by."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from dimix.mixture.estimator.encoding import Encoding
from dimix.mixture.estimator.rows import Rows, product_dtype, sample_of
from dimix.mixture.posterior import MixturePrior


@dataclass(frozen=True, eq=False)
class Seen:
    """Mean and covariance of the rows of all ranks, as ``moments`` or ``reduced`` give them.

    ``rows`` are those of this rank, or a sample of its ``n_rows``. ``gaps``: whether full
    covariance has to do without some of their values.
    """

    centre: Float64[np.ndarray, " D"]
    covariance: Float64[np.ndarray, "*DD"]
    rows: Rows
    n_rows: int | None = None
    gaps: bool = False

    def few(self) -> Rows | None:
        """On rank 0, the same rows each time, of all ranks; else None."""
        return sample_of(self.rows, np.random.RandomState(0), self.n_rows)

    def encoding(self, prior: MixturePrior, covariance_type: str, device: torch.device) -> Encoding:
        """What turns rows into data under a prior, with products as exact as its width asks for."""
        params = prior.components
        expected = (params.scatter[0] / params.degrees_of_freedom[0]).numpy()
        dtype = product_dtype(self.rows.x.dtype, self.covariance, expected, covariance_type)
        return Encoding(prior, dtype, device, self.gaps)
