"""What a training is of: one that goes on from a checkpoint must be of the same."""

import zlib
from collections.abc import Mapping
from typing import Any

from jaxtyping import Num
from torch import Tensor

IDENTITY = "training"
"""Where a checkpoint keeps it."""
DATA, EPOCHS = "data", "epochs"


class OtherTrainingError(ValueError):
    """A checkpoint is of another training; the message says what differs."""


def checksum(x: Num[Tensor, "N P"]) -> str:
    """A fingerprint of rows, shape and all."""
    return f"{tuple(x.shape)}, {zlib.crc32(x.contiguous().numpy().data):08x}"


def check_same_training(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless the two agree in all that both know; there may be more epochs now.

    Raises:
        OtherTrainingError: they are of other data, or another number differs.
    """
    for name in before.keys() & now.keys():
        differ = before[name] > now[name] if name == EPOCHS else before[name] != now[name]
        if differ and name == DATA:
            raise OtherTrainingError("of a training on other data")
        if differ:
            raise OtherTrainingError(
                f"of a training with {name}={before[name]!r}, and this one has {now[name]!r}"
            )
