"""Sizes, certainty and the nearest cluster, by hand."""

import numpy as np

from dimix.cli.clusters import Cluster, clusters_by_size, clusters_of


def test_clusters_by_hand() -> None:
    probabilities = np.array([[0.1, 0.9, 0, 0], [0, 0.6, 0, 0.4], [1.0, 0, 0, 0]])
    first, second = clusters_of(probabilities)
    assert first == Cluster(1, 2, 2 / 3, 0.75, 3)
    assert second == Cluster(0, 1, 1 / 3, 1.0, None)


def test_of_sizes_alone() -> None:
    assert clusters_by_size(np.array([1.0, 3.0])) == [Cluster(1, 3.0, 0.75), Cluster(0, 1.0, 0.25)]
