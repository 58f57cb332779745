"""Data whose truth is known, the number of clusters unknown to the fit.

Random networks' images of Gaussians, and vectors of length one around some directions, as
networks for text and images give them. Everything but the networks' width is
the default; true labels only score.
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from dimix import DeepInfiniteMixture
from dimix.metrics import clustering_scores
from dimix.nets import MLP

N, FEATURES, SEPARATION, NOISE = 6_000, 50, 8.0, 0.1


def decoded_mixture(n_clusters: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows [N, 50] = tanh layer of z + noise, and the clusters of z ~ N(μ_k, I).

    The nearest μ are SEPARATION apart; NOISE is a share of each column's spread.
    """
    g = torch.Generator().manual_seed(0)
    means = torch.randn(n_clusters, dim, generator=g)
    means *= SEPARATION / torch.pdist(means).min()
    labels = torch.randint(n_clusters, (N,), generator=g)
    z = means[labels] + torch.randn(N, dim, generator=g)
    hidden = z @ torch.randn(dim, 64, generator=g) / (dim**0.5 * means.std())
    hidden = torch.tanh(hidden + 0.5 * torch.randn(64, generator=g))
    clean = hidden @ torch.randn(64, FEATURES, generator=g)
    rows = clean / clean.std(0) + NOISE * torch.randn(N, FEATURES, generator=g)
    return rows.numpy(), labels.numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_clusters", "dim", "allowed"),
    [(3, 5, {3, 4}), (10, 8, {9, 10, 11}), (30, 10, {28, 29, 30, 31})],
)
def test_the_number_of_clusters_is_recovered(n_clusters: int, dim: int, allowed: set[int]) -> None:
    X, y = decoded_mixture(n_clusters, dim)
    model = DeepInfiniteMixture(architecture=MLP((64, 64)), random_state=0, progress=False).fit(X)
    assert model.n_clusters_ in allowed
    assert clustering_scores(y, model.predict(X)).acc > 0.9
    model.cut(n_clusters=n_clusters)
    assert clustering_scores(y, model.predict(X)).acc > 0.98


def unit_vectors(n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """2,000 rows [N, 128] of length 1, and the clusters they come from, uneven in size.

    Around a direction each, they spread in ten dimensions and a little in all.
    """
    g = torch.Generator().manual_seed(0)
    labels = torch.multinomial(0.9 ** torch.arange(n_clusters), 2_000, True, generator=g)
    directions = torch.randn(n_clusters, 128, generator=g)
    spread = torch.randn(n_clusters, 10, 128, generator=g)
    rows = directions[labels] + 0.2 * torch.randn(2_000, 128, generator=g)
    rows += 0.3 * torch.einsum("nd,ndp->np", torch.randn(2_000, 10, generator=g), spread[labels])
    return torch.nn.functional.normalize(rows, dim=1).numpy(), labels.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [1, 6, 15])
def test_clusters_of_unit_vectors_are_recovered(n_clusters: int) -> None:
    X, y = unit_vectors(n_clusters)
    model = DeepInfiniteMixture(architecture=MLP((64, 64)), random_state=0, progress=False).fit(X)
    assert model.n_clusters_ == n_clusters
    assert clustering_scores(y, model.predict(X)).acc > 0.97


@pytest.mark.slow
def test_few_rows_in_a_plane_are_not_one_cluster() -> None:
    """Four blobs of which two overlap, as they come; the networks' width is the default too."""
    X, y = make_blobs(300, 2, centers=4, random_state=1)
    model = DeepInfiniteMixture(random_state=0, progress=False).fit(X)
    assert model.n_clusters_ in {3, 4}
    assert clustering_scores(y, model.predict(X)).nmi > 0.75


@pytest.mark.slow
def test_answers_of_yes_and_no_are_not_one_cluster() -> None:
    """400 rows of 12 answers, each turned round with probability 0.05."""
    g = torch.Generator().manual_seed(0)
    kinds = torch.randint(2, (4, 12), generator=g)
    labels = torch.randint(4, (400,), generator=g)
    X = kinds[labels] ^ (torch.rand(400, 12, generator=g) < 0.05)
    model = DeepInfiniteMixture(random_state=0, progress=False).fit(X.numpy())
    assert clustering_scores(labels.numpy(), model.predict(X.numpy())).nmi > 0.9
