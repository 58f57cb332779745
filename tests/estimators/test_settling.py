"""The mixture of the final latents, and the clusters that its tree keeps."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from dimix.estimators.settling import most_used, overcomplete, settle
from dimix.mixture import Hierarchy
from dimix.models import DeepInfiniteMixture
from dimix.nets import MLP
from dimix.priors import Climb, InfiniteMixture
from dimix.training.moves import posteriors

N, P, D = 300, 5, 2
MIXED = torch.ones(D, dtype=torch.bool)


@pytest.fixture
def x() -> Tensor:
    """Three blobs."""
    generator = torch.Generator().manual_seed(0)
    centres = 8 * torch.randn(3, P, generator=generator)
    return centres.repeat(N // 3, 1) + torch.randn(N, P, generator=generator)


class Leading(nn.Module):
    """An encoder to the first columns."""

    def forward(self, x: Tensor) -> Independent[Normal]:
        return Independent(Normal(x[..., :D], 0.1), 1)


class Parting(nn.Module):
    """An encoder to the first columns, but far away where the last is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Independent[Normal]:
        away = 40.0 * (x[..., -1:] > self.threshold)
        return Independent(Normal(x[..., :D] + away, 0.1), 1)


def trained(x: Tensor, n_components: int, encoder: nn.Module | None = None) -> DeepInfiniteMixture:
    """A model whose mixture has a few components, whatever the clusters are."""
    model = DeepInfiniteMixture((P,), D, architecture=MLP((8, 8)), likelihood="gaussian").eval()
    model.encoder = encoder or Leading()
    latents = posteriors(model, x)
    fitted = overcomplete(latents, n_components, weight=1.0, seed=0)
    mixture = InfiniteMixture.from_fit(fitted, *latents, Climb(N)).eval()
    model.give_mixture(mixture, 1, 1.0)
    return model


def settled(
    model: DeepInfiniteMixture, x: Tensor, kept_at: float | None, *, join: bool = True
) -> Hierarchy:
    latents = posteriors(model, x)
    fitted = overcomplete(latents, 12, weight=2.0, seed=1)
    return settle(model, x, fitted, latents, MIXED, weight=2.0, kept_at=kept_at, join=join)


@pytest.mark.parametrize(
    ("most", "chosen"), [(1, [3]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 3])]
)
def test_latents_that_tell_nothing_are_not_mixed(most: int, chosen: list[int]) -> None:
    scale = torch.tensor([0.1, 1.0, 0.01, 2.0])
    mean = scale * torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    var = torch.tensor([0.9, 0.1, 1.0, 0.1]).expand(N, 4)
    assert most_used((mean, var), most).nonzero()[:, 0].tolist() == chosen
    assert most_used((torch.zeros(N, 4), var), most).sum() == most  # none is used yet


@pytest.mark.parametrize("n_components", [2, 3])
def test_the_tree_keeps_the_clusters_that_the_model_had(x: Tensor, n_components: int) -> None:
    model = trained(x, n_components)
    before = model.log_assignments(x).argmax(1).numpy()
    tree = settled(model, x, kept_at=80.0)
    components = model.log_assignments(x).argmax(1).numpy()
    cut = tree.cut(n_eff=80.0)
    assert len(tree.leaves) > n_components
    assert cut.max() + 1 == n_components
    for cluster in range(n_components):
        members = before[cut[components] == cluster]
        assert np.bincount(members).max() > 0.8 * len(members)


def test_fragments_are_joined_where_they_are_kept(x: Tensor) -> None:
    parting = Parting(float(x[::3, -1].median()))  # the first blob comes apart
    apart, joined = (
        settled(trained(x, 4, parting), x, kept_at=80.0, join=join) for join in (False, True)
    )
    assert apart.cut(n_eff=80.0).max() + 1 == 4
    assert joined.cut(n_eff=80.0).max() + 1 == 3
    np.testing.assert_array_equal(joined.cut(n_clusters=4), apart.cut(n_clusters=4))


def test_a_tree_that_keeps_nothing_is_that_of_the_new_mixture(x: Tensor) -> None:
    """Whatever the model had before."""
    two, three = (settled(trained(x, k), x, kept_at=None) for k in (2, 3))
    np.testing.assert_array_equal(two.merges, three.merges)
    np.testing.assert_array_equal(two.heights, three.heights)
    assert two.n_rows == pytest.approx(2 * N)
