"""How many of the views of a training are the samples as they are."""

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from dimix.models.vae import VAE


@dataclass(frozen=True)
class Unmoved:
    """The share of views that are samples as they are: ``first``, and ``last`` from ``begin`` on.

    ``begin`` is a part of the training, from 0 to 1.
    """

    first: float
    last: float
    begin: float

    def share(self, progress: float) -> float:
        """The share when so much of the training, from 0 to 1, is over."""
        return self.first if progress < self.begin else self.last


class LeaveUnmoved(Callback):
    """Has the model leave as many of its samples unmoved as the epoch asks for."""

    def __init__(self, model: VAE, unmoved: Unmoved) -> None:
        self.model, self.unmoved = model, unmoved

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:  # Lightning leaves out on_train_epoch_start in a resumed epoch
            assert trainer.max_epochs
            self.model.unmoved = self.unmoved.share(trainer.current_epoch / trainer.max_epochs)
