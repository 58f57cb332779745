"""Views: random copies of a sample that show the same object."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.metrics import pairwise_distances_chunked
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

KNOTS = 4
"""Knots of a bend along each side of an image."""
ASKED, AMONG = 1_000, 100_000
"""Rows whose neighbours are looked for, and among how many: more would say the same."""
SAME = 1e-6
"""Rows nearer to each other than this share of their spread are repetitions."""
MOST = 0.5
"""Noise has at most this share of the spread of the columns. Where these hold a few values each,
the next row is so far that more would drown what tells rows apart."""


@dataclass(frozen=True)
class RandomWarp:
    """Rotation, shear, scale, shift and a smooth bend, drawn for every image.

    rotation in radians, scale as a share of the size, shear as a slope, shift as a share of
    half the side: each is drawn evenly, and is the largest value to either side. bend is the
    standard deviation, as a share of half the side, of how far the knots of a coarse grid are
    moved, and all between them smoothly (after Simard, Steinkraus and Platt 2003). What comes in
    from outside continues the image's border.
    """

    rotation: float = 0.2
    scale: float = 0.15
    shear: float = 0.2
    shift: float = 0.1
    bend: float = 0.1

    def __call__(self, images: Float[Tensor, "B H W *C"]) -> Float[Tensor, "B H W *C"]:
        """A moved copy of each image."""
        channels_first = (images[..., None] if images.ndim == 3 else images).movedim(-1, 1)
        grid = self._grid(channels_first)
        moved = grid_sample(channels_first, grid, padding_mode="border", align_corners=False)
        return moved.movedim(1, -1).reshape(images.shape)

    def _grid(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W 2"]:
        """Where each pixel of a new image looks in the old one, in coordinates of [-1, 1].

        Map and bend are both sums of products of a function of the pixel's row and one of its
        column: 1, the coordinate, and those that bicubic interpolation weighs the knots by.
        """
        down, along = (_functions(size, images) for size in images.shape[2:])
        weights = images.new_zeros(len(images), 2, 2 + KNOTS, 2 + KNOTS)
        of_column, of_row, constant = self._maps(images).unbind(2)
        weights[:, :, 0, 1], weights[:, :, 1, 0], weights[:, :, 0, 0] = of_column, of_row, constant
        weights[:, :, 2:, 2:] = self.bend * torch.randn(
            len(images), 2, KNOTS, KNOTS, dtype=images.dtype, device=images.device
        )
        grid: Tensor = torch.einsum("hi,bcij,wj->bhwc", down, weights, along)
        return grid.contiguous()

    def _maps(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2 3"]:
        """One affine map an image, from the new image's coordinates in [-1, 1] to the old's."""
        height, width = images.shape[2:]
        angle, size, slope, right, down = torch.empty(
            5, len(images), dtype=images.dtype, device=images.device
        ).uniform_(-1, 1)
        angle, size, slope = self.rotation * angle, 1 + self.scale * size, self.shear * slope
        cos, sin = angle.cos() * size, angle.sin() * size
        rows = (
            torch.stack([cos, (cos * slope - sin) * (height / width), self.shift * right], dim=1),
            torch.stack([sin * (width / height), sin * slope + cos, self.shift * down], dim=1),
        )
        return torch.stack(rows, dim=1)


def _functions(size: int, like: Tensor) -> Float[Tensor, "size F"]:
    """1, the coordinate, and the knots' weights, of each pixel along a side of an image."""
    places = (2 * torch.arange(size, dtype=like.dtype, device=like.device) + 1) / size - 1
    knots = torch.eye(KNOTS, dtype=like.dtype, device=like.device)[None, None]
    weights = interpolate(knots, size=(size, KNOTS), mode="bicubic", align_corners=True)[0, 0]
    return torch.column_stack([torch.ones_like(places), places, weights])


@dataclass(frozen=True)
class Jitter:
    """Normal noise on every column of a table, with one standard deviation ``sd``."""

    sd: float

    def __call__(self, rows: Float[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """A copy of each row, moved."""
        return rows + self.sd * torch.randn_like(rows)

    @classmethod
    def towards_neighbours(cls, rows: Float[Tensor, "N P"], share: float) -> "Jitter | None":
        """Noise that moves a row by ``share`` of the way to its nearest neighbour.

        The median over rows is taken, and half of the columns' spread at most. None where all
        rows are the same.
        """
        some = rows[:: math.ceil(len(rows) / AMONG)].double().numpy()
        ways = _nearest(some)
        found = ways[np.isfinite(ways)]
        if not len(found):
            return None
        near, spread = float(np.median(found)) / rows.shape[1] ** 0.5, some.var(0).mean() ** 0.5
        return cls(min(share * near, MOST * float(spread)))


def check_augment(augment: Callable[[Tensor], Any], samples: Float[Tensor, "B *shape"]) -> None:
    """Raise unless ``augment`` makes views of these samples."""
    try:
        with torch.random.fork_rng(devices=(), device_type="cuda"):
            made = augment(samples.clone())
    # What a callable of one's own raises can be anything.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"augment fails on samples {list(samples.shape)}: {reason}") from error
    good = isinstance(made, Tensor) and made.shape == samples.shape and made.dtype == samples.dtype
    if not good or not bool(made.isfinite().all()):
        found = (
            f"{made.dtype} {list(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        )
        raise ValueError(
            f"augment must return finite numbers, {samples.dtype} {list(samples.shape)} as it was "
            f"given; found {found}"
        )


def _nearest(rows: Float[np.ndarray, "N P"]) -> Float[np.ndarray, " M"]:
    """From some of the rows to their nearest others; repetitions of a row are no others."""
    rows = rows - rows.mean(0)
    least = SAME * np.sqrt((rows**2).sum(1).mean())

    def others(distances: Float[np.ndarray, "M N"], _: int) -> Float[np.ndarray, " M"]:
        nearest: Float[np.ndarray, " M"] = np.where(distances > least, distances, np.inf).min(1)
        return nearest

    asked = rows[:: math.ceil(len(rows) / ASKED)]
    return np.concatenate(list(pairwise_distances_chunked(asked, rows, reduce_func=others)))
