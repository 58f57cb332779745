"""Parts of a minibatch: put together again they are the whole, with its noise and its mean."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn.functional import gumbel_softmax

from dimix.models import minibatch
from dimix.nets import diagonal_normal

N_RANKS, N = 3, 8


def on_each_rank(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], torch.Tensor]
) -> list[torch.Tensor]:
    """What ``work`` gives on each of several ranks, all with the same seed."""
    found = []
    for rank in range(N_RANKS):
        monkeypatch.setattr(minibatch, "place", lambda rank=rank: (rank, N_RANKS))
        torch.manual_seed(0)
        found.append(work())
    return found


@pytest.mark.parametrize("draw", [torch.randn_like, partial(gumbel_softmax, tau=0.5)])
def test_an_object_gets_the_same_numbers_on_any_rank(
    draw: Callable[[torch.Tensor], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = torch.arange(2.0 * N * 3).reshape(2, N, 3).sin()
    torch.manual_seed(0)
    expected = draw(whole)

    def work() -> torch.Tensor:
        return minibatch.drawn(draw, minibatch.part_of(whole, 1), N)

    parts = on_each_rank(monkeypatch, work)
    assert [part.shape[1] for part in parts] == [3, 3, 2]
    torch.testing.assert_close(torch.cat(parts, 1), expected, rtol=0, atol=0)


def test_one_rank_draws_as_torch_does() -> None:
    q = diagonal_normal(torch.ones(4, 3), torch.ones(4, 3))
    torch.manual_seed(0)
    expected = q.rsample()
    torch.manual_seed(0)
    assert torch.equal(minibatch.rsample(q, 4), expected)


def test_gradients_averaged_over_ranks_are_those_of_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = torch.arange(float(N)).requires_grad_()
    monkeypatch.setattr(minibatch, "all_reduce_", lambda _: N_RANKS * values.detach().mean())
    means = on_each_rank(monkeypatch, lambda: minibatch.mean_over(minibatch.part_of(values), N))
    (sum(mean.square() for mean in means) / N_RANKS).backward()
    found, values.grad = values.grad, None
    values.mean().square().backward()
    assert [mean.item() for mean in means] == [3.5] * N_RANKS
    torch.testing.assert_close(found, values.grad)
