"""Scores against hand-worked cases and against every permutation of the names."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimix.metrics import clustering_scores
from oracles import accuracy_by_permutation

labels = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=15)


def test_perfect_clusters_under_other_names() -> None:
    scores = clustering_scores([0, 0, 1, 1, 2], ["b", "b", "c", "c", "a"])
    assert (scores.acc, scores.nmi, scores.cs, scores.ari) == pytest.approx((1, 1, 1, 1))
    assert (scores.n_clusters, scores.n_effective) == (3, 3)


def test_more_clusters_than_classes_by_hand() -> None:
    # Two classes of four; the first is split in two clusters of two.
    scores = clustering_scores([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 2, 2])
    h_class, h_cluster = math.log(2), 1.5 * math.log(2)
    information = h_class
    assert scores.acc == pytest.approx(6 / 8)
    assert scores.nmi == pytest.approx(information / ((h_class + h_cluster) / 2))
    assert scores.cs == pytest.approx(information / h_cluster)
    # 8 pairs share a cluster, 12 a class, 8 both; by chance 8 * 12 / 28.
    chance = 8 * 12 / 28
    assert scores.ari == pytest.approx((8 - chance) / ((8 + 12) / 2 - chance))


def test_fewer_clusters_than_classes_leave_a_class_unmatched() -> None:
    scores = clustering_scores([0, 0, 1, 2], [5, 5, 5, 5])
    assert scores.acc == pytest.approx(0.5)
    assert scores.cs == 1  # by definition
    assert scores.nmi == 0
    assert scores.n_clusters == 1


@given(labels)
def test_accuracy_is_the_best_of_all_permutations(pairs: list[tuple[int, int]]) -> None:
    true, pred = np.array(pairs).T
    assert clustering_scores(true, pred).acc == pytest.approx(accuracy_by_permutation(true, pred))


def test_effective_clusters_hold_more_than_half_a_percent() -> None:
    sizes = [985, 9, 5, 1]  # of 1,000: 5 is exactly 0.5%
    scores = clustering_scores(np.zeros(1000, int), np.repeat(range(4), sizes))
    assert (scores.n_clusters, scores.n_effective) == (4, 2)


def test_the_result_is_immutable() -> None:
    scores = clustering_scores([0, 1], [0, 1])
    with pytest.raises(FrozenInstanceError):
        scores.acc = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([0, 1], [0], "same length, got 2 and 1"),
        ([], [], "labels_true must be a non-empty vector"),
        ([[0, 1]], [0, 1], r"labels_true must be a non-empty vector of labels, got shape \(1, 2\)"),
        ([0, 1], [0.5, np.nan], "labels_pred must hold integers or strings, got dtype float64"),
    ],
)
def test_bad_labels_are_named(true: list, pred: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clustering_scores(true, pred)
