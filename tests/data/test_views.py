"""Random views: range, shapes, what stays the same."""

import pytest
import torch
from torch.nn.functional import affine_grid, interpolate

from dimix.data.views import KNOTS, Jitter, RandomWarp


@pytest.mark.parametrize("shape", [(5, 9, 12), (5, 9, 12, 3)])
def test_shape_and_range_stay(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape)
    moved = RandomWarp()(images)
    assert moved.shape == images.shape
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1 + 1e-6
    assert not torch.allclose(moved, images)


def test_the_still_map_changes_nothing() -> None:
    images = torch.rand(3, 8, 8)
    torch.testing.assert_close(RandomWarp(0, 0, 0, 0, 0)(images), images, atol=1e-5, rtol=0)


def test_a_shift_alone_moves_by_up_to_its_share_of_half_the_width() -> None:
    images = torch.zeros(200, 41, 41)
    images[:, 20, 20] = 1
    moved = RandomWarp(0, 0, 0, 0.2, 0)(images)
    columns = (moved.sum(1) * torch.arange(41)).sum(1) / moved.sum((1, 2))
    distance = (columns - 20).abs()
    assert 3.5 < float(distance.max()) <= 0.2 * 41 / 2 + 0.5


def test_a_bend_alone_moves_parts_of_an_image_apart_smoothly() -> None:
    images = torch.linspace(-1, 1, 64).expand(200, 64, 64)  # a pixel is its own place
    moved = RandomWarp(0, 0, 0, 0, 0.05)(images)
    by = (moved - images)[:, 8:-8, 8:-8]  # away from the border, which is continued
    assert float(by.std()) == pytest.approx(0.04, rel=0.3)
    assert float(by.std((1, 2)).min()) > 0.005
    assert float(by.diff(dim=2).abs().max()) < 0.02


def test_a_view_looks_where_torch_puts_the_map_and_the_bend() -> None:
    warp, images = RandomWarp(), torch.rand(6, 1, 20, 28)
    torch.manual_seed(0)
    grid = warp._grid(images)
    torch.manual_seed(0)
    maps, knots = warp._maps(images), warp.bend * torch.randn(6, 2, KNOTS, KNOTS)
    bend = interpolate(knots, size=(20, 28), mode="bicubic", align_corners=True)
    expected = affine_grid(maps, [6, 1, 20, 28], align_corners=False) + bend.movedim(1, -1)
    torch.testing.assert_close(grid, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (20, 20)])
def test_an_image_is_turned_and_sheared_in_pixels(shape: tuple[int, int]) -> None:
    images, (height, width) = torch.rand(50, 1, *shape), shape
    to_pixels = torch.tensor([width, height]) / 2

    def in_pixels(warp: RandomWarp) -> torch.Tensor:
        return warp._maps(images)[:, :, :2] * to_pixels[:, None] / to_pixels

    turns = in_pixels(RandomWarp(1.0, 0, 0, 0, 0))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(2).expand(50, 2, 2))
    slopes = in_pixels(RandomWarp(0, 0, 0.2, 0, 0))[:, 0, 1]
    assert 0.15 < float(slopes.abs().max()) <= 0.2


def test_every_image_has_a_map_of_its_own() -> None:
    moved = RandomWarp()(torch.rand(8, 8).expand(2, 8, 8))
    assert not torch.allclose(moved[0], moved[1])


def test_a_border_that_is_not_black_stays() -> None:
    torch.testing.assert_close(RandomWarp()(torch.ones(4, 8, 8)), torch.ones(4, 8, 8))


def test_noise_goes_as_far_as_the_share_of_the_way_to_a_neighbour() -> None:
    rows = 5 * torch.arange(40.0)[:, None].expand(40, 3) + 1e4  # neighbours are √75 apart
    jitter = Jitter.towards_neighbours(rows, 0.5)
    assert jitter is not None
    assert jitter.sd == pytest.approx(2.5)
    moved = jitter(torch.zeros(20_000, 3))
    assert moved.std().item() == pytest.approx(2.5, rel=0.05)


def test_repetitions_are_no_neighbours() -> None:
    rows = torch.arange(10.0)[:, None].repeat(5, 1)
    jitter = Jitter.towards_neighbours(rows, 1.0)
    assert jitter is not None
    assert jitter.sd == pytest.approx(1.0)


def test_rows_that_are_all_the_same_get_no_noise() -> None:
    assert Jitter.towards_neighbours(torch.full((7, 2), 1e6), 1.0) is None
    assert Jitter.towards_neighbours(torch.ones(1, 2), 1.0) is None


def test_noise_does_not_drown_columns_of_few_values() -> None:
    rows = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)  # neighbours are one step apart
    jitter = Jitter.towards_neighbours(rows, 1.0)
    assert jitter is not None
    assert jitter.sd == pytest.approx(0.25)  # half of the columns' spread, not all of it
