"""Stochastic inference: a natural-gradient step on S after each minibatch.

    S ← (1 - ρ) S + ρ (N / B) Rᵀ Φ        ρ_t = (t + delay)^-forgetting

Source: Hoffman, Blei, Wang and Paisley, Stochastic variational inference (2013), section 2.3,
whose natural parameters are the prior's plus S.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from dimix.mixture.inference.batch import sweep
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.inference.distributed import all_reduce_
from dimix.mixture.posterior import MixturePosterior, MixturePrior, by_size, update


@dataclass(frozen=True)
class StepSizes:
    """ρ_t = (t + delay)^-forgetting of step t = 0, 1, …; converges for forgetting in (0.5, 1].

    With a delay of 1 the first step takes the first minibatch at its word, so that the start
    only says which rows belong together; a longer delay trusts the start more.
    """

    delay: float = 1.0
    forgetting: float = 0.9

    def __post_init__(self) -> None:
        """Check that every step size lies in (0, 1]."""
        if not self.delay >= 1:
            raise ValueError(f"delay must be >= 1, got {self.delay}")
        if not 0.5 < self.forgetting <= 1:
            raise ValueError(f"forgetting must be in (0.5, 1], got {self.forgetting}")

    def __call__(self, step: int) -> float:
        """The size of a step."""
        return float((step + self.delay) ** -self.forgetting)


@dataclass(frozen=True, eq=False)
class StochasticState:
    """Where a stream has got to: S of N rows, as estimated from those seen so far."""

    statistics: Float64[Tensor, "K F"]
    step: int = 0
    rows_seen: float = 0.0

    def posterior(self, prior: MixturePrior) -> MixturePosterior:
        """The posterior given S."""
        return update(prior, self.statistics)


def stochastic_step(
    state: StochasticState,
    prior: MixturePrior,
    batch: FeatureChunks,
    *,
    n_rows: float | None = None,
    step_sizes: StepSizes | None = None,
    reorder: bool = True,
) -> StochasticState:
    """The state after one minibatch.

    ``n_rows`` is N, the (weighted) number of rows that the stream will have; None is the number
    seen up to and with this minibatch, so that the posterior narrows as the stream goes on.
    ``reorder`` sorts the components by size.
    """
    batch_statistics, _ = sweep(batch, state.posterior(prior))
    weight = torch.tensor(batch.total_weight, dtype=torch.float64, device=batch.device)
    batch_rows = float(all_reduce_(weight))
    rows_seen = state.rows_seen + batch_rows
    if batch_rows == 0:
        return state
    total = rows_seen if n_rows is None else n_rows
    rho = (step_sizes or StepSizes())(state.step)
    # The first column sums to the N that the old S stands for.
    old_rows = float(state.statistics[:, 0].sum())
    kept = (1 - rho) * total / old_rows * state.statistics if old_rows > 0 else 0.0
    statistics = kept + rho * total / batch_rows * batch_statistics
    return StochasticState(
        by_size(statistics) if reorder else statistics, state.step + 1, rows_seen
    )
