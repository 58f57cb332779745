"""Two processes with a shard each find what one process with all rows finds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing

import distributed_workers
from dimix.mixture.inference.distributed import all_reduce_, largest


def test_alone_it_is_the_identity() -> None:
    tensor = torch.arange(3.0)
    assert all_reduce_(tensor) is tensor
    assert tensor.tolist() == [0, 1, 2]
    assert largest(5) == 5


@pytest.mark.slow
def test_two_shards_give_the_answer_of_all_rows(tmp_path: Path) -> None:
    multiprocessing.spawn(distributed_workers.fit_shard, (str(tmp_path),), nprocs=2)
    ranks = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    alone = distributed_workers.fits(None)
    for name in alone:
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name])  # every rank the same bits
    for name in ("batch", "stream", "mean", "covariance"):
        np.testing.assert_allclose(ranks[0][name], alone[name], rtol=1e-8)
    # Memoized ranks visit a group each at a time, so the path differs; the first pass does not.
    np.testing.assert_allclose(ranks[0]["memoized"][:2], alone["memoized"][:2], rtol=1e-8)
    assert np.diff(ranks[0]["memoized"])[1:].min() > -1e-7


@pytest.mark.slow
def test_a_rank_that_dies_is_an_error_and_no_hang(tmp_path: Path) -> None:
    multiprocessing.spawn(distributed_workers.outlive_the_other, (str(tmp_path),), nprocs=2)
    message = (tmp_path / "error").read_text()
    assert message.startswith("rank 0 of 2 could not add up the statistics: another rank")
