"""Neighbours: the nearest others, whatever repeats, and how often they stand for a row."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dimix.data import neighbours
from dimix.data.neighbours import Neighbours, nearest


@given(n=st.integers(6, 60), far=st.sampled_from((0.0, 1e4)), seed=st.integers(0, 99))
def test_they_are_the_nearest_others(n: int, far: float, seed: int) -> None:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    distances = torch.cdist(x.double(), x.double()).fill_diagonal_(torch.inf)
    expected = distances.topk(3, largest=False).values
    torch.testing.assert_close(
        distances.gather(1, nearest(x + far, 3)), expected, rtol=0.05, atol=0
    )


def test_images_are_compared_in_their_principal_components() -> None:
    kinds = torch.arange(4).repeat_interleave(30)
    x = 255 * torch.eye(4).repeat_interleave(25, 1)[kinds]
    noisy = (x + torch.randint(0, 60, x.shape, generator=torch.Generator().manual_seed(0))).clamp(
        max=255
    )
    found = nearest(noisy.to(torch.uint8), 5)
    assert torch.equal(kinds[found], kinds[:, None].expand(-1, 5))


@pytest.mark.parametrize("columns", [4, 80])
def test_repeated_rows_are_each_others_neighbours_and_never_their_own(columns: int) -> None:
    found = nearest(torch.ones(70, columns), 5)
    assert found.shape == (70, 5)
    assert not bool((found == torch.arange(70)[:, None]).any())


def test_of_many_rows_some_are_looked_among(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "AMONG", 25)
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    found = nearest(x, 3)
    assert bool((found % 4 == 0).all())
    assert not bool((found == torch.arange(100)[:, None]).any())
    all_of_them = nearest(x, 90)
    assert all_of_them.shape == (100, 24)
    assert not bool((all_of_them == torch.arange(100)[:, None]).any())


def test_of_few_rows_all_others_are_neighbours_and_one_has_none() -> None:
    few = Neighbours.among(torch.rand(3, 2), 5, 0.5)
    assert few is not None
    assert few.places.sort(1).values.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert Neighbours.among(torch.rand(1, 2), 5, 0.5) is None
    assert Neighbours.among(torch.rand(9, 2), 0, 0.5) is None


def test_they_stand_for_a_share_of_the_rows_each_as_often() -> None:
    near = Neighbours(torch.tensor([[1, 2], [0, 2], [0, 1]]), 0.4)
    places = torch.arange(3).repeat(20_000)
    found = near.stand_ins(places, torch.Generator().manual_seed(0)).view(-1, 3)
    shares = torch.stack([(found == place).float().mean(0) for place in range(3)])
    torch.testing.assert_close(shares, 0.2 + 0.4 * torch.eye(3), rtol=0, atol=0.01)
