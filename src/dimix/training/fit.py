"""One call that trains a model: Lightning's trainer with checkpoints and resume."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Num
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from dimix.data.neighbours import Neighbours
from dimix.mixture.inference.distributed import from_first, is_first
from dimix.models import Model
from dimix.training.batches import EpochBatches, RowsModule
from dimix.training.callbacks import (
    EpochCheckpoint,
    History,
    Scorer,
    StopDiverged,
)
from dimix.training.denormals import FlushDenormals
from dimix.training.identity import DATA, EPOCHS, SCHEDULE, OtherTrainingError, checksum
from dimix.training.interruption import Interruption
from dimix.training.plan import Plan, Schedule
from dimix.training.precision import Fixed, Precision, resolve_precision
from dimix.training.progress import EpochProgress
from dimix.training.quiet import quiet_lightning
from dimix.training.ranks import Ranks
from dimix.training.seeds import own_random_numbers

LAST = "last.ckpt"
OTHER_SIZES = "Error(s) in loading state_dict"
"""What PyTorch says of weights that do not fit."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train.

    checkpoint_dir: where a checkpoint and curves.csv are kept after every epoch; a checkpoint
        already there is resumed from, and one of a finished training is simply loaded.
        One of other data, seed, batch size, learning rate, schedule or settings is refused, and
        one of more epochs; where the learning rate falls, these must be the same, or as many as
        have been trained.
    neighbours: which other rows the networks see in place of some; None for none.
    settings: what else shapes the training, by name: numbers, texts and such.
    any_seed: one that began with another seed may be gone on with.
    progress: the title of the progress bar; None shows none.
    before: the epochs of the trainings that this one follows, for the logger to count on from.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    any_seed: bool = False
    schedule: Schedule = "constant"
    neighbours: Neighbours | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "auto"
    ranks: Ranks = field(default_factory=Ranks)
    checkpoint_dir: Path | None = None
    progress: str | None = None
    logger: Logger | None = None
    before: int = 0
    callbacks: Sequence[Callback] = field(default_factory=tuple)

    def identity(self, x: Num[Tensor, "N P"]) -> dict[str, Any]:
        """What a training that goes on from this one's checkpoint must share."""
        return {
            **self.settings,
            DATA: checksum(x),
            EPOCHS: self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            SCHEDULE: self.schedule,
        } | ({} if self.any_seed else {"seed": self.seed})

    def batches(self, n_rows: int) -> EpochBatches:
        """The minibatches of so many rows."""
        return EpochBatches(n_rows, self.batch_size, self.seed, self.ranks.number, self.neighbours)


def train(
    model: Model,
    x: Num[Tensor, "N P"],
    training: Training,
    x_val: Num[Tensor, "M P"] | None = None,
    scorer: Scorer | None = None,
) -> list[dict[str, float]]:
    """Train in place and return the history, one row an epoch.

    Several ranks call this alike, each with all rows, and get the same model; the files are
    those of the first, and the others must be able to read them.

    Raises:
        DivergedError: the loss became NaN or infinite, or no mixture fits the latents.
        ValueError: the checkpoint is none, or of another training.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last whole epoch stays.
    """
    folder = training.checkpoint_dir
    with training.ranks.sharing():
        first = is_first()
        last = from_first(lambda: folder / LAST if folder and (folder / LAST).exists() else None)
        device = torch.device(training.ranks.accelerator)
        precision = from_first(lambda: resolve_precision(training.precision, device))
    curves = folder / "curves.csv" if folder and first else None
    history = History(x_val, scorer, curves, training.before)
    interruption = Interruption()
    callbacks: list[Callback] = [StopDiverged(), *training.callbacks]
    callbacks += [FlushDenormals(), interruption, history]
    if training.progress is not None and first:
        callbacks.append(EpochProgress(training.progress, history))
    plan = Plan(
        model,
        training.learning_rate,
        training.seed,
        training.schedule,
        training.ranks,
        training.identity(x) if folder else None,
    )
    rows = RowsModule(x, training.batches(len(x)))
    model.train()  # Lightning leaves the mode as it finds it
    try:
        with quiet_lightning(), own_random_numbers():
            trainer = make_trainer(training, callbacks, precision)
            with interruption.heard(trainer), tensors_alone(last):
                trainer.fit(plan, datamodule=rows, ckpt_path=last, weights_only=True)
    finally:
        model.eval()
    return history.rows


def make_trainer(training: Training, callbacks: list[Callback], precision: Fixed) -> Trainer:
    """Lightning's trainer with its own screen output off and a checkpoint after every epoch."""
    folder, ranks = training.checkpoint_dir, training.ranks
    if folder:
        callbacks = [*callbacks, EpochCheckpoint(folder / LAST)]
    return Trainer(
        max_epochs=training.epochs,
        accelerator=ranks.accelerator,
        devices=ranks.devices,
        num_nodes=ranks.num_nodes,
        strategy=ranks.strategy,
        precision=precision,
        callbacks=callbacks,
        logger=training.logger or False,
        log_every_n_steps=1,  # of steps nothing is logged, and a longer interval is warned of
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


@contextmanager
def tensors_alone(last: Path | None) -> Iterator[None]:
    """Say plainly why a checkpoint is refused: damaged, or of another training.

    Of one that holds more than tensors, PyTorch would advise to execute it.
    """

    def refused(why: object) -> ValueError:
        return ValueError(f"{last}: {why}; move it away, or give another checkpoint_dir")

    damaged = refused("not a checkpoint of dimix, or not all of it, and nothing in it was executed")
    if last and not zipfile.is_zipfile(last):
        raise damaged
    try:
        yield
    except pickle.UnpicklingError:
        raise damaged from None
    except OtherTrainingError as error:
        raise refused(error) from None
    except RuntimeError as error:
        if last and OTHER_SIZES in str(error):
            raise refused("of a training of another model, or one of other sizes") from None
        raise
