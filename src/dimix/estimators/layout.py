"""Images that seem to have been given in a shape which hides what they are."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dimix.estimators.warning import warn_user
from dimix.training import CHUNK

CHANNELS, LEAST_SIDE = (1, 3, 4), 8
"""Numbers of channels that images usually have, and the side of the smallest usual ones."""
WHOLE = 1e-3
"""How far rounding takes a grey level from a whole number, at most."""


def warn_of_layout(rows: Shaped[Tensor, "N *shape"]) -> None:
    """Say so where channels come first, a table's columns look like pixels, or bytes are bits.

    Warns:
        UserWarning: how to give the same numbers as images [N, H, W] or [N, H, W, C].
    """
    channels = _of_channels(*rows.shape[1:]) if rows.ndim == 4 else ""
    for hint in (channels, _of_pixels(rows), _of_bits(rows)):
        if hint:
            warn_user(hint)


def _of_channels(height: int, width: int, channels: int) -> str:
    if height not in CHANNELS or channels in CHANNELS:
        return ""
    return (
        f"images of shape {(height, width, channels)} are taken for {height} x {width} pixels of "
        f"{channels} channels; if channels come first, give numpy.moveaxis(X, 1, -1)"
    )


def _of_pixels(rows: Shaped[Tensor, "N *shape"]) -> str:
    side = math.isqrt(rows.shape[-1])
    square = side >= LEAST_SIDE and side**2 == rows.shape[-1]
    if rows.ndim > 2 or not square or not _like_greys(rows[:CHUNK]):
        return ""
    return (
        f"{side**2} columns of grey levels look like the pixels of {side} x {side} images; if they "
        f"are, give X.reshape(-1, {side}, {side}), for images are clustered better as such"
    )


def _of_bits(rows: Shaped[Tensor, "N *shape"]) -> str:
    if rows.dtype != torch.uint8 or rows.max() != 1:
        return ""
    return (
        "bytes of images are parts of 255, and none here is more than 1: if that is white, give "
        "X.astype(bool)"
    )


def _like_greys(rows: Float[Tensor, "N P"]) -> bool:
    """Whether all are whole numbers from 0 to 255, or 255th parts, and some lie between ends."""
    low, high = rows.aminmax()
    if low < 0 or high > 255:
        return False
    levels = rows * (255 if high <= 1 else 1)
    between = ((rows > low) & (rows < high)).any()
    return bool(between and ((levels - levels.round()).abs() < WHOLE).all())
