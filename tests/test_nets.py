"""Networks: shapes, scales and the distributions that they return."""

from typing import Any

import jaxtyping
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.distributions import Bernoulli, Normal

from dimix import GMVAE, VAE, Algorithm1, DeepInfiniteMixture
from dimix.nets import (
    MLP,
    Decoder,
    Encoder,
    decoder_body,
    diagonal_normal,
    encoder_body,
    suited,
)
from dimix.training import evaluation

QUICK = {"epochs": 1, "batch_size": 16, "random_state": 0, "progress": False}


class Mine:
    """Networks of one's own, with noise and running averages in training."""

    def encoder(self, shape: tuple[int, ...]) -> nn.Module:
        folded = nn.Sequential(nn.Unflatten(1, (1, *shape)), nn.Conv2d(1, 3, 3), nn.Dropout())
        return nn.Sequential(folded, nn.Flatten(), nn.LazyLinear(11), nn.BatchNorm1d(11))

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> nn.Module:
        return nn.Linear(latent_dim, shape[0] * shape[1])


class Wrong(Mine):
    """The parts of it that are wrong are given."""

    def __init__(self, encoder: object = None, decoder: object = None) -> None:
        self.parts = {"encoder": encoder, "decoder": decoder}

    def encoder(self, shape: tuple[int, ...]) -> object:
        return self.parts["encoder"] or super().encoder(shape)

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> object:
        return self.parts["decoder"] or super().decoder(shape, latent_dim)


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        ("mlp", (13,)),
        ("mlp", (5, 4)),
        ("conv", (28, 28)),
        ("conv", (8, 8)),
        ("conv", (9, 17)),
        ("conv", (12, 10, 3)),
    ],
)
def test_an_encoder_and_its_mirror_fit_each_other(architecture: str, shape: tuple) -> None:
    size = torch.Size(shape).numel()
    body = encoder_body(architecture, shape)
    q = Encoder(body, 4, nn.Identity())(torch.rand(3, size))
    p = Decoder(decoder_body(architecture, shape, 4), "bernoulli", shape)(q.mean)
    assert q.mean.shape == (3, 4)
    assert p.mean.shape == (3, size)


def test_convolutions_keep_pixels_in_place() -> None:
    """A change in one corner of an image is not seen by features of the opposite corner."""
    body = encoder_body("conv", (32, 32, 1)).module[:4]  # up to the first convolution
    image = torch.zeros(1, 32, 32)
    changed = image.clone()
    changed[0, 0, 0] = 1
    difference = (body(image.flatten(1)) - body(changed.flatten(1))).abs().sum(1)[0]
    assert difference[0, 0] > 0
    assert difference[4:, 4:].sum() == 0


def widths(body: nn.Module) -> list[int]:
    return [layer.out_features for layer in body if isinstance(layer, nn.Linear)]


def test_default_network_is_the_fields() -> None:
    assert widths(encoder_body("mlp", (28, 28)).module) == [500, 500, 2000]


@pytest.mark.parametrize(
    ("shape", "n_rows", "width"),
    [
        ((28, 28), 100, 500),
        ((10, 10), 100, 200),
        ((8, 8), 10**6, 128),
        ((784,), 100, 128),
        ((3,), 10_000, 200),
        ((3,), 10**6, 500),
    ],
)
def test_networks_are_as_wide_as_images_are_large_and_tables_long(
    shape: tuple[int, ...], n_rows: int, width: int
) -> None:
    assert suited("mlp", shape, n_rows) == MLP((width, width, 4 * width))
    assert suited((7, 5), shape, n_rows) == (7, 5)


def test_convolution_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="architecture='conv' needs images"):
        encoder_body("conv", (30,))


@pytest.mark.parametrize("shape", [(4, 28), (28, 4, 3)])
def test_images_too_narrow_to_be_halved_three_times_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"at least 5 x 5 pixels; found {shape[0]} x {shape[1]}"):
        encoder_body("conv", shape)


def test_diagonal_normal_has_that_spread() -> None:
    log_var = torch.tensor([-2.0, 0.0, 1.5])
    draws = diagonal_normal(torch.zeros(3), log_var).sample((100_000,))
    torch.testing.assert_close(draws.var(0), log_var.exp(), rtol=0.03, atol=0.0)


def test_heads_are_the_named_likelihoods() -> None:
    z = torch.randn(2, 3)
    bernoulli = Decoder(decoder_body("mlp", (7,), 3), "bernoulli", (7,))(z)
    gaussian = Decoder(decoder_body("mlp", (7,), 3), "gaussian", (7,))(z)
    assert isinstance(bernoulli.base_dist, Bernoulli)
    assert isinstance(gaussian.base_dist, Normal)
    x = torch.rand(2, 7)
    p = bernoulli.mean
    expected = (x * p.log() + (1 - x) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(bernoulli.log_prob(x), expected, rtol=1e-4, atol=1e-4)


def test_widths_are_those_asked_for_and_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    assert widths(encoder_body(MLP((7, 5)), (3, 4)).module) == [7, 5]
    assert widths(decoder_body(MLP((7, 5)), (3, 4), 2)) == [5, 7, 12]
    assert widths(encoder_body((7, 5), (3, 4)).module) == [7, 5]
    assert MLP().widths == (500, 500, 2000)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for wrong in (0, None, "a", 1.5):
        with pytest.raises(ValueError, match="widths must be positive integers"):
            MLP((3, wrong))


@pytest.mark.parametrize("kind", [VAE, GMVAE])
@pytest.mark.parametrize("architecture", [MLP((8,)), Mine()])
def test_networks_of_ones_own_are_made_anew_at_each_fit(kind: type, architecture: object) -> None:
    X = torch.rand(48, 6, 5, generator=torch.Generator().manual_seed(0)).numpy()
    model = kind(2, architecture=architecture, **QUICK)
    first = model.fit(X).transform(X)
    assert (model.fit(X).transform(X) == first).all()
    assert (clone(model).fit(X).transform(X) == first).all()
    assert model.reconstruct(X).shape == X.shape


@pytest.mark.parametrize(
    "model",
    [
        Algorithm1(2, n_components=3, architecture=Mine(), **QUICK),
        DeepInfiniteMixture(2, pretrain_epochs=1, architecture=Mine(), **QUICK),
    ],
)
def test_mixtures_are_of_networks_at_rest(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch normalisation would refuse the last chunk, of one row, in training."""
    monkeypatch.setattr(evaluation, "CHUNK", 16)
    X = torch.rand(49, 6, 5, generator=torch.Generator().manual_seed(0)).numpy()
    assert clone(model).fit(X).predict(X).shape == (49,)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("resnet", "architecture must be 'mlp', 'conv', .*; found 'resnet'"),
        (MLP, "architecture must be .* found <class"),
        (nn.Linear(2, 2), r"architecture must be .* found Linear\("),
        (Wrong(encoder=nn.Unflatten(1, (6, 5))), r"features \[B, H\] of rows \[B, 30\]; .*2, 6, 5"),
        (Wrong(decoder=nn.Linear(2, 29)), r"rows \[B, 30\] of latents \[B, 2\]; .* made \[2, 29\]"),
        (Wrong(encoder=nn.Linear(29, 3)), r"the encoder could not take rows \[2, 30\]: .*mat1"),
    ],
)
def test_networks_that_do_not_fit_are_refused(architecture: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAE(2, **QUICK).set_params(architecture=architecture).fit(torch.rand(20, 6, 5).numpy())
