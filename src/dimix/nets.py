"""Encoders and decoders. A network returns a distribution, never a tuple of tensors.

Every network takes and gives flat rows, [B, P] with P = the number of entries of one sample,
so that models need not know whether a sample is an image or a row of a table; the
convolutional pair folds and unfolds by itself.

    encoder  x [B, P] -> Normal over z [B, D]
    decoder  z [B, D] -> Bernoulli or Normal over x [B, P]
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

Architecture = Literal["mlp", "conv"]
Likelihood = Literal["bernoulli", "gaussian"]
HIDDEN = (500, 500, 2000)
LOG_VAR_SPEED = 10.0
LOG_VAR_LIMIT = 12.0  # e^±12 in variance: far outside what data ask for, inside float32


def diagonal_normal(mean: Tensor, log_var: Tensor) -> Independent[Normal]:
    """Normal with independent features in the last axis, from its log-variance."""
    scale = torch.exp(0.5 * log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT))
    return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)


class NormalHead(nn.Module):
    """Hidden features -> Normal over `dim` outputs, always in float32."""

    def __init__(self, hidden: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 2 * dim)

    def forward(self, h: Float[Tensor, "*B hidden"]) -> Independent[Normal]:
        mean, log_var = self.linear(h).float().chunk(2, dim=-1)
        return diagonal_normal(mean, log_var)


class BernoulliHead(nn.Module):
    """Logits -> Bernoulli over each entry; grey values in [0, 1] are scored as probabilities."""

    def forward(self, logits: Float[Tensor, "*B P"]) -> Independent[Bernoulli]:
        pixels = Bernoulli(logits=logits.float(), validate_args=False)
        return Independent(pixels, 1, validate_args=False)


class GaussianHead(nn.Module):
    """Means -> Normal over each entry, with one learned variance for all entries."""

    def __init__(self) -> None:
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(()))

    def forward(self, mean: Float[Tensor, "*B P"]) -> Independent[Normal]:
        mean = mean.float()
        # Adam moves every number by about as much a step, and this one has far to go.
        return diagonal_normal(mean, (LOG_VAR_SPEED * self.log_var).expand_as(mean))


class Encoder(nn.Module):
    """A body that makes features and one Normal head over the latent."""

    def __init__(self, body: nn.Module, hidden: int, latent_dim: int) -> None:
        super().__init__()
        self.body = body
        self.head = NormalHead(hidden, latent_dim)

    def forward(self, x: Float[Tensor, "*B P"]) -> Independent[Normal]:
        q: Independent[Normal] = self.head(_by_row(self.body, x))
        return q


class Decoder(nn.Module):
    """A body that makes one number an entry and the likelihood's head."""

    def __init__(self, body: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.body = body
        self.head = BernoulliHead() if likelihood == "bernoulli" else GaussianHead()

    def forward(self, z: Float[Tensor, "*B D"]) -> Distribution:
        p: Distribution = self.head(_by_row(self.body, z))
        return p


def _by_row(body: nn.Module, x: Float[Tensor, "*B P"]) -> Float[Tensor, "*B hidden"]:
    """A body's features of each row, whatever the axes before it: convolutions take one."""
    features: Tensor = body(x.flatten(0, -2))
    return features.view(*x.shape[:-1], -1)


class Body(NamedTuple):
    """A module and the number of features that it makes."""

    module: nn.Module
    features: int


def mlp(sizes: Sequence[int], *, activate_last: bool) -> nn.Sequential:
    """Fully connected layers with ReLU between them (and after the last, if asked)."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers if activate_last else layers[:-1])


def encoder_body(architecture: Architecture, shape: Sequence[int]) -> Body:
    """P-500-500-2000, or three strided convolutions over images [H, W] or [H, W, C]."""
    if architecture == "mlp":
        return Body(mlp([math.prod(shape), *HIDDEN], activate_last=True), HIDDEN[-1])
    height, width, channels = image_shape(shape)
    small = math.ceil(height / 8) * math.ceil(width / 8) * 128
    layers = [
        nn.Unflatten(-1, (height, width, channels)),
        ChannelsFirst(),
        *(nn.Conv2d(channels, 32, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Conv2d(32, 64, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(-3), nn.Linear(small, 512), nn.ReLU()),
    ]
    return Body(nn.Sequential(*layers), 512)


def decoder_body(architecture: Architecture, shape: Sequence[int], latent_dim: int) -> nn.Module:
    """The encoder's body mirrored."""
    if architecture == "mlp":
        return mlp([latent_dim, *reversed(HIDDEN), math.prod(shape)], activate_last=False)
    height, width, channels = image_shape(shape)
    rows, columns = math.ceil(height / 8), math.ceil(width / 8)
    return nn.Sequential(
        *(nn.Linear(latent_dim, 512), nn.ReLU(), nn.Linear(512, rows * columns * 128), nn.ReLU()),
        nn.Unflatten(-1, (128, rows, columns)),
        *(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU()),
        nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        CropToRows(height, width),
    )


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """[H, W] or [H, W, C] as (H, W, C).

    Raises:
        ValueError: the sample is not an image.
    """
    if len(shape) not in (2, 3):
        raise ValueError(
            f"architecture='conv' needs images [N, H, W] or [N, H, W, C]; "
            f"found samples of shape {tuple(shape)}; use architecture='mlp' for tables"
        )
    height, width, *rest = shape
    return height, width, rest[0] if rest else 1


class ChannelsFirst(nn.Module):
    """[B, H, W, C] -> [B, C, H, W]."""

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B C H W"]:
        return x.permute(0, 3, 1, 2)


class CropToRows(nn.Module):
    """[B, C, ≥H, ≥W] -> [B, H·W·C]: drop what rounding up to a multiple of 8 added."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Float[Tensor, "B C rows columns"]) -> Float[Tensor, "B P"]:
        return x[..., : self.height, : self.width].permute(0, 2, 3, 1).flatten(1)
