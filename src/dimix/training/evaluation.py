"""Passes over data outside training: bound terms averaged, and any map applied in chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Num
from torch import Tensor

from dimix.mixture.inference.distributed import all_reduce_, alone
from dimix.models import Model, Objective
from dimix.training.batches import CHUNK, as_float
from dimix.training.seeds import own_random_numbers


class TermAverages:
    """Averages of a bound's terms and of the loss over the samples seen so far."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, objective: Objective) -> None:
        n = len(objective.bound)
        sums = {k: v.detach().sum() for k, v in objective.terms.items()}
        sums["loss"] = objective.loss.detach() * n
        self.count += n
        self.sums = {k: self.sums.get(k, 0.0) + v for k, v in sums.items()}

    def means(self) -> dict[str, float]:
        """Over the samples of all ranks."""
        count = float(all_reduce_(torch.tensor(float(self.count), dtype=torch.float64)))
        return {k: float(all_reduce_(v.clone())) / count for k, v in self.sums.items()}


def device_of(model: Model) -> torch.device:
    """Where a model's parameters are."""
    return next(model.parameters()).device


@contextmanager
def at_rest(model: Model) -> Iterator[None]:
    """The model in evaluation mode: no dropout, and the averages of batch normalisation."""
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


def average_terms(model: Model, x: Num[Tensor, "N P"], seed: int) -> dict[str, float]:
    """Mean of every bound term and of the loss, nats per sample, with noise drawn from `seed`."""
    averages = TermAverages()
    with alone(), own_random_numbers(), torch.inference_mode():
        torch.manual_seed(seed)
        for chunk in x.split(CHUNK):
            averages.add(model.objective(as_float(chunk).to(device_of(model))))
        return averages.means()


def in_chunks(
    function: Callable[[Tensor], Tensor], x: Num[Tensor, "N *P"], device: torch.device
) -> Tensor:
    """function applied to `x` a chunk of rows at a time, gathered on the CPU."""
    with torch.inference_mode():
        return torch.cat([function(as_float(part).to(device)).cpu() for part in x.split(CHUNK)])
