"""Heads: from what a body makes to a distribution, and the units of the data.

Under the Gaussian likelihood the networks see data in units of their own, centred and of one
scale; what comes back is in the units of the data. The model is the same, for its variance is
learned, but Adam takes steps of about one size whatever the data's.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from dimix.nets.bodies import Body, Likelihood

LOG_VAR_SPEED = 10.0
LOG_VAR_LIMIT = 12.0  # e^±12 in variance: far outside what data ask for, inside float32


def diagonal_normal(mean: Tensor, log_var: Tensor) -> Independent[Normal]:
    """Normal with independent features in the last axis, from its log-variance."""
    return _normal(mean, torch.exp(0.5 * log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT)))


def _normal(mean: Tensor, scale: Tensor) -> Independent[Normal]:
    return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)


class Units(nn.Module):
    """The units in which networks see rows of P entries: x = loc + scale · (what they see)."""

    loc: Float[Tensor, " P"]
    scale: Float[Tensor, ""]

    def __init__(self, n_entries: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(n_entries))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        return (x - self.loc) / self.scale

    def back(self, p: Independent[Normal]) -> Independent[Normal]:
        """The distribution of x, given that of what networks see of it."""
        return _normal(self.loc + self.scale * p.mean, self.scale * p.stddev)


def units_for(likelihood: Likelihood, shape: Sequence[int]) -> nn.Module:
    """Units to be measured on the data, or none: probabilities have theirs."""
    return Units(math.prod(shape)) if likelihood == "gaussian" else nn.Identity()


def set_units(model: nn.Module, loc: Float[Tensor, " P"], scale: Float[Tensor, ""]) -> None:
    """Give a model's networks, if they have units, those in which the data are centred."""
    for module in model.modules():
        if isinstance(module, Units):
            module.loc.copy_(loc)
            module.scale.copy_(scale)


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

    def __init__(self, n_entries: int) -> None:
        super().__init__()
        self.units = Units(n_entries)
        self.log_var = nn.Parameter(torch.zeros(()))

    def forward(self, mean: Float[Tensor, "*B P"]) -> Independent[Normal]:
        mean = mean.float()
        # Adam moves every number by about as much a step, and this one has far to go.
        p = diagonal_normal(mean, (LOG_VAR_SPEED * self.log_var).expand_as(mean))
        return self.units.back(p)


class Encoder(nn.Module):
    """A body that makes features and one Normal head over the latent."""

    def __init__(self, body: Body, latent_dim: int, units: nn.Module) -> None:
        super().__init__()
        self.units, self.body = units, body.module
        self.head = NormalHead(body.features, latent_dim)

    def forward(self, x: Float[Tensor, "*B P"]) -> Independent[Normal]:
        q: Independent[Normal] = self.head(_by_row(self.body, self.units(x)))
        return q


class Decoder(nn.Module):
    """A body that makes one number an entry and the likelihood's head."""

    def __init__(self, body: nn.Module, likelihood: Likelihood, shape: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        gaussian = likelihood == "gaussian"
        self.head = GaussianHead(math.prod(shape)) if gaussian else BernoulliHead()

    def forward(self, z: Float[Tensor, "*B D"]) -> Distribution:
        p: Distribution = self.head(_by_row(self.body, z))
        return p


def _by_row(body: nn.Module, x: Float[Tensor, "*B P"]) -> Float[Tensor, "*B hidden"]:
    """A body's features of each row, whatever the axes before it: convolutions take one."""
    features: Tensor = body(x.flatten(0, -2)).unflatten(0, x.shape[:-1])
    return features
