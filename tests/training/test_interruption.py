"""Ctrl-C ends a training wherever it arrives, and leaves the signal as it was."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from dimix.models import VAE
from dimix.training import Training, train
from dimix.training.fit import LAST


@pytest.fixture
def handler() -> Iterator[Any]:
    """Python's own, which a run in a shell's background would not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class CtrlC(Callback):
    """Ctrl-C in the second epoch, in code that drops the exception or that lets it through."""

    def __init__(self, *, drops: bool) -> None:
        self.drops = drops

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        if trainer.current_epoch == 1:
            with contextlib.suppress(KeyboardInterrupt if self.drops else ()):
                os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("drops", [False, True], ids=["let through", "dropped"])
def test_ctrl_c_ends_the_training(drops: bool, handler: Any, tmp_path: Path) -> None:
    training = Training(
        epochs=4,
        batch_size=50,
        learning_rate=1e-3,
        seed=0,
        checkpoint_dir=tmp_path,
        callbacks=[CtrlC(drops=drops)],
    )
    with pytest.raises(KeyboardInterrupt):
        train(VAE((12,), 2, architecture=(8,)), torch.rand(200, 12), training)
    assert torch.load(tmp_path / LAST, weights_only=True)["epoch"] == 0
    assert signal.getsignal(signal.SIGINT) is handler
