"""Ctrl-C during a training: one KeyboardInterrupt for certain, and never Lightning's own exit."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Interruption(Callback):
    """Raises KeyboardInterrupt where it arrives, and should that get lost, after the minibatch.

    Python raises it in whatever runs at that moment, and C code that asks for an attribute or an
    entry may take any exception for "there is none": the training would go on to its end.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def heard(self, trainer: Trainer) -> Iterator[None]:
        """Within, Ctrl-C is KeyboardInterrupt, where Lightning would make it an exit.

        A handler of the caller's own stays in place.
        """
        before = signal.getsignal(signal.SIGINT)
        ours = callable(before) and current_thread() is main_thread()
        if ours and before is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        except SystemExit:
            if not trainer.interrupted:
                raise
            raise KeyboardInterrupt from None
        finally:
            if ours:  # Lightning leaves it ignored
                signal.signal(signal.SIGINT, before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
