"""Adam's averages, kept out of the range of numbers in which processors are slow."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.nn.functional import hardshrink

EVERY = 50
"""Steps between two looks, each of which costs about as much as one of Adam's."""


class FlushDenormals(Callback):
    """Sets those of Adam's averages to zero that are too small to change a weight.

    Of a weight whose gradient stays zero, as an inactive unit's does, the averages fall
    geometrically until they are denormal, and stay so for ever: nine tenths of the smallest number
    is rounded to itself. With most of them there, a CPU takes several times as long for a step.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step % EVERY == 0:
            for averages in trainer.optimizers[0].state.values():
                flush_(averages["exp_avg"])
                flush_(averages["exp_avg_sq"])


def flush_(numbers: torch.Tensor) -> None:
    """Set what is denormal to zero, in place."""
    numbers.copy_(hardshrink(numbers, torch.finfo(numbers.dtype).tiny))
