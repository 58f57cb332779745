"""Networks: shapes, scales and the distributions that they return."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from dimix.nets import Decoder, Encoder, decoder_body, diagonal_normal, encoder_body


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
    q = Encoder(body.module, body.features, 4)(torch.rand(3, size))
    p = Decoder(decoder_body(architecture, shape, 4), "bernoulli")(q.mean)
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


def test_default_network_is_the_fields() -> None:
    body = encoder_body("mlp", (28, 28)).module
    widths = [layer.out_features for layer in body if isinstance(layer, torch.nn.Linear)]
    assert widths == [500, 500, 2000]


def test_convolution_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="architecture='conv' needs images"):
        encoder_body("conv", (30,))


def test_diagonal_normal_has_that_spread() -> None:
    log_var = torch.tensor([-2.0, 0.0, 1.5])
    draws = diagonal_normal(torch.zeros(3), log_var).sample((100_000,))
    torch.testing.assert_close(draws.var(0), log_var.exp(), rtol=0.03, atol=0.0)


def test_heads_are_the_named_likelihoods() -> None:
    z = torch.randn(2, 3)
    bernoulli = Decoder(decoder_body("mlp", (7,), 3), "bernoulli")(z)
    gaussian = Decoder(decoder_body("mlp", (7,), 3), "gaussian")(z)
    assert isinstance(bernoulli.base_dist, Bernoulli)
    assert isinstance(gaussian.base_dist, Normal)
    x = torch.rand(2, 7)
    p = bernoulli.mean
    expected = (x * p.log() + (1 - x) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(bernoulli.log_prob(x), expected, rtol=1e-4, atol=1e-4)
