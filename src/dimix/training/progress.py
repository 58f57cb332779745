"""How far a fit is: a bar over epochs, and one without an end where there are none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dimix.mixture.inference.distributed import is_first
from dimix.training.callbacks import History

BETWEEN_LINES = 30.0
"""Seconds from one line about the progress to the next, where no bar can be drawn."""

TITLE = TextColumn("{task.description}", markup=False)


@contextmanager
def waiting(title: str | None) -> Iterator[None]:
    """Show the title and the seconds that pass; nothing without one, nor on further ranks."""
    if title is None or not is_first():
        yield
        return
    with Progress(TITLE, BarColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(title, total=None)
        yield
        bar.update(task, total=1, completed=1)


class EpochProgress(Callback):
    """A progress bar over epochs with the last loss of a history and the time left.

    Where nothing can be drawn, as in a file, a line now and then.
    """

    def __init__(self, title: str, history: History) -> None:
        self.title, self.history = title, history
        self.task = TaskID(0)
        self.told = time.perf_counter()
        self.bar = Progress(
            TITLE,
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.start()
        self.task = self.bar.add_task(
            self.title, total=trainer.max_epochs, completed=trainer.current_epoch, loss="–"
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = f"{self.history.rows[-1]['train_loss']:.2f}"
        self.bar.update(self.task, completed=trainer.current_epoch + 1, loss=loss)
        console, now = self.bar.console, time.perf_counter()
        if not (console.is_terminal or console.is_jupyter) and now - self.told > BETWEEN_LINES:
            self.told = now
            console.print(self.line(), markup=False, soft_wrap=True)

    def line(self) -> str:
        """How far it is, in words."""
        (task,) = self.bar.tasks
        left = timedelta(seconds=round(task.time_remaining or 0))
        epochs = f"{task.completed:.0f}/{task.total:.0f} epochs"
        return f"{self.title}: {epochs}  loss {task.fields['loss']}  about {left} left"

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()
