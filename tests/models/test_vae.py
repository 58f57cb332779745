"""The VAE's bound against quadrature over a one-dimensional latent."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from dimix.data.views import RandomWarp
from dimix.models import VAE
from dimix.nets import diagonal_normal
from dimix.priors import StandardNormal

LIKELIHOODS = ["bernoulli", "gaussian"]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_expected_bound_is_log_evidence_minus_kl_to_the_true_posterior(likelihood: str) -> None:
    model = VAE((6,), 1, likelihood=likelihood)
    x = torch.rand(1, 6)
    grid = torch.linspace(-9, 9, 20_001)
    with torch.inference_mode():
        joint = model.decode(grid[:, None]).log_prob(x).double().numpy() + norm.logpdf(grid)
        q = model.encoder(x)
        draws = model.objective(x.expand(20_000, 6)).bound.double().numpy()
    step = float(grid[1] - grid[0])
    log_evidence = logsumexp(joint) + np.log(step)
    log_q = norm.logpdf(grid.double(), float(q.mean), float(q.stddev))
    kl = np.sum(np.exp(log_q) * (log_q - (joint - log_evidence))) * step

    error = draws.std() / np.sqrt(len(draws))
    assert kl > 0
    assert draws.mean() == pytest.approx(log_evidence - kl, abs=4 * error + 1e-4)


def test_prior_term_is_the_closed_form_kl() -> None:
    q = diagonal_normal(torch.randn(2, 5, 3), torch.randn(2, 5, 3))
    expected = -kl_divergence(q.base_dist, Normal(torch.zeros(3), torch.ones(3))).sum((0, -1))
    torch.testing.assert_close(StandardNormal(3).terms(q)["prior"], expected)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("shape", "architecture"), [((7,), "mlp"), ((9, 10), "conv")])
def test_gradients_reach_every_parameter(likelihood: str, shape: tuple, architecture: str) -> None:
    model = VAE(shape, 3, architecture=architecture, likelihood=likelihood)
    model.objective(torch.rand(4, int(np.prod(shape)))).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_loss_is_the_negative_mean_bound() -> None:
    objective = VAE((6,), 2).objective(torch.rand(5, 6))
    assert objective.loss.item() == pytest.approx(-objective.bound.mean().item())
    assert set(objective.terms) == {"reconstruction", "prior"}


def test_rough_networks_leave_the_views_exact() -> None:
    seen = []
    model = VAE((8, 8), 2, augment=lambda images: seen.append(RandomWarp()(images)) or images)
    x = torch.rand(4, 64)
    torch.manual_seed(0)
    model.train().objective(x)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        model.objective(x)
    torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=0)


def test_others_may_be_seen_in_place_of_the_samples_but_not_out_of_training() -> None:
    model = VAE((4,), 2, augment=torch.neg).train()
    x, others = torch.rand(2, 50, 4)
    torch.testing.assert_close(model.views(x, others), -others[None], rtol=0, atol=0)
    model.unmoved = 1.0
    torch.testing.assert_close(model.views(x, others), x[None], rtol=0, atol=0)
    model.unmoved = 0.0
    torch.manual_seed(0)
    terms = model.objective(x, others).terms
    torch.manual_seed(0)
    theirs = model.objective(others).terms
    torch.testing.assert_close(terms["prior"], theirs["prior"])
    assert not torch.allclose(terms["reconstruction"], theirs["reconstruction"])
    torch.testing.assert_close(model.eval().views(x, others), x[None], rtol=0, atol=0)


@pytest.mark.parametrize("n_views", [1, 3])
def test_a_share_of_the_views_are_the_samples_as_they_are(n_views: int) -> None:
    model = VAE((2, 2), 2, augment=torch.neg, views=n_views).train()
    x = torch.rand(2_000, 4) + 1
    model.unmoved = 0.25
    views = model.views(x)
    stays = views[..., 0] > 0
    assert views.shape == (n_views, 2_000, 4)
    assert float(stays.float().mean()) == pytest.approx(0.25, abs=0.04)
    torch.testing.assert_close(views, torch.where(stays[..., None], x, -x), rtol=0, atol=0)
    if n_views > 1:
        assert not torch.equal(stays[0], stays[1])  # each view for itself
    torch.testing.assert_close(model.copies(x, n_views), -x.expand(n_views, -1, -1), rtol=0, atol=0)
    torch.testing.assert_close(model.eval().views(x), x[None], rtol=0, atol=0)


def test_views_of_samples_as_they_are_are_as_many() -> None:
    model, x = VAE((4,), 2, views=3).train(), torch.rand(5, 4)
    torch.testing.assert_close(model.views(x), x.expand(3, -1, -1), rtol=0, atol=0)


def test_importance_weighted_bound_reaches_the_log_evidence() -> None:
    model = VAE((6,), 1)
    x = torch.rand(1, 6)
    grid = torch.linspace(-9, 9, 20_001)
    with torch.inference_mode():
        joint = model.decode(grid[:, None]).log_prob(x).double().numpy() + norm.logpdf(grid)
        bound = model.log_likelihood(x, torch.randn(20_000, 1)).item()
    log_evidence = logsumexp(joint) + np.log(float(grid[1] - grid[0]))
    assert bound == pytest.approx(log_evidence, abs=0.01)
