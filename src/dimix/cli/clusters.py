"""The clusters of a fit: how large, how certain, and which is nearest to each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster that holds rows.

    certainty: the mean probability of this cluster over its rows; nearest: the cluster that has
    most of the rest of it. Both are None where only the sizes are known.
    """

    cluster: int
    size: float
    share: float
    certainty: float | None = None
    nearest: int | None = None


def clusters_of(probabilities: Float[np.ndarray, "N K"]) -> list[Cluster]:
    """The clusters of rows, each of which is in its most probable one; the largest first."""
    labels = probabilities.argmax(1)
    sizes = np.bincount(labels, minlength=probabilities.shape[1])
    found = []
    for k in np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]:
        mean = probabilities[labels == k].mean(0, dtype=np.float64)
        certainty, mean[k] = float(mean[k]), 0.0
        nearest = int(mean.argmax()) if mean.any() else None
        size = int(sizes[k])
        found.append(Cluster(int(k), size, size / len(labels), certainty, nearest))
    return found


def clusters_by_size(sizes: Num[np.ndarray, " K"]) -> list[Cluster]:
    """The clusters of which only the sizes are known; the largest first."""
    order = np.argsort(-sizes, kind="stable")
    return [Cluster(int(k), float(sizes[k]), float(sizes[k] / sizes.sum())) for k in order]


def cluster_table(clusters: Sequence[Cluster]) -> Table:
    """The clusters for a terminal."""
    table = Table(title=f"{len(clusters)} clusters")
    for heading in ("cluster", "size", "share", "mean certainty", "nearest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in clusters:
        certainty = "–" if one.certainty is None else f"{one.certainty:.3f}"
        nearest = "–" if one.nearest is None else str(one.nearest)
        table.add_row(str(one.cluster), f"{one.size:,.0f}", f"{one.share:.1%}", certainty, nearest)
    return table
