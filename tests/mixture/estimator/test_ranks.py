"""The estimator on two ranks with a shard each is the estimator on all rows."""

from pathlib import Path

import numpy as np
import pytest
from torch import multiprocessing

import distributed_workers

# Moves make the start here, and more coordinate ascent follows; memoized ranks take turns.
ONLY_CLOSE = {"moves": 1e-3, "blocks": 1e-3}


@pytest.mark.slow
def test_two_shards_give_the_mixture_of_all_rows(tmp_path: Path) -> None:
    multiprocessing.spawn(distributed_workers.fit_estimators, (str(tmp_path),), nprocs=2)
    ranks = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    alone = distributed_workers.estimators(None)
    for name, expected in alone.items():
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name])  # every rank the same bits
        tolerance = ONLY_CLOSE.get(name.split()[0], 1e-8)
        if name.endswith("bounds") and tolerance > 1e-8:
            assert ranks[0][name][-1] == pytest.approx(expected[-1], rel=1e-6)
        else:
            np.testing.assert_allclose(
                ranks[0][name], expected, rtol=tolerance, atol=tolerance, err_msg=name
            )


@pytest.mark.slow
def test_what_is_wrong_on_one_rank_is_an_error_on_both(tmp_path: Path) -> None:
    multiprocessing.spawn(distributed_workers.hear_errors, (str(tmp_path),), nprocs=2)
    said = {path.name: path.read_text() for path in tmp_path.iterdir()}
    width = "ValueError: the number of columns of X must be the same on every rank, got 3 on rank 0"
    assert said["width0"] == said["width1"] == f"{width}, 2 on rank 1"
    assert said["nan1"].startswith("ValueError: Input X contains NaN")
    assert said["nan0"].startswith("RuntimeError: rank 1 of 2 failed with ValueError: Input X")


@pytest.mark.slow
def test_a_rank_that_dies_is_an_error_and_no_hang(tmp_path: Path) -> None:
    multiprocessing.spawn(
        distributed_workers.outlive_the_other_estimator, (str(tmp_path),), nprocs=2
    )
    message = (tmp_path / "error").read_text()
    assert message.startswith("rank 0 of 2 could not hear from every rank: another rank has ended")
