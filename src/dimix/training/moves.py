"""Moves of a deep infinite mixture's components between epochs of its training."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from dimix.data.neighbours import Neighbours
from dimix.models import DeepInfiniteMixture
from dimix.training.evaluation import at_rest, device_of, in_chunks
from dimix.training.seeds import MIXTURE, epoch_seed, own_random_numbers

Latents = Callable[[int], tuple[Tensor, Tensor]]
"""Mean and variance of q(z | x) of every row, [N, D] each, after so many epochs."""


@dataclass(frozen=True)
class Coarsening:
    """N_eff while the networks and the mixture train.

    It falls from ``first`` to ``last`` in equal ratios, so that merges come one by one as the
    networks bring clusters apart.
    """

    first: float
    last: float

    def n_eff(self, progress: float) -> float:
        """N_eff when so much of the training, from 0 to 1, is over."""
        return self.first * math.pow(self.last / self.first, progress)


class MoveComponents(Callback):
    """Every few epochs, births, splits, merges and deletions that raise the bound.

    They are judged on ``latents``, of rows as they are or of random views of them.

    At each of these epochs, the N_eff of the bound goes on along ``coarsening``. Moves leave
    ``fewest`` components.

    ``moves`` holds (epoch, kind, components after it, gain in nats) of each that was kept; it
    travels in the checkpoint.
    """

    def __init__(
        self,
        model: DeepInfiniteMixture,
        latents: Latents,
        seed: int,
        *,
        kinds: tuple[str, ...],
        fewest: int = 1,
        coarsening: Coarsening,
        every: int,
    ) -> None:
        self.model, self.latents, self.seed = model, latents, seed
        self.kinds, self.fewest, self.every = kinds, fewest, every
        self.coarsening = coarsening
        self.moves: list[tuple[int, str, int, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        assert trainer.max_epochs
        mixture = self.model.mixture
        mixture.n_eff.fill_(self.coarsening.n_eff(epoch / trainer.max_epochs))
        if not self.kinds:
            return
        mean, var = self.latents(epoch)
        rng = np.random.RandomState(epoch_seed(self.seed, epoch, MIXTURE))
        kept = mixture.improve(mean, var, rng, moves=self.kinds, fewest=self.fewest)
        self.moves += [(epoch, move.kind, move.n_components, move.gain) for move in kept]

    def state_dict(self) -> dict[str, Any]:
        return {"moves": self.moves}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.moves = state_dict["moves"]


def posteriors(
    model: DeepInfiniteMixture, x: Num[Tensor, "N P"]
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Mean and variance of q(z | x) of every row, as it is."""
    return _posteriors(model, x, lambda rows: rows)


def posteriors_of_views(
    model: DeepInfiniteMixture,
    x: Num[Tensor, "N P"],
    seed: int,
    share: float = 1.0,
    neighbours: Neighbours | None = None,
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Mean and variance of q(z | x) of a random view of every row, or of a ``share`` of them.

    In such a share of the cases in which training does, one of the ``neighbours`` stands for a row.
    """
    if neighbours:
        generator = torch.Generator().manual_seed(seed)
        fewer = replace(neighbours, share=share * neighbours.share)
        x = x[fewer.stand_ins(torch.arange(len(x)), generator)]

    def seen(rows: Tensor) -> Tensor:
        (views,) = model.copies(rows, 1)
        return torch.where(torch.rand(len(rows), 1, device=rows.device) < share, views, rows)

    with own_random_numbers():
        torch.manual_seed(seed)
        return _posteriors(model, x, seen)


def _posteriors(
    model: DeepInfiniteMixture, x: Num[Tensor, "N P"], seen: Callable[[Tensor], Tensor]
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    def mean_and_var(rows: Tensor) -> Tensor:
        q = model.encoder(seen(rows))
        return torch.cat([q.mean, q.variance], dim=1)

    with at_rest(model):
        mean, var = in_chunks(mean_and_var, x, device_of(model)).chunk(2, dim=1)
    return mean, var
