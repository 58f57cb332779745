"""The training plan: Adam on whatever loss a model gives. It is blind to the model."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from dimix.models import Model
from dimix.training.batches import Batch
from dimix.training.evaluation import TermAverages
from dimix.training.identity import IDENTITY, check_same_training
from dimix.training.ranks import Ranks
from dimix.training.seeds import NOISE, epoch_seed

Schedule = Literal["constant", "linear"]


class Plan(LightningModule):
    """One model, one optimiser, and the running averages of the epoch's bound terms.

    schedule: "constant" keeps the learning rate; "linear" lets it fall to 0 over the last two
    thirds of the steps. identity: what a training that goes on from a checkpoint must share.
    """

    def __init__(
        self,
        model: Model,
        learning_rate: float,
        seed: int,
        schedule: Schedule = "constant",
        ranks: Ranks = Ranks(),  # noqa: B008 (immutable)
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.identity = dict(identity or {})
        self.model, self.ranks = model, ranks
        self.learning_rate, self.seed, self.schedule = learning_rate, seed, schedule
        self.averages = TermAverages()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if batch_idx == 0:  # Lightning leaves out on_train_epoch_start in a resumed epoch
            torch.manual_seed(epoch_seed(self.seed, self.current_epoch, NOISE))
            self.averages = TermAverages()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        with self.ranks.sharing():
            objective = self.model.objective(*batch)
        self.averages.add(objective)
        return objective.loss

    def epoch_means(self) -> dict[str, float]:
        """The epoch's terms, averaged over the samples of all ranks."""
        with self.ranks.sharing():
            return self.averages.means()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[IDENTITY] = self.identity

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_same_training(checkpoint, self.identity)

    def configure_optimizers(self) -> Any:
        # fused: one pass over the weights instead of a dozen
        adam = torch.optim.Adam(self.parameters(), self.learning_rate, fused=True)
        if self.schedule == "constant":
            return adam
        steps = self.trainer.estimated_stepping_batches
        falling = torch.optim.lr_scheduler.LambdaLR(
            adam, lambda step: min(1.0, 1.5 * (1 - step / steps))
        )
        return {"optimizer": adam, "lr_scheduler": {"scheduler": falling, "interval": "step"}}
