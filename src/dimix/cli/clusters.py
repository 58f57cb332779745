"""The clusters of a fit: how large, how certain, and which is nearest to each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num, Shaped
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster.

    certainty: the mean probability of this cluster over its rows; nearest: the one, of those that
    hold rows, that has most of the rest of it. Both are None of a cluster without rows, and where
    only the sizes are known.
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
    for k in np.argsort(-sizes, kind="stable"):
        certainty = nearest = None
        if sizes[k]:
            mean = probabilities[labels == k].mean(0, dtype=np.float64) * (sizes > 0)
            certainty, mean[k] = float(mean[k]), 0.0
            nearest = int(mean.argmax()) if mean.any() else None
        size = int(sizes[k])
        found.append(Cluster(int(k), size, size / len(labels), certainty, nearest))
    return found


def clusters_in(
    model: Any, X: Shaped[np.ndarray, "N *shape"], labels: Shaped[np.ndarray, " N"] | None
) -> tuple[list[Cluster], dict[str, float] | None]:
    """The clusters that a model, if it has any, sees in data; and scores if there are labels.

    Components of a mixture that are clusters by themselves are left out if they hold no row.
    """
    from dimix.metrics import clustering_scores

    if not hasattr(model, "predict_proba"):
        return [], None
    probabilities = model.predict_proba(X)
    found = clusters_of(probabilities)
    if getattr(model, "n_clusters_", len(found)) < len(found):
        found = [one for one in found if one.size]
    if labels is None:
        return found, None
    return found, asdict(clustering_scores(labels, probabilities.argmax(1)))


def clusters_by_size(sizes: Num[np.ndarray, " K"]) -> list[Cluster]:
    """The clusters of which only the sizes are known; the largest first."""
    order = np.argsort(-sizes, kind="stable")
    return [Cluster(int(k), float(sizes[k]), float(sizes[k] / sizes.sum())) for k in order]


def cluster_table(clusters: Sequence[Cluster]) -> Table:
    """The clusters for a terminal."""
    empty = sum(one.size == 0 for one in clusters)
    title = f"{len(clusters)} cluster{'s' if len(clusters) > 1 else ''}"
    table = Table(title=f"{title}, {empty} of which without a row" if empty else title)
    for heading in ("cluster", "size", "share", "mean certainty", "nearest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in clusters:
        certainty = "–" if one.certainty is None else f"{one.certainty:.3f}"
        nearest = "–" if one.nearest is None else str(one.nearest)
        table.add_row(str(one.cluster), f"{one.size:,.0f}", f"{one.share:.1%}", certainty, nearest)
    return table
