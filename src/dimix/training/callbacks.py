"""What happens at an epoch's end: the mixture refitted, scores taken, a checkpoint written."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxtyping import Num
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from dimix.models import Algorithm1
from dimix.records import appearing, write_curves
from dimix.training.evaluation import at_rest, average_terms, device_of, in_chunks
from dimix.training.plan import Plan
from dimix.training.seeds import EVALUATION, MIXTURE, epoch_seed

Scorer = Callable[[], dict[str, float]]


def as_numbers(scores: Any) -> dict[str, float]:
    """What a scorer returned, as numbers that a checkpoint may hold.

    Raises:
        ValueError: it is no dict of numbers.
    """
    try:
        return {str(name): float(value) for name, value in scores.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"scorer must return a dict of numbers; found {scores!r}") from None


def with_scores(row: dict[str, float], scores: dict[str, float]) -> dict[str, float]:
    """The columns of an epoch, those of a scorer beside the training's own.

    Raises:
        ValueError: the scorer names one of the training's.
    """
    if taken := (row.keys() | {"epoch", "seconds"}) & scores.keys():
        raise ValueError(f"scorer must not return {min(taken)!r}: the history has it already")
    return row | scores


class DivergedError(RuntimeError):
    """The loss became NaN or infinite, or the latents such that no mixture fits them.

    good_epochs: how many epochs ended well before; a checkpoint folder holds the last of them.
    """

    def __init__(self, good_epochs: int, why: str) -> None:
        super().__init__(f"training diverged in epoch {good_epochs + 1}: {why}")
        self.good_epochs = good_epochs


class StopDiverged(Callback):
    """The first at an epoch's end: of networks that diverged nothing else is made there.

    Raises:
        DivergedError: the training loss, or a weight after the last step, is not finite.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Plan)
        found = {"loss": pl_module.epoch_means()["loss"]}
        found["weights"] = sum(float(w.detach().sum()) for w in pl_module.parameters())
        for what, value in found.items():
            if not math.isfinite(value):
                why = f"the {what} became {value}; try a smaller learning_rate"
                raise DivergedError(trainer.current_epoch, why)


class RefitMixture(Callback):
    """Algorithm 1's DP-GMM: fitted before the first epoch and again after each.

    The fit after an epoch is the one that the next begins with; a resumed run finds it again
    from the restored encoder and the same seed.

    Raises:
        DivergedError: the latents are not finite, or no mixture fits them.
    """

    def __init__(self, model: Algorithm1, x: Num[Tensor, "N P"], seed: int) -> None:
        self.model, self.x, self.seed = model, x, seed
        self.fitted = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.refit(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.refit(trainer.current_epoch + 1)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.fitted:  # a finished training was loaded and no epoch was left to run
            self.refit(trainer.current_epoch)

    def refit(self, epoch: int) -> None:
        self.fitted = True
        with at_rest(self.model):
            latents = in_chunks(self.model.embed, self.x, device_of(self.model))
        try:
            self.model.refit(latents, epoch_seed(self.seed, epoch, MIXTURE))
        except ValueError as error:
            why = f"no mixture could be fitted to the latents: {error}"
            raise DivergedError(max(0, epoch - 1), why) from error


class History(Callback):
    """One row an epoch: seconds, training and validation terms, and any further scores.

    The rows travel in the checkpoint, so that a resumed run's history is whole; with a
    `file` they are also written there as CSV after every epoch. A logger is given them as those
    of a training that follows so many epochs ``before``.
    """

    def __init__(
        self,
        x_val: Num[Tensor, "N P"] | None,
        scorer: Scorer | None,
        file: Path | None,
        before: int = 0,
    ) -> None:
        self.x_val, self.scorer, self.file, self.before = x_val, scorer, file, before
        self.rows: list[dict[str, float]] = []
        self.started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Plan)
        row = {f"train_{k}": v for k, v in pl_module.epoch_means().items()}
        with at_rest(pl_module.model):
            if self.x_val is not None:
                seed = epoch_seed(pl_module.seed, trainer.current_epoch, EVALUATION)
                means = average_terms(pl_module.model, self.x_val, seed)
                row |= {f"val_{k}": v for k, v in means.items()}
            row = with_scores(row, self.scorer() if self.scorer else {})
        now, epoch = time.perf_counter(), trainer.current_epoch + 1
        row = {"epoch": epoch, "seconds": now - self.started} | row
        self.add(row)
        self.started = now
        if trainer.logger:
            step = self.before + epoch
            trainer.logger.log_metrics(row | {"epoch": step}, step=step)

    def add(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        if self.file:
            write_curves(self.rows, self.file)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]


class EpochCheckpoint(Checkpoint):
    """One checkpoint, replaced atomically at every epoch's end (Lightning runs this one last).

    Lightning itself moves a file from the folder for temporary ones, which copies it where that
    is another disk, and leaves a part of it where this one is full.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            with appearing(self.file) as beside:
                trainer.save_checkpoint(beside)
        else:  # takes part, and writes nothing
            trainer.save_checkpoint(self.file)
