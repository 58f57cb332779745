"""The baselines on few images: the autoencoder, VaDE's bound and training, the page."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from benchmarks.baselines import autoencoder, vade
from benchmarks.baselines.__main__ import OURS, VADE, page
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from torch.distributions import Independent, Normal

from dimix.data import load


@pytest.fixture
def rows():
    return autoencoder.rows_of(load("digits", "train").images[:200])


def test_the_autoencoder_learns_to_reconstruct(rows):
    def loss(model):
        return float(model.objective(rows).loss.detach())

    model = autoencoder.autoencoder(rows, seed=0, epochs=60)
    untrained = autoencoder.Autoencoder((rows.shape[1],), autoencoder.LATENT_DIM)
    assert loss(model) < 0.6 * loss(untrained)
    assert autoencoder.latents(model, rows).shape == (200, autoencoder.LATENT_DIM)


@pytest.fixture
def model():
    """VaDE before training: networks as they are made, a mixture of two groups of latents."""
    torch.manual_seed(0)
    networks = autoencoder.Autoencoder((64,), 3)
    z = np.random.RandomState(0).normal(size=(100, 3)) + 6 * (np.arange(100) % 2)[:, None]
    return vade.VaDE(networks, GaussianMixture(2, covariance_type="diag", random_state=0).fit(z))


def test_the_density_of_each_component_is_scipys(model):
    z = torch.randn(5, 3)
    found = model.expected_log_density(z).detach().numpy()
    for c in range(2):
        covariance = np.diag(model.log_var[c].exp().detach().numpy())
        other = multivariate_normal(model.mean[c].detach().numpy(), covariance).logpdf(z.numpy())
        np.testing.assert_allclose(found[:, c], other, rtol=1e-4)


def test_the_expected_density_is_the_mean_over_draws(model):
    q = Independent(Normal(torch.randn(4, 3), torch.rand(4, 3) + 0.1), 1)
    drawn = torch.stack([model.expected_log_density(q.sample()) for _ in range(4000)]).mean(0)
    exact = model.expected_log_density(q.mean, q.variance)
    torch.testing.assert_close(drawn, exact, rtol=0.05, atol=0.1)


def test_the_bound_is_below_the_likelihood_of_its_draws(rows, model):
    """E over draws of the bound ≤ log of the mean of p(x, z) / q(z | x)."""
    torch.manual_seed(0)
    x = rows[:1]
    with torch.no_grad():
        bounds = -torch.stack([model.objective(x).loss for _ in range(300)])
        q = model.networks.encoder(x)
        z = q.sample((3000,))[:, 0]
        prior = torch.logsumexp(model.log_weights() + model.expected_log_density(z), dim=1)
        weights = model.networks.decode(z).log_prob(x) + prior - q.log_prob(z)
        likelihood = torch.logsumexp(weights, dim=0) - math.log(len(z))
    assert float(bounds.mean()) <= float(likelihood) + 0.1


@pytest.fixture
def briefly(monkeypatch):
    """The autoencoder of VaDE, trained for 30 epochs."""
    monkeypatch.setattr(vade, "autoencoder", partial(autoencoder.autoencoder, epochs=30))


def test_training_raises_the_bound_and_predicts(rows, briefly):
    before, after = (vade.vade(rows, 5, seed=0, epochs=epochs) for epochs in (0, 15))
    with torch.no_grad():
        assert float(after.objective(rows).loss) < float(before.objective(rows).loss) - 1
    assert after.predict(rows).shape == (200,)
    assert after.predict(rows).max() < 5


def test_a_training_cut_short_is_gone_on_with(rows, briefly, tmp_path):
    at_once = vade.vade(rows, 5, seed=0, epochs=4)
    first, whole = (vade.vade(rows, 5, seed=0, epochs=e, folder=tmp_path) for e in (2, 4))
    assert whole.seconds > first.seconds
    torch.testing.assert_close(whole.state_dict(), at_once.state_dict())


def test_the_page_begins_with_ours():
    score = {"acc": 0.5, "nmi": 0.25, "cs": 0.25, "ari": 0.1, "n_clusters": 3, "seconds": 10.0}
    lines = page({VADE: {"cases": {"seed 0": score}}}).splitlines()
    assert lines[2].startswith(f"| {OURS} | ")
    assert "±" in lines[2]  # over the seeds that are on record
    assert lines[3] == f"| {VADE} | 1 | 3 | 0.500 | 0.250 | 0.250 | 0.100 | 10 |"
