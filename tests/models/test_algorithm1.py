"""Algorithm 1 as printed: whose noise it takes, what its loss is, where it starts."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from dimix.models import GMVAE, Algorithm1

D, P = 2, 6


@pytest.fixture
def latents() -> torch.Tensor:
    z, _ = make_blobs(300, D, centers=3, cluster_std=[0.5, 1.0, 2.0], random_state=0)
    return torch.from_numpy(z.astype(np.float32))


def fitted(latents: torch.Tensor, **settings: object) -> Algorithm1:
    model = Algorithm1((P,), D, n_components=4, **settings)
    model.refit(latents, seed=0)
    return model


def test_refit_overwrites_means_and_variances_with_the_mixtures(latents: torch.Tensor) -> None:
    model = fitted(latents)
    before = model.component_mean.clone()
    np.testing.assert_allclose(model.component_mean, model.mixture.means_, rtol=1e-5)
    diagonal = np.stack([np.diag(c) for c in model.mixture.covariances_])
    np.testing.assert_allclose(model.component_var, diagonal, rtol=1e-5)
    model.refit(latents + 5, seed=0)
    torch.testing.assert_close(model.component_mean, before + 5, atol=1e-2, rtol=0)


def test_refit_is_from_scratch(latents: torch.Tensor) -> None:
    model, fresh = fitted(latents + 3), fitted(latents)
    model.refit(latents, seed=0)
    torch.testing.assert_close(model.component_mean, fresh.component_mean)


def test_rough_networks_leave_the_mixture_exact(
    latents: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = fitted(latents, kl_weight=1.0), torch.rand(5, P)
    mean, noise = latents[:5], torch.zeros(5, D)
    monkeypatch.setattr(model, "embed", lambda _: mean)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    priors = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            priors.append(model.objective(x).terms["prior"])
    torch.testing.assert_close(priors[1], priors[0], rtol=0, atol=0)


@pytest.mark.parametrize("gumbel", ["soft", "hard"])
def test_noise_has_the_variance_of_the_drawn_component(
    latents: torch.Tensor, gumbel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Var[z | x] = Σ_k E[y_k] σ²_k, both for relaxed and for one-hot y."""
    model = fitted(latents, gumbel=gumbel, temperature=0.7)
    seen = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z: seen.append(z) or decode(z))
    x = torch.rand(1, P).expand(40_000, P)
    with torch.inference_mode():
        model.objective(x)
        mean = model.embed(x[:1])
        log_r = model.assign(mean).expand(40_000, -1)
        y = torch.nn.functional.gumbel_softmax(log_r, tau=0.7, hard=gumbel == "hard")
    expected = y.mean(0) @ model.component_var
    torch.testing.assert_close(seen[0].mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(seen[0].var(0), expected, rtol=0.05, atol=0.0)


def test_loss_is_the_reconstruction_alone_unless_asked(latents: torch.Tensor) -> None:
    x = torch.rand(16, P)
    printed, with_kl = fitted(latents), fitted(latents, kl_weight=1.0)
    with_kl.load_state_dict(printed.state_dict())
    torch.manual_seed(0)
    plain = printed.objective(x)
    torch.manual_seed(0)
    more = with_kl.objective(x)
    assert set(plain.terms) == {"reconstruction"}
    assert plain.loss.item() == pytest.approx(-plain.terms["reconstruction"].mean().item())
    assert more.loss.item() > plain.loss.item()
    torch.testing.assert_close(more.terms["reconstruction"], plain.terms["reconstruction"])


@pytest.mark.parametrize("gumbel", ["soft", "hard"])
def test_gradients_reach_every_parameter(latents: torch.Tensor, gumbel: str) -> None:
    model = fitted(latents, gumbel=gumbel)
    model.objective(torch.rand(8, P)).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_pretrained_start_encodes_and_decodes_as_the_gmvae_does() -> None:
    gmvae, model = GMVAE((P,), D), Algorithm1((P,), D)
    model.start_from(gmvae)
    x, z = torch.rand(5, P), torch.randn(5, D)
    torch.testing.assert_close(model.embed(x), gmvae.embed(x))
    torch.testing.assert_close(model.decode(z).mean, gmvae.decode(z).mean)
