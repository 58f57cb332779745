"""Scores of a clustering against known labels: arrays in, one immutable result out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, Shaped
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    adjusted_rand_score,
    completeness_score,
    normalized_mutual_info_score,
)

EFFECTIVE_SHARE = 0.005
"""A cluster is effective if it holds more than this share of the rows."""


@dataclass(frozen=True)
class ClusteringScores:
    """How well clusters agree with classes; 1 is perfect for the first four.

    Attributes:
        acc: share of rows that agree under the best one-to-one matching of clusters to classes
            (Hungarian method). Rows of clusters left without a class count as wrong.
        nmi: mutual information over the arithmetic mean of the two entropies.
        cs: completeness, 1 - H(cluster | class) / H(cluster); 1 by definition for one cluster.
        ari: Rand index adjusted for chance.
        n_clusters: number of clusters with at least one row.
        n_effective: number of clusters that hold more than 0.5% of the rows.
    """

    acc: float
    nmi: float
    cs: float
    ari: float
    n_clusters: int
    n_effective: int


def matched_rows(
    labels_true: Shaped[np.ndarray, " N"], labels_pred: Shaped[np.ndarray, " N"]
) -> Bool[np.ndarray, " N"]:
    """Which rows are of the class that their cluster is matched to, one to one (Hungarian method).

    The matching is the one with the most such rows; a cluster left without a class has none.
    """
    n_classes, of_class = _numbered(labels_true)
    n_clusters, of_cluster = _numbered(labels_pred)
    table = np.zeros((n_clusters, n_classes), dtype=np.int64)
    np.add.at(table, (of_cluster, of_class), 1)
    clusters, classes = linear_sum_assignment(table, maximize=True)
    class_of = np.full(n_clusters, -1)
    class_of[clusters] = classes
    matched: Bool[np.ndarray, " N"] = class_of[of_cluster] == of_class
    return matched


def _numbered(labels: Shaped[np.ndarray, " N"]) -> tuple[int, Int64[np.ndarray, " N"]]:
    names, number = np.unique(labels, return_inverse=True)
    return len(names), number


def clustering_scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> ClusteringScores:
    """Score predicted clusters ``[N]`` against true classes ``[N]``.

    Labels are integers, booleans or strings; which names they carry does not matter.

    Raises:
        ValueError: an argument is not one-dimensional, is empty, holds real numbers, or the
            two differ in length.
    """
    true, pred = _labels("labels_true", labels_true), _labels("labels_pred", labels_pred)
    if len(true) != len(pred):
        raise ValueError(
            "labels_true and labels_pred must have the same length, "
            f"got {len(true)} and {len(pred)}"
        )
    sizes = np.unique(pred, return_counts=True)[1]
    return ClusteringScores(
        acc=float(matched_rows(true, pred).mean()),
        nmi=float(normalized_mutual_info_score(true, pred, average_method="arithmetic")),
        cs=float(completeness_score(true, pred)),
        ari=float(adjusted_rand_score(true, pred)),
        n_clusters=len(sizes),
        n_effective=int((sizes > EFFECTIVE_SHARE * len(true)).sum()),
    )


def _labels(name: str, values: ArrayLike) -> Shaped[np.ndarray, " N"]:
    labels = np.asarray(values)
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"{name} must be a non-empty vector of labels, got shape {labels.shape}")
    if labels.dtype.kind not in "biuSUO":
        raise ValueError(f"{name} must hold integers or strings, got dtype {labels.dtype}")
    return labels
