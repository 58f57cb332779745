"""Neighbours: other samples that stand for a sample in some of its views."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, Num
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

COMPONENTS = 50
"""Principal components in which neighbours are near: further ones cost more than they tell."""
AMONG = 10_000
"""The most rows among which neighbours are looked for: the search takes as much longer."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The places of the nearest other rows of each row, and how often one stands for it.

    A row and its neighbours are taken to show the same kind of thing (after Dwibedi et al. 2021,
    With a little help from my friends). So what is far apart for a network, but joined by rows
    that are near each other, comes together.
    """

    places: Int64[Tensor, "N k"]
    share: float

    @classmethod
    def among(cls, rows: Num[Tensor, "N P"], n_neighbors: int, share: float) -> "Neighbours | None":
        """So many neighbours of each row, or all others if there are fewer; None for none."""
        return cls(nearest(rows, n_neighbors), share) if n_neighbors and len(rows) > 1 else None

    def stand_ins(
        self, places: Int64[Tensor, " B"], generator: torch.Generator
    ) -> Int64[Tensor, " B"]:
        """Who stands for the rows in these places: a neighbour at random, or the row itself."""
        which = torch.randint(self.places.shape[1], places.shape, generator=generator)
        swapped = torch.rand(len(places), generator=generator) < self.share
        return torch.where(swapped, self.places[places, which], places)


def nearest(rows: Num[Tensor, "N P"], n_neighbors: int) -> Int64[Tensor, "N k"]:
    """The places of the nearest other rows of each row, the nearest first: at most so many."""
    z = _principal(rows)
    among = np.arange(0, len(z), math.ceil(len(z) / AMONG))
    n_neighbors = min(n_neighbors, len(among) - 1)
    # One more, since a row finds itself as well.
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, algorithm="brute").fit(z[among])
    found = among[search.kneighbors(z, return_distance=False)]
    itself = found == np.arange(len(z))[:, None]
    others = np.take_along_axis(found, itself.argsort(axis=1, kind="stable"), axis=1)
    return torch.from_numpy(others[:, :n_neighbors].copy())


def _principal(rows: Num[Tensor, "N P"]) -> Float32[np.ndarray, "N d"]:
    """The rows in their first principal components, or as they are if they have few columns."""
    x = rows.float()
    if min(x.shape) <= COMPONENTS:
        return (x - x.mean(0)).numpy()
    pca = PCA(COMPONENTS, random_state=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # where all rows are the same
        z: Float32[np.ndarray, "N d"] = pca.fit_transform(x.numpy())
    return z
