"""What a model is to its trainer: a loss to climb down and the bound's terms by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Objective:
    """A minibatch's loss and the terms of its bound.

    loss: scalar, mean over the batch, nats per sample.
    terms: values [b] by name of each sample, or of those of this rank, if several share the
        batch; their sum is the bound, never clamped or weighted, and
        without what belongs to no sample, as the divergence of a mixture from its prior.
    """

    loss: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, " b"]]

    @property
    def bound(self) -> Float[Tensor, " b"]:
        return bound(self.terms)


class Model(nn.Module):
    """A torch module with an objective; the trainer asks nothing else of it."""

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        """The loss and bound terms of a batch, which is whole on every rank."""
        raise NotImplementedError  # abstract


def bound(terms: Mapping[str, Float[Tensor, " b"]]) -> Float[Tensor, " b"]:
    """The sum of a bound's terms, per sample."""
    return torch.stack(list(terms.values())).sum(0)
