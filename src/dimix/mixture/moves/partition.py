"""What the rows say about a mixture, in summary: statistics, entropy, and B(R), the bound of both.

For responsibilities R the best globals are ``update(prior, S)`` with S = Rᵀ Φ, and the bound at
those globals has a closed form, in which A is the evidence of the sticks and g that of a
component's Gaussian:

    B(R) = A(n) + Σ_k g(S_k) + Σ_n w_n H(r_n)

So a move that replaces R needs nothing but the change of S and of the entropy. ``survey`` is the
one pass over the data that gives them, together with what the moves choose their targets by.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import threshold

from dimix.mixture.families import FullCovariance, GaussianFamily, TiedCovariance
from dimix.mixture.inference.batch import NEGLIGIBLE
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.posterior import MixturePosterior, MixturePrior
from dimix.mixture.sticks import stick_evidence

WORK = 3e10
"""Multiplications that the proposals of one kind may take in a round: seconds, whatever D is."""
SHARED = 1e-9
"""A row counts as shared if more than this much of it is outside its largest component."""
SHARED_BYTES = 2**28
"""Memory for the responsibilities of shared rows; beyond it, every second row is dropped."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Responsibilities in summary: ``statistics`` S and ``entropy`` Σ_n w_n H(r_n), in nats."""

    prior: MixturePrior
    statistics: Float64[Tensor, "K F"]
    entropy: float

    @cached_property
    def bound(self) -> float:
        """B(R): the full bound at the best globals, its sticks in order of size."""
        return evidence(self.prior, self.statistics) + self.entropy

    @property
    def counts(self) -> Float64[Tensor, " K"]:
        """Rows of each component."""
        return self.statistics[:, 0]

    @property
    def n_components(self) -> int:
        """Components that hold any rows."""
        return int((self.counts > 0).sum())


def evidence(prior: MixturePrior, statistics: Float64[Tensor, "K F"]) -> float:
    """A(n) + Σ_k g(S_k), whatever the order of the rows of S: all of B(R) but the entropy."""
    return float(evidences(prior, statistics[None]))


def evidences(prior: MixturePrior, statistics: Float64[Tensor, "G K F"]) -> Float64[Tensor, " G"]:
    """``evidence`` of each of G mixtures under the same prior."""
    counts = statistics[:, :, 0].sort(dim=1, descending=True).values
    family, components = prior.family, prior.components
    if isinstance(family, TiedCovariance):  # where what is shared is shared within a mixture
        gaussians = [family.log_evidence(components, mixture).sum() for mixture in statistics]
        return stick_evidence(counts, prior.concentration) + torch.stack(gaussians)
    each = family.log_evidence(components, statistics.flatten(0, 1))
    return stick_evidence(counts, prior.concentration) + each.view_as(counts).sum(1)


def _separate_evidence(
    prior: MixturePrior, statistics: Float64[Tensor, "k F"], counts: Float64[Tensor, " K"]
) -> float:
    """A(n) of all components, and Σ_k g(S_k) of those given."""
    sticks = stick_evidence(counts.sort(descending=True).values, prior.concentration)
    return float(sticks + prior.family.log_evidence(prior.components, statistics).sum())


def affordable(family: GaussianFamily) -> int:
    """How many components' updates or evidences fit in ``WORK``: 30 at D = 1,000 if full.

    A matrix takes D³ multiplications. Up to D = 64 a hundred thousand of them fit, so that
    nothing is left out.
    """
    has_matrices = isinstance(family, FullCovariance)  # tied is one of these
    return max(1, int(WORK / (family.dim**3 if has_matrices else family.n_features)))


