"""What a training is of: one that goes on from a checkpoint must be of the same."""

import zlib
from collections.abc import Mapping
from typing import Any

from jaxtyping import Num
from torch import Tensor

IDENTITY = "training"
"""Where a checkpoint keeps it."""
DATA, EPOCHS, SCHEDULE = "data", "epochs", "schedule"


class OtherTrainingError(ValueError):
    """A checkpoint is of another training; the message says what differs."""


def checksum(x: Num[Tensor, "N P"]) -> str:
    """A fingerprint of rows, shape and all."""
    return f"{tuple(x.shape)}, {zlib.crc32(x.contiguous().numpy().data):08x}"


def check_same_training(checkpoint: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless a training can go on from the checkpoint, or is at its end there.

    Epochs that a training had before it may differ, unless the learning rate falls with them.

    Raises:
        OtherTrainingError: it is of other data, has gone further, or another number differs.
    """
    before, trained = checkpoint.get(IDENTITY, {}), checkpoint["epoch"] + 1
    compared = before.keys() & now.keys()
    if now[SCHEDULE] == "constant" or trained == now[EPOCHS]:
        compared -= {EPOCHS}
    for name in sorted(name for name in compared if before[name] != now[name]):
        if name == DATA:
            raise OtherTrainingError("of a training on other data")
        raise OtherTrainingError(
            f"of a training with {name}={before[name]!r}, and this one has {now[name]!r}"
        )
    if trained > now[EPOCHS]:
        raise OtherTrainingError(f"of {trained} epochs, and this training has {now[EPOCHS]}")
