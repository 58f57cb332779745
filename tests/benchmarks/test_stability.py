"""The measures of stability on cases that can be counted by hand, and the committed page."""

import json

import numpy as np
import pytest

from benchmarks import stability


def test_the_largest_fall_is_from_one_epoch_to_the_next():
    scores = np.array([np.nan, 0.5, 0.75, 0.5, 0.625, 0.5])
    assert stability.largest_fall(scores) == 0.25


def test_calibration_counts_images_of_clusters_without_a_class_as_wrong():
    # Clusters 0 and 2 are matched to the classes 1 and 0; cluster 1 is left over.
    probability = np.array([[0.9, 0.1, 0.0]] * 2 + [[0.0, 0.3, 0.7]] * 2 + [[0.2, 0.8, 0.0]])
    made = stability.calibration(probability, np.array([1, 1, 0, 0, 0]))
    assert made["mean_probability"] == pytest.approx((0.9 * 2 + 0.7 * 2 + 0.8) / 5)
    assert made["accuracy"] == 0.8
    assert made["expected_calibration_error"] == pytest.approx((0.1 * 2 + 0.3 * 2 + 0.8) / 5)


def test_every_cell_of_algorithm1_has_its_fall():
    cases = list(stability.by_epoch(stability.PAPER, "algorithm1"))
    assert {case["row"] for case in cases} >= {"algorithm1-soft", "algorithm1-hard"}
    assert all(case["largest_fall"] > 0 for case in cases)


def test_the_committed_page_is_that_of_the_record():
    record = json.loads((stability.RUN / "stability.json").read_text())
    assert stability.page(record) == (stability.RUN / "stability.md").read_text()
    seeds = [cell.seed for cell in stability.of_ten_latents()]
    assert [int(seed) for seed in record["by_probability"]] == seeds == sorted(set(seeds))
    assert len(record["by_seed"]) == len(seeds) * (len(seeds) - 1) // 2