@dataclass(frozen=True, eq=False)
class Proposal:
    """A change of R in summary: rows of S that are given up, that change, and that are new.

    ``change`` is added to the rows ``touched`` of S, of which ``given_up`` end empty; ``entropy``
    is the change of the entropy in nats.
    """

    kind: str
    given_up: tuple[int, ...]
    touched: Int64[Tensor, " t"]
    change: Float64[Tensor, "t F"]
    fresh: Float64[Tensor, "J F"]
    entropy: float

    def applied(self, partition: Partition) -> Partition:
        """The partition after the change; rows keep their places and new ones come last."""
        statistics = partition.statistics.clone()
        statistics[self.touched] += self.change
        statistics[list(self.given_up)] = 0
        return Partition(
            partition.prior,
            torch.cat([statistics, self.fresh]),
            partition.entropy + self.entropy,
        )

    def with_(self, other: "Proposal") -> "Proposal":
        """Both proposals at once, if they touch different components."""
        return Proposal(
            f"{self.kind} and {other.kind}",
            self.given_up + other.given_up,
            torch.cat([self.touched, other.touched]),
            torch.cat([self.change, other.change]),
            torch.cat([self.fresh, other.fresh]),
            self.entropy + other.entropy,
        )

    def gain(self, partition: Partition) -> float:
        """The exact change of B(R), in nats, from the components that change alone."""
        prior, touched = partition.prior, self.touched
        if isinstance(prior.family, TiedCovariance):  # where all of them change together
            return self.applied(partition).bound - partition.bound
        before = partition.statistics[touched]
        stay = ~torch.isin(touched, torch.tensor(self.given_up, dtype=torch.int64))
        after = torch.cat([before[stay] + self.change[stay], self.fresh])
        rest = partition.counts.clone()
        rest[touched] = 0
        return (
            _separate_evidence(prior, after, torch.cat([rest, after[:, 0]]))
            - _separate_evidence(prior, before, partition.counts)
            + self.entropy
        )


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Responsibilities of the rows that more than one component shares, and their weights."""

    responsibilities: Float[Tensor, "n K"]
    weights: Float[Tensor, " n"]

    def thinned(self, budget: int) -> "SharedRows":
        """Every second row at twice its weight, until the rows fit in ``budget`` bytes."""
        rows = self
        while rows.responsibilities.nbytes > budget:
            rows = SharedRows(rows.responsibilities[::2].clone(), 2 * rows.weights[::2])
        return rows


@dataclass(frozen=True, eq=False)
class Survey:
    """One pass over the data at a posterior.

    ``labels`` is the largest component of each row, ``log_normalisers`` logsumexp_k L_nk, low
    for rows that the mixture explains badly.
    """

    posterior: MixturePosterior
    partition: Partition
    labels: Int64[Tensor, " N"]
    log_normalisers: Float[Tensor, " N"]
    shared: SharedRows


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows with their features Φ, responsibilities, weights and logsumexp_k L_nk.

    All of it is on the device of the chunks; what the moves make of it is not.
    """

    rows: slice
    phi: Float[Tensor, "n F"]
    responsibilities: Float[Tensor, "n K"]
    weights: Float[Tensor, " n"]
    log_normalisers: Float[Tensor, " n"]


@torch.no_grad()
def blocks(chunks: FeatureChunks, posterior: MixturePosterior) -> Iterator[Block]:
    """One pass over the data, with the responsibilities at ``posterior``."""
    for rows, phi in chunks:
        logits = posterior.logits(phi)
        normalisers = torch.logsumexp(logits, dim=1)
        responsibilities = threshold(logits.sub_(normalisers[:, None]).exp_(), NEGLIGIBLE, 0.0)
        weights = phi.new_ones(len(phi)) if chunks.weights is None else chunks.weights[rows]
        yield Block(rows, phi, responsibilities, weights.to(phi), normalisers)


def entropy(responsibilities: Float[Tensor, "n K"]) -> Float[Tensor, " n"]:
    """H(r_n) of each row, in nats."""
    return -torch.xlogy(responsibilities, responsibilities).sum(1)


@torch.no_grad()
def survey(
    chunks: FeatureChunks, posterior: MixturePosterior, *, budget: int = SHARED_BYTES
) -> Survey:
    """One pass: S and entropy at the best q(c), and what the moves choose their targets by."""
    statistics = torch.zeros(posterior.n_components, chunks.family.n_features, dtype=torch.float64)
    total, labels, normalisers, shared = 0.0, [], [], list[SharedRows]()
    for block in blocks(chunks, posterior):
        resp, weights = block.responsibilities, block.weights
        statistics += ((resp * weights[:, None]).mT @ block.phi).cpu()
        total += float(entropy(resp).double() @ weights.double())
        largest, label = resp.max(dim=1)
        labels.append(label.cpu())
        normalisers.append(block.log_normalisers.cpu())
        several = largest < 1 - SHARED
        rows = SharedRows(resp[several].cpu(), weights[several].cpu())
        shared.append(rows.thinned(budget))
    return Survey(
        posterior,
        Partition(posterior.prior, statistics, total),
        torch.cat(labels),
        torch.cat(normalisers),
        _joined(shared).thinned(budget),
    )


def _joined(parts: list[SharedRows]) -> SharedRows:
    return SharedRows(
        torch.cat([part.responsibilities for part in parts]),
        torch.cat([part.weights for part in parts]),
    )
