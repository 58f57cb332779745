"""The four terms of the GMVAE's bound against their definitions, component by component."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from dimix.models import GMVAE

K, D, W, P = 3, 2, 4, 6


@pytest.fixture
def model() -> GMVAE:
    return GMVAE((P,), D, n_components=K, w_dim=W)


def component_log_density(model: GMVAE, z: torch.Tensor, w: torch.Tensor) -> np.ndarray:
    """log p(z | w, y=k) by scipy, from the raw output of the network β."""
    raw = model.components.body(w).detach().double().numpy().reshape(len(w), K, 2 * D)
    mean, log_var = raw[..., :D], raw[..., D:]
    return norm.logpdf(z.double().numpy()[:, None], mean, np.exp(log_var / 2)).sum(-1)


def test_y_terms_equal_log_q_against_the_mixture(model: GMVAE) -> None:
    """conditional_prior + y_prior = log Σ_k p(z | w, k)/K - log q(z | x), at every (w, z)."""
    z, w, log_q = torch.randn(50, D), torch.randn(50, W), torch.randn(50)
    with torch.inference_mode():
        terms = model.mixture_terms(log_q, z, w)
    log_mixture = logsumexp(component_log_density(model, z, w), axis=1) - math.log(K)
    found = (terms["conditional_prior"] + terms["y_prior"]).numpy()
    np.testing.assert_allclose(found, log_mixture - log_q.numpy(), rtol=1e-5, atol=1e-5)


def test_y_terms_one_component_at_a_time(model: GMVAE) -> None:
    z, w, log_q = torch.randn(20, D), torch.randn(20, W), torch.randn(20)
    with torch.inference_mode():
        terms = model.mixture_terms(log_q, z, w)
    log_p = component_log_density(model, z, w)
    for n in range(20):
        r = np.exp(log_p[n] - logsumexp(log_p[n]))
        conditional = sum(r[k] * (float(log_q[n]) - log_p[n, k]) for k in range(K))
        y_kl = sum(r[k] * math.log(r[k] * K) for k in range(K))
        assert float(terms["conditional_prior"][n]) == pytest.approx(-conditional, abs=1e-4)
        assert float(terms["y_prior"][n]) == pytest.approx(-y_kl, abs=1e-4)


def test_other_terms_and_the_bound(model: GMVAE) -> None:
    x = torch.rand(8, P)
    torch.manual_seed(1)
    objective = model.objective(x)
    torch.manual_seed(1)
    h = model.body(x)
    q_z, q_w = model.z_head(h), model.w_head(h)
    z, w = q_z.rsample(), q_w.rsample()
    w_kl = kl_divergence(q_w.base_dist, Normal(torch.zeros(W), torch.ones(W))).sum(-1)
    log_mixture = model.component_log_prob(z, w).logsumexp(-1) - math.log(K)
    bound = model.decode(z).log_prob(x) + log_mixture - q_z.log_prob(z) - w_kl
    assert set(objective.terms) == {"reconstruction", "conditional_prior", "w_prior", "y_prior"}
    torch.testing.assert_close(objective.terms["w_prior"], -w_kl)
    torch.testing.assert_close(objective.bound, bound)
    assert objective.loss.item() == pytest.approx(-bound.mean().item(), rel=1e-5)


def test_information_constraint_clamps_the_loss_and_not_the_terms() -> None:
    x = torch.rand(8, P)
    free, clamped = (GMVAE((P,), D, n_components=K, y_kl_min=value) for value in (0.0, 5.0))
    clamped.load_state_dict(free.state_dict())
    objectives = []
    for model in (free, clamped):
        torch.manual_seed(2)
        objectives.append(model.objective(x))
    y_kl = -objectives[0].terms["y_prior"].mean().item()
    assert 0 <= y_kl < math.log(K) + 1e-5
    torch.testing.assert_close(objectives[0].bound, objectives[1].bound)
    difference = objectives[1].loss.item() - objectives[0].loss.item()
    assert difference == pytest.approx(5.0 - y_kl, abs=1e-4)


def test_gradients_reach_every_parameter(model: GMVAE) -> None:
    model.objective(torch.rand(4, P)).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_clusters_are_the_posterior_at_the_means(model: GMVAE) -> None:
    x = torch.rand(10, P)
    with torch.no_grad():
        h = model.body(x)
        z, w = model.z_head(h).mean, model.w_head(h).mean
        found = model.log_assignments(x).numpy()
    log_p = component_log_density(model, z, w)
    np.testing.assert_allclose(found, log_p - logsumexp(log_p, 1, keepdims=True), atol=1e-4)


def test_component_samples_have_the_components_spread(model: GMVAE) -> None:
    """z | y=k has the law of total variance over w ~ N(0, I)."""
    n = 40_000
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        z = model.sample_latent(torch.full((n,), 1), generator)
        p = model.components(torch.randn(n, W))
    mean, var = p.mean[:, 1], p.variance[:, 1]
    torch.testing.assert_close(z.mean(0), mean.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), var.mean(0) + mean.var(0), atol=0.0, rtol=0.04)
