"""Libraries without their banners."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

OF_ITS_TREES = "treespec, LeafSpec"
"""A warning of PyTorch about its own code."""


@contextmanager
def quiet(loggers: Sequence[str], messages: Sequence[str]) -> Iterator[None]:
    """Nothing but errors from some loggers, and no warning that holds one of some messages."""
    with ExitStack() as undo, warnings.catch_warnings():
        for name in loggers:
            log = logging.getLogger(name)
            undo.callback(log.setLevel, log.level)
            log.setLevel(logging.ERROR)
        for message in messages:
            warnings.filterwarnings("ignore", message=f".*{message}.*")
        yield


def quiet_lightning() -> AbstractContextManager[None]:
    """Lightning's banners off, and its warnings about choices that are made on purpose."""
    return quiet(
        ("lightning.pytorch", "lightning.fabric"),
        ("does not have many workers", "GPU available but not used", "Grad strides", OF_ITS_TREES),
    )
