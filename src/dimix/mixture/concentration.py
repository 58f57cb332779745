"""The concentration α of the sticks: a number, or a Gamma prior with q(α) in closed form.

q(v) q(α) is a mean field: q(v_k) = Beta(1 + n_k, E[α] + n_{>k}), and q(α) is the Gamma whose
shape is that of the prior plus the number of sticks, and whose rate is that of the prior less
Σ_k E[log(1 - v_k)]. The bound they climb is concave in log E[α], so that they have one common
fixed point and q(α) is a function of the counts alone.

A stick in the mean field costs log E[α] - E[log α] > 0 even if it is empty, and q(α) is the
narrower (falsely) the more sticks there are. Therefore the sticks after the last component with
rows stay out of it. Given α they keep their prior, q(v_k | α) = p(v_k | α), which costs exactly
nothing, and q(c) gives them no rows: T is in effect the last component with rows, and any number
of empty ones after it changes nothing, neither the bound nor q. "With rows" is taken literally,
a count above 0: a component that keeps 1e-9 of a row pays for its stick until a move deletes it.

Source: Blei and Jordan, Variational inference for Dirichlet process mixtures (2006), appendix A,
where all of T - 1 sticks count.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

Number = float | Float64[Tensor, "*batch"]

SETTLED = 1e-12
"""Relative change of E[α] at which it has settled; the bound is flat there."""

MAX_STEPS = 100


class Concentration(ABC):
    """What is known of α: its prior, or q(α) given counts."""

    @property
    @abstractmethod
    def mean(self) -> Float64[Tensor, "*batch"]:
        """E[α]."""

    @property
    @abstractmethod
    def expected_log(self) -> Float64[Tensor, "*batch"]:
        """E[log α]."""

    @abstractmethod
    def used(self, counts: Float64[Tensor, "*batch K"]) -> Bool[Tensor, "*batch K"]:
        """Which sticks take part in the mean field, under this prior."""

    @abstractmethod
    def given(self, counts: Float64[Tensor, "*batch K"]) -> Self:
        """The best q(α) given counts, next to the best q(v) given it, under this prior."""

    @abstractmethod
    def kl(self, prior: Self) -> Float64[Tensor, "*batch"]:
        """KL(q(α) ‖ p(α)), every constant in."""


@dataclass(frozen=True)
class FixedConcentration(Concentration):
    """α is known."""

    value: float

    @property
    def mean(self) -> Float64[Tensor, ""]:
        """E[α]."""
        return torch.tensor(self.value, dtype=torch.float64)

    @property
    def expected_log(self) -> Float64[Tensor, ""]:
        """E[log α]."""
        return self.mean.log()

    def used(self, counts: Float64[Tensor, "*batch K"]) -> Bool[Tensor, "*batch K"]:
        """Which sticks take part: all."""
        return torch.ones_like(counts, dtype=torch.bool)

    def given(self, counts: Float64[Tensor, "*batch K"]) -> Self:
        """α given counts: itself."""
        return self

    def kl(self, prior: Self) -> Float64[Tensor, ""]:
        """KL(q(α) ‖ p(α)): nothing was learned."""
        return torch.zeros((), dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class GammaConcentration(Concentration):
    """α ~ Gamma(shape, rate), of mean shape / rate: a prior, or q(α) for a batch of counts.

    Raises:
        ValueError: ``shape`` or ``rate`` of a prior is not a finite number above 0.
    """

    shape: Number
    rate: Number

    def __post_init__(self) -> None:
        for name, value in (("shape", self.shape), ("rate", self.rate)):
            if not isinstance(value, Tensor) and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number > 0, got {value!r}")

    @property
    def mean(self) -> Float64[Tensor, "*batch"]:
        """E[α]."""
        shape, rate = self._tensors()
        return shape / rate

    @property
    def expected_log(self) -> Float64[Tensor, "*batch"]:
        """E[log α]."""
        shape, rate = self._tensors()
        return torch.digamma(shape) - rate.log()

    def used(self, counts: Float64[Tensor, "*batch K"]) -> Bool[Tensor, "*batch K"]:
        """Which sticks take part: the first, and all up to the last with rows."""
        used = counts.flip(-1).cumsum(-1).flip(-1) > 0
        used[..., 0] = True
        return used

    def given(self, counts: Float64[Tensor, "*batch K"]) -> Self:
        """The best q(α) given counts, next to the best q(v) given it."""
        used = self.used(counts)
        shape = self.shape + used.sum(-1, dtype=torch.float64)
        return type(self)(shape, shape / self._solve_mean(counts, used, shape))

    def kl(self, prior: Self) -> Float64[Tensor, "*batch"]:
        """KL(q(α) ‖ p(α)), every constant in."""
        (shape, rate), (shape_0, rate_0) = self._tensors(), prior._tensors()
        return (
            (shape - shape_0) * torch.digamma(shape)
            - torch.lgamma(shape)
            + torch.lgamma(shape_0)
            + shape_0 * (rate / rate_0).log()
            + shape * (rate_0 / rate - 1)
        )

    def _solve_mean(
        self,
        counts: Float64[Tensor, "*batch K"],
        used: Bool[Tensor, "*batch K"],
        shape: Float64[Tensor, "*batch"],
    ) -> Float64[Tensor, "*batch"]:
        """E[α] = shape / rate at the fixed point: Newton's steps in log E[α], kept in bounds."""
        b = later_counts(counts)
        n_sticks, total = used.sum(-1), counts.sum(-1)
        # Each stick's E[log(1 - v)] is above -1 / α - ψ(1 + N) + ψ(1), and below 0.
        most = torch.digamma(1 + total) + np.euler_gamma
        low, high = (self.shape / (self.rate + n_sticks * most)).log(), (shape / self.rate).log()
        point = high
        for _ in range(MAX_STEPS):
            slope, curvature = self._slopes(point.exp(), 1 + counts, b, used, shape)
            low, high = torch.where(slope > 0, point, low), torch.where(slope < 0, point, high)
            newton, before = point - slope / curvature, point
            inside = (low <= newton) & (newton <= high)
            point = torch.where(inside, newton, (low + high) / 2)
            if bool(((point - before).abs() < SETTLED).all()):
                break
        return point.exp()

    def _slopes(
        self,
        mean: Float64[Tensor, "*batch"],
        a: Float64[Tensor, "*batch K"],
        later: Float64[Tensor, "*batch K"],
        used: Bool[Tensor, "*batch K"],
        shape: Float64[Tensor, "*batch"],
    ) -> tuple[Float64[Tensor, "*batch"], Float64[Tensor, "*batch"]]:
        """First and second derivative of the bound in log E[α], the shape of q(α) given."""
        b = mean[..., None] + later
        gain = ((torch.digamma(a + b) - torch.digamma(b)) * used).sum(-1)
        bend = ((torch.polygamma(1, a + b) - torch.polygamma(1, b)) * used).sum(-1)
        falling = mean * (self.rate + gain)
        return shape - falling, -falling - mean.square() * bend

    def _tensors(self) -> tuple[Float64[Tensor, "*batch"], Float64[Tensor, "*batch"]]:
        shape, rate = (torch.as_tensor(v, dtype=torch.float64) for v in (self.shape, self.rate))
        return shape, rate


def as_concentration(value: float | Concentration) -> Concentration:
    """A number is an α that is known."""
    return value if isinstance(value, Concentration) else FixedConcentration(float(value))


def later_counts(counts: Float64[Tensor, "*batch K"]) -> Float64[Tensor, "*batch K"]:
    """Σ_{j>k} n_j of each k."""
    later = counts.flip(-1).cumsum(-1).flip(-1) - counts
    return later.clamp(min=0)  # rounding must not bring it below zero
