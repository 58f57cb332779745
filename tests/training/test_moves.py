"""What births, splits, merges and deletions of a training are judged on."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dimix.data.neighbours import Neighbours
from dimix.mixture import DirichletProcessGaussianMixture
from dimix.models import DeepInfiniteMixture
from dimix.nets import MLP
from dimix.priors import Climb, InfiniteMixture
from dimix.training import Training, train
from dimix.training.moves import Coarsening, MoveComponents, posteriors, posteriors_of_views

N, P, D = 60, 5, 2


@pytest.fixture
def x() -> Tensor:
    return torch.randn(N, P, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(x: Tensor) -> DeepInfiniteMixture:
    torch.manual_seed(0)
    model = DeepInfiniteMixture((P,), D, architecture=MLP((8, 8)), likelihood="gaussian")
    mean, var = posteriors(model, x)
    fitted = DirichletProcessGaussianMixture(3, random_state=0).fit(mean.numpy(), var=var.numpy())
    mixture = InfiniteMixture.from_fit(fitted.posterior_, mean, var, Climb(N))
    model.give_mixture(mixture, 1, 1.0)
    return model


def test_n_eff_falls_in_equal_ratios() -> None:
    at = [Coarsening(800.0, 100.0).n_eff(progress) for progress in (0, 1 / 3, 2 / 3, 1)]
    assert at == pytest.approx([800, 400, 200, 100])


def test_moves_are_judged_on_the_latents_given(model: DeepInfiniteMixture, x: Tensor) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def improve(mean: Tensor, var: Tensor, *_: Any, **__: Any) -> tuple[()]:
        seen.append((mean, var))
        return ()

    model.mixture.improve = improve  # type: ignore[method-assign, assignment]
    given = {epoch: (torch.full((N, D), float(epoch)), torch.ones(N, D)) for epoch in (2, 4)}
    mover = MoveComponents(
        model, given.__getitem__, 0, kinds=("merge",), coarsening=Coarsening(N, N), every=2
    )
    train(model, x, Training(epochs=4, batch_size=N, learning_rate=1e-3, seed=0, callbacks=[mover]))
    torch.testing.assert_close(seen, list(given.values()))


@pytest.mark.parametrize("views", [1, 3])
def test_latents_of_views_are_of_one_view_of_each_row(
    model: DeepInfiniteMixture, x: Tensor, views: int
) -> None:
    model.augment, model.n_views = torch.neg, views
    torch.testing.assert_close(posteriors_of_views(model, x, 0), posteriors(model, -x))


def test_a_share_of_the_rows_may_be_seen_as_views(model: DeepInfiniteMixture, x: Tensor) -> None:
    model.augment = torch.neg
    as_they_are, moved = posteriors(model, x)[0], posteriors(model, -x)[0]
    some = posteriors_of_views(model, x, 0, 0.3)[0]
    which = (some == moved).all(1)
    assert 8 <= int(which.sum()) <= 28  # of 60, at three standard deviations of 18
    torch.testing.assert_close(some, torch.where(which[:, None], moved, as_they_are))
    torch.testing.assert_close(posteriors_of_views(model, x, 0, 0.0)[0], as_they_are)


def test_views_may_be_of_neighbours_again_in_that_share(
    model: DeepInfiniteMixture, x: Tensor
) -> None:
    neighbours = Neighbours(torch.arange(N).roll(1)[:, None], 1.0)
    model.augment = torch.neg
    theirs = posteriors(model, -x.roll(1, dims=0))
    torch.testing.assert_close(posteriors_of_views(model, x, 0, 1.0, neighbours), theirs)
    as_they_are = posteriors_of_views(model, x, 0, 0.0, neighbours)
    torch.testing.assert_close(as_they_are, posteriors(model, x))


def test_without_views_they_are_those_of_the_rows(model: DeepInfiniteMixture, x: Tensor) -> None:
    torch.testing.assert_close(posteriors_of_views(model, x, 0), posteriors(model, x))


def test_the_seed_decides_which_views(model: DeepInfiniteMixture, x: Tensor) -> None:
    """And the random numbers of whoever calls are left as they were."""
    model.augment = lambda rows: rows + torch.randn_like(rows)
    before = torch.get_rng_state()
    first, again, other = (posteriors_of_views(model, x, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(first, again)
    assert not torch.allclose(first, other)
