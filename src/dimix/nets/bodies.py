"""Bodies: from rows to features, and from latents to a number an entry.

Fully connected, convolutional or one's own; each is tried on two rows before any training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = (500, 500, 2000)
"""Widths of Xie, Girshick and Farhadi (2016), usual for MNIST."""
NARROW, WIDE = 128, 500
"""Units of the first layer of a network that is as wide as its data ask for."""
SMALLEST = 5
"""Pixels that an image must be high and wide to be convolved with stride 2 three times.

The third convolution would see a single column, and the gradient that bfloat16 gives its weights
there (PyTorch 2.13 on a CPU) is partly memory that nothing was written to.
"""


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


Likelihood = Literal["bernoulli", "gaussian"]
Architecture = Literal["mlp", "conv"] | tuple[int, ...] | Networks


def _is_width(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


@dataclass(frozen=True)
class MLP:
    """Fully connected layers P-500-500-2000, or other ``widths``, and mirrored."""

    widths: tuple[int, ...] = HIDDEN

    def __post_init__(self) -> None:
        if not self.widths or not all(map(_is_width, self.widths)):
            raise ValueError(f"widths must be positive integers, at least one; got {self.widths!r}")
        object.__setattr__(self, "widths", tuple(int(w) for w in self.widths))  # NumPy's as well

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


def suited(architecture: Architecture, shape: tuple[int, ...], n_rows: int) -> Architecture:
    """The architecture, "mlp" with the widths that suit so many samples of a shape."""
    return MLP(usual_widths(shape, n_rows)) if architecture == "mlp" else architecture


def usual_widths(shape: tuple[int, ...], n_rows: int) -> tuple[int, ...]:
    """W-W-4W, with twice as many units as an image has pixels, or as the root of a table's rows.

    Networks as wide as MNIST's, W = 500, learn a table of some thousand rows by heart, and take
    several times as long for it; images are seen in views that differ more.
    """
    suits = 2 * math.prod(shape) if len(shape) > 1 else round(2 * math.sqrt(n_rows))
    width = min(max(suits, NARROW), WIDE)
    return width, width, 4 * width


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
            shape = tuple(module(torch.zeros(2, n_features)).shape)
    # What a module of one's own raises can be anything.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"architecture: the {name} could not take rows [2, {n_features}]: {reason}"
        ) from error
    module.train()
    return shape


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """[H, W] or [H, W, C] as (H, W, C).

    Raises:
        ValueError: the sample is not an image, or too small to be halved three times.
    """
    if len(shape) not in (2, 3):
        raise ValueError(
            f"architecture='conv' needs images [N, H, W] or [N, H, W, C]; "
            f"found samples of shape {tuple(shape)}; use architecture='mlp' for tables"
        )
    height, width, *rest = shape
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"architecture='conv' needs images of at least {SMALLEST} x {SMALLEST} pixels; "
            f"found {height} x {width}; use architecture='mlp'"
        )
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
