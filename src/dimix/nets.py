"""Encoders and decoders. A network returns a distribution, never a tuple of tensors.

Every network takes and gives flat rows, [B, P] with P = the number of entries of one sample,
so that models need not know whether a sample is an image or a row of a table; the
convolutional pair folds and unfolds by itself.

    encoder  x [B, P] -> Normal over z [B, D]
    decoder  z [B, D] -> Bernoulli or Normal over x [B, P]

Each is a body, made by `Networks` ("mlp", "conv" or one's own), and a head that is ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

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
    features: Tensor = body(x.flatten(0, -2)).unflatten(0, x.shape[:-1])
    return features


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


@runtime_checkable
class Networks(Protocol):
    """The bodies of encoder and decoder, which a fit makes anew; the heads are added to them."""

    def encoder(self, shape: tuple[int, ...]) -> nn.Module:
        """x [B, P] -> features [B, H], as many as one likes, for samples of a shape."""

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> nn.Module:
        """z [B, D] -> a number an entry, [B, P]: logits (Bernoulli) or means (Gaussian)."""


Architecture = Literal["mlp", "conv"] | tuple[int, ...] | Networks


@dataclass(frozen=True)
class MLP:
    """Fully connected layers P-500-500-2000, or other ``widths``, and mirrored."""

    widths: tuple[int, ...] = HIDDEN

    def __post_init__(self) -> None:
        if not self.widths or any(int(w) != w or w < 1 for w in self.widths):
            raise ValueError(f"widths must be positive integers, at least one; got {self.widths!r}")

    def encoder(self, shape: tuple[int, ...]) -> nn.Module:
        return mlp([math.prod(shape), *self.widths], activate_last=True)

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> nn.Module:
        return mlp([latent_dim, *reversed(self.widths), math.prod(shape)], activate_last=False)


@dataclass(frozen=True)
class Convolutions:
    """Three strided convolutions over images [H, W] or [H, W, C], and mirrored."""

    def encoder(self, shape: tuple[int, ...]) -> nn.Module:
        height, width, channels = image_shape(shape)
        small = math.ceil(height / 8) * math.ceil(width / 8) * 128
        return nn.Sequential(
            nn.Unflatten(-1, (height, width, channels)),
            ChannelsFirst(),
            *(nn.Conv2d(channels, 32, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(32, 64, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(-3), nn.Linear(small, 512), nn.ReLU()),
        )

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> nn.Module:
        height, width, channels = image_shape(shape)
        rows, columns = math.ceil(height / 8), math.ceil(width / 8)
        inner = rows * columns * 128
        return nn.Sequential(
            *(nn.Linear(latent_dim, 512), nn.ReLU(), nn.Linear(512, inner), nn.ReLU()),
            nn.Unflatten(-1, (128, rows, columns)),
            *(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU()),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
            CropToRows(height, width),
        )


def networks(architecture: object) -> Networks:
    """The networks of an architecture, which may be named, or the widths of an `MLP`.

    Raises:
        ValueError: it is neither a name nor widths, nor has it the two methods.
    """
    if isinstance(architecture, tuple):
        return MLP(architecture)
    if isinstance(architecture, str):
        if architecture not in ("mlp", "conv"):
            raise ValueError(_no_architecture(architecture))
        return MLP(HIDDEN) if architecture == "mlp" else Convolutions()
    if isinstance(architecture, type) or not isinstance(architecture, Networks):
        raise ValueError(_no_architecture(architecture))
    return architecture


def _no_architecture(found: object) -> str:
    return (
        "architecture must be 'mlp', 'conv', a tuple of widths or an object with the methods "
        f"encoder(shape) and decoder(shape, latent_dim); found {found!r}"
    )


def encoder_body(architecture: Architecture, shape: Sequence[int]) -> Body:
    """The body of an encoder, tried on two rows.

    Raises:
        ValueError: it does not make features of rows.
    """
    n_entries, module = math.prod(shape), networks(architecture).encoder(tuple(shape))
    found = _shape_of_two("encoder", module, n_entries)
    if len(found) != 2 or found[0] != 2:
        raise ValueError(
            f"architecture: the encoder must make features [B, H] of rows [B, {n_entries}]; for "
            f"two rows it made {list(found)}"
        )
    return Body(module, found[1])


def decoder_body(architecture: Architecture, shape: Sequence[int], latent_dim: int) -> nn.Module:
    """The body of a decoder, tried on two latents.

    Raises:
        ValueError: it does not make rows of latents.
    """
    n_entries = math.prod(shape)
    module = networks(architecture).decoder(tuple(shape), latent_dim)
    found = _shape_of_two("decoder", module, latent_dim)
    if found != (2, n_entries):
        raise ValueError(
            f"architecture: the decoder must make rows [B, {n_entries}] of latents "
            f"[B, {latent_dim}]; for two latents it made {list(found)}"
        )
    return module


def _shape_of_two(name: str, module: nn.Module, n_features: int) -> tuple[int, ...]:
    """The shape of what a body makes of two rows."""
    try:
        module.eval()  # without noise, and without a trace
        with torch.no_grad():
            made: Tensor = module(torch.zeros(2, n_features))
    # What a module of one's own raises can be anything.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"architecture: the {name} could not take rows [2, {n_features}]: {reason}"
        ) from error
    module.train()
    return tuple(made.shape)


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
