"""Sizes, certainty and the nearest cluster, by hand."""

import numpy as np

from dimix.cli.clusters import Cluster, cluster_table, clusters_by_size, clusters_of


def test_clusters_by_hand() -> None:
    probabilities = np.array([[0.1, 0.9, 0, 0], [0, 0.6, 0, 0.4], [1.0, 0, 0, 0]])
    first, second, *empty = clusters_of(probabilities)
    assert first == Cluster(1, 2, 2 / 3, 0.75, 0)  # 3 has more of the rest, but holds no row
    assert second == Cluster(0, 1, 1 / 3, 1.0, None)
    assert empty == [Cluster(2, 0, 0.0), Cluster(3, 0, 0.0)]


def test_clusters_without_a_row_are_counted_in_the_title() -> None:
    assert cluster_table(clusters_of(np.array([[1.0, 0.0]]))).title == (
        "2 clusters, 1 of which without a row"
    )
    assert cluster_table(clusters_of(np.ones((2, 1)))).title == "1 cluster"


def test_of_sizes_alone() -> None:
    assert clusters_by_size(np.array([1.0, 3.0])) == [Cluster(1, 3.0, 0.75), Cluster(0, 1.0, 0.25)]
