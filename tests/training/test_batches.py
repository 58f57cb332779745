"""Batches: every row once an epoch, in an order that the seed and the epoch alone decide."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dimix.data.neighbours import Neighbours
from dimix.training.batches import EpochBatches, Rows, RowsModule, as_float
from dimix.training.seeds import NOISE, ORDER, epoch_seed


@given(n=st.integers(1, 300), batch_size=st.integers(1, 70), epoch=st.integers(0, 5))
def test_an_epoch_visits_every_row_once(n: int, batch_size: int, epoch: int) -> None:
    batches = EpochBatches(n, batch_size, seed=3)
    batches.set_epoch(epoch)
    index = [places for (places,) in batches]
    assert len(index) == len(batches)
    assert all(len(part) == batch_size for part in index[:-1])
    assert len(index[-1]) > 1 or 1 in (n, batch_size)  # BatchNorm makes nothing of one row
    assert sorted(torch.cat(index).tolist()) == list(range(n))


@given(n=st.integers(1, 300), batch_size=st.integers(4, 70))
def test_every_rank_has_a_row_of_every_batch(n: int, batch_size: int) -> None:
    both = [EpochBatches(n, batch_size, 3, n_ranks) for n_ranks in (4, 1)]
    shared, alone = ([places for (places,) in batches] for batches in both)
    assert min(len(part) for part in shared) >= min(n, batch_size, 8)  # two a rank
    assert torch.equal(torch.cat(shared), torch.cat(alone))
    assert len(both[0]) == len(shared)


def test_order_differs_by_epoch_and_by_seed_and_repeats() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = EpochBatches(50, 50, seed)
        batches.set_epoch(epoch)
        return next(iter(batches))[0].tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_seeds_of_epochs_and_streams_do_not_meet() -> None:
    seeds = {epoch_seed(s, e, k) for s in range(20) for e in range(50) for k in (ORDER, NOISE)}
    assert len(seeds) == 20 * 50 * 2


def test_loader_slices_whole_batches() -> None:
    x = torch.arange(20, dtype=torch.uint8).reshape(10, 2)
    loader = RowsModule(x, EpochBatches(10, 4, seed=0)).train_dataloader()
    parts = [part for (part,) in loader]
    assert [len(part) for part in parts] == [4, 4, 2]
    seen = np.sort((torch.cat(parts) * 255).round().int().numpy()[:, 0])
    np.testing.assert_array_equal(seen, x[:, 0].int().numpy())
    assert len(Rows(x)) == 10


def test_neighbours_are_seen_in_place_of_some_rows_alike_in_a_repeated_epoch() -> None:
    x = torch.arange(10.0)[:, None]
    next_one = (torch.arange(10)[:, None] + 1) % 10
    batches = EpochBatches(10, 4, seed=0, neighbours=Neighbours(next_one, 0.5))
    loader = RowsModule(x, batches).train_dataloader()
    own, seen = (torch.cat(part)[:, 0] for part in zip(*loader, strict=True))
    ahead = (seen - own) % 10
    assert set(ahead.tolist()) == {0, 1}
    again = [torch.cat(part)[:, 0] for part in zip(*loader, strict=True)]
    assert torch.equal(own, again[0])
    assert torch.equal(seen, again[1])


def test_bytes_become_fractions_and_floats_stay() -> None:
    assert as_float(torch.tensor([[0, 255]], dtype=torch.uint8)).tolist() == [[0.0, 1.0]]
    assert as_float(torch.tensor([[3.5]], dtype=torch.float64)).tolist() == [[3.5]]
