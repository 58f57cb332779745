"""Images as small pictures of bytes, as many as a page can carry."""

import numpy as np
from jaxtyping import Float, Int64, Shaped, UInt8
from PIL import Image

LARGEST = 48
"""Pixels along a picture's longer side."""
BUDGET = 6_000_000
"""Bytes of all thumbnails before they are packed."""


class Drawer:
    """Makes pictures of a data set's images, all on one scale of brightness."""

    def __init__(self, images: Shaped[np.ndarray, "n h w *c"]) -> None:
        """Bytes are 0..255; floats are in [0, 1], or else between their own extremes."""
        self.is_bytes = images.dtype == np.uint8
        self.low = 0.0 if self.is_bytes else float(images.min())
        self.high = 1.0 if self.is_bytes else float(images.max())
        height, width = images.shape[1:3]
        shrink = min(1.0, LARGEST / max(height, width))
        self.size = max(1, round(height * shrink)), max(1, round(width * shrink))
        self.is_colour = images.ndim == 4 and images.shape[3] in (3, 4)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture: (h, w), or (h, w, 3) in colour."""
        return (*self.size, 3) if self.is_colour else self.size

    def __call__(self, images: Shaped[np.ndarray, "m h w *c"]) -> UInt8[np.ndarray, "m ..."]:
        """Pictures of images as they are in the data."""
        scaled = images.astype(np.float32)
        return self.decoded(scaled / 255 if self.is_bytes else scaled)

    def decoded(self, images: Float[np.ndarray, "m h w *c"]) -> UInt8[np.ndarray, "m ..."]:
        """Pictures of what a model decodes: floats on the data's scale, bytes over 255."""
        if images.ndim == 4:
            images = images[..., :3] if self.is_colour else images.mean(-1)
        whole = as_bytes(images, self.low, self.high)
        if whole.shape[1:3] == self.size:
            return whole
        height, width = self.size
        reduced = [Image.fromarray(x).resize((width, height), Image.Resampling.BOX) for x in whole]
        return np.stack([np.asarray(x) for x in reduced])


def as_bytes(
    images: Float[np.ndarray, "*shape"], low: float, high: float
) -> UInt8[np.ndarray, "*shape"]:
    """Floats as bytes: black is 0 and white 1 where the data's extremes allow it, or else these."""
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    unit = (images - low) / ((high - low) or 1.0)
    whole: UInt8[np.ndarray, "*shape"] = np.rint(255 * np.clip(unit, 0, 1)).astype(np.uint8)
    return whole


def within_budget(
    shape: tuple[int, ...], order: Int64[np.ndarray, " n"], rng: np.random.Generator
) -> Int64[np.ndarray, " t"]:
    """Which points have thumbnails: half by their order, the others at random."""
    most = max(1, BUDGET // int(np.prod(shape)))
    if len(order) <= most:
        return np.sort(order)
    first, others = np.split(order, [most // 2])
    drawn = rng.choice(others, most - most // 2, replace=False)
    return np.sort(np.concatenate([first, drawn]))


def said_of(n_pictures: int, n_points: int) -> list[str]:
    """The note on points without a thumbnail, if there are any."""
    if n_pictures == n_points:
        return []
    return [f"{n_pictures:,} of {n_points:,} points have a picture: the most and the least "
            "typical ones, and others at random."]  # fmt: skip
