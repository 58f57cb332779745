"""Splits and births: sub-mixtures of the rows of a component, or of rows badly explained.

A split of component k hands its rows to J parts, r_nk → r_nk ρ_nj, whatever ρ is; the better ρ,
the higher the gain. So the parts may be fitted to a sample of the component's rows, all
components at once as one batch, and only the gain of the few that promise one is computed
exactly, for all of them in one pass over the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from dimix.mixture.families import GaussianFamily
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.partition import (
    Partition,
    Proposal,
    Survey,
    affordable,
    blocks,
    entropy,
    evidences,
)
from dimix.mixture.posterior import MixturePrior

SAMPLE_ROWS = 1000
"""The most rows of a component that its parts are fitted to, if their Φ fits SAMPLE_BYTES."""
PART_STEPS = 10
"""Updates of the parts of a component."""
BATCH_BYTES = 2**26
"""Memory for Φ of the sampled rows that are worked on at a time."""
SAMPLE_BYTES = 2**29
"""Memory for Φ of the sampled rows of one component."""
TAIL = 1e-5
"""Rows with less than this of a component go to its largest part, unseen."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Up to M rows of each of G components, weight 0 where a component has fewer."""

    components: Int64[Tensor, " G"]
    rows: Int64[Tensor, "G M"]
    weights: Float64[Tensor, "G M"]

    def drawn(self, n: int, generator: torch.Generator) -> "Sample":
        """The sample of ``n`` components, the larger the likelier; of all if there are no more."""
        if n >= len(self.components):
            return self
        few = torch.multinomial(self.weights.sum(1).clamp(min=1e-9), n, generator=generator)
        return Sample(self.components[few], self.rows[few], self.weights[few])

    def batches(self, n: int) -> "Iterator[Sample]":
        """The sample, ``n`` components at a time."""
        parts = (self.components.split(n), self.rows.split(n), self.weights.split(n))
        return (Sample(*part) for part in zip(*parts, strict=True))


@dataclass(frozen=True, eq=False)
class Parts:
    """Sub-mixtures of G components in J parts each, as fitted to some of their rows.

    ``natural`` multiplies Φ to give the logits within a component; ``statistics`` and
    ``entropy`` are those of the rows that they were fitted to.
    """

    natural: Float64[Tensor, "G J F"]
    statistics: Float64[Tensor, "G J F"]
    entropy: Float64[Tensor, " G"]


def propose_splits(
    chunks: FeatureChunks, survey: Survey, n_parts: int, rng: np.random.RandomState
) -> list[Proposal]:
    """Splits of components in up to ``n_parts``, two along the axis of largest spread, that pay.

    Costs one pass over the data, or none if no split of the sampled rows promises a gain.
    """
    generator = _generator(rng)
    sample = sample_rows(chunks, survey, generator)
    if not len(sample.components):
        return []
    seeded, n_steps, n_groups = plan(chunks.family, n_parts, len(sample.components))
    sample = sample.drawn(n_groups, generator)
    promising = list[tuple[int, Tensor]]()
    for batch in sample.batches(max(1, BATCH_BYTES // (_row_bytes(chunks) * sample.rows.shape[1]))):
        z, phi = _rows_of(chunks, batch.rows)
        starts = [along_axis(z, batch.weights, generator)]
        starts += [around_seeds(z, batch.weights, n, generator) for n in seeded]
        for start in starts:
            parts = fit_parts(survey.partition.prior, phi, batch.weights, start, n_steps)
            promising += _promising(survey.partition, batch, parts)
    return evaluate_splits(chunks, survey, promising) if promising else []


def plan(family: GaussianFamily, n_parts: int, n_groups: int) -> tuple[list[int], int, int]:
    """How many seeds starts have, the updates of each part, and the components looked at.

    All of them, unless that is not ``affordable``: then there are fewer updates, then no seeds
    (the axis of largest spread is the best start), then fewer components.
    """
    n_updates, seeded = affordable(family), sorted({2, n_parts})
    n_steps = n_updates // (n_groups * (2 + sum(seeded)))
    if n_steps == 0:
        seeded, n_steps = [], n_updates // (2 * n_groups)
    return seeded, min(max(n_steps, 1), PART_STEPS), max(1, min(n_groups, n_updates // 4))


def sample_rows(chunks: FeatureChunks, survey: Survey, generator: torch.Generator) -> Sample:
    """Rows drawn at random from those that each component is the largest in."""
    order = torch.randperm(len(survey.labels), generator=generator)
    order = order[survey.labels[order].argsort(stable=True)]
    labels = survey.labels[order]
    sizes = torch.bincount(labels, minlength=len(survey.partition.counts))
    place = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[labels]
    width = min(most_rows(chunks), int(sizes.max()))
    kept = place < width
    rows = torch.zeros(len(sizes), width, dtype=torch.int64)
    weights = torch.zeros(len(sizes), width, dtype=torch.float64)
    rows[labels[kept], place[kept]] = order[kept]
    weights[labels[kept], place[kept]] = _weights_of(chunks, order[kept])
    components = (sizes > 1).nonzero()[:, 0]
    return Sample(components, rows[components], weights[components])


def most_rows(chunks: FeatureChunks) -> int:
    """The most rows of a component that its parts are fitted to."""
    return max(2, min(SAMPLE_ROWS, SAMPLE_BYTES // _row_bytes(chunks)))


def _row_bytes(chunks: FeatureChunks) -> int:
    return chunks.family.n_features * chunks.z.element_size()


def along_axis(
    z: Float[Tensor, "G M D"], weights: Float64[Tensor, "G M"], generator: torch.Generator
) -> Int64[Tensor, "G M"]:
    """Two halves of each group of rows, cut at the mean along its axis of largest spread."""
    w = weights[:, :, None].to(z)
    centred = (z - (w * z).sum(1, keepdim=True) / w.sum(1, keepdim=True)) * w.sqrt()
    axis = torch.randn(len(z), z.shape[2], 1, generator=generator, dtype=z.dtype)
    for _ in range(10):  # power iteration
        axis = torch.nn.functional.normalize(centred.mT @ (centred @ axis), dim=1)
    return (centred @ axis)[:, :, 0].gt(0).long()


def around_seeds(
    z: Float[Tensor, "G M D"],
    weights: Float64[Tensor, "G M"],
    n_parts: int,
    generator: torch.Generator,
) -> Int64[Tensor, "G M"]:
    """The nearest of ``n_parts`` seeds, drawn one after another by k-means++."""
    group = torch.arange(len(z))
    nearest = z.new_full(z.shape[:2], torch.inf, dtype=torch.float64)
    labels = torch.zeros(z.shape[:2], dtype=torch.int64)
    chances = weights
    for part in range(n_parts):
        # Rows all in the same place leave no chance to draw by.
        chances = torch.where(chances.sum(1, keepdim=True) > 0, chances, weights)
        seeds = torch.multinomial(chances, 1, generator=generator)[:, 0]
        distances = (z - z[group, seeds, None]).square().sum(2).double()
        labels[distances < nearest] = part
        nearest = nearest.minimum(distances)
        chances = nearest * weights
    return labels


def fit_parts(
    prior: MixturePrior,
    phi: Float[Tensor, "G M F"],
    weights: Float64[Tensor, "G M"],
    labels: Int64[Tensor, "G M"],
    n_steps: int = PART_STEPS,
) -> Parts:
    """Coordinate ascent on each group of rows alone, all groups at once, from given labels.

    Each group is a finite mixture with a symmetric Dirichlet prior that empties parts which
    are not needed.
    """
    # Part by row, as in a sweep: softmax along the strided axis vectorises.
    resp = torch.nn.functional.one_hot(labels).to(phi).mT
    n_groups, n_parts, _ = resp.shape
    w = weights[:, None, :].to(phi)
    for _ in range(n_steps):
        statistics = ((resp * w) @ phi).double().cpu()
        params = prior.family.update(prior.components, statistics.flatten(0, 1))
        natural = prior.family.expected_natural(params).unflatten(0, (n_groups, n_parts))
        natural[:, :, 0] += torch.digamma(statistics[:, :, 0] + 1 / n_parts)
        resp = torch.softmax(natural.to(phi) @ phi.mT, dim=1)
    statistics = ((resp * w) @ phi).double().cpu()
    entropies = entropy(resp.mT.flatten(0, 1)).cpu().view_as(weights)
    return Parts(natural, statistics, (entropies * weights).sum(1))


def evaluate_splits(
    chunks: FeatureChunks, survey: Survey, parts: list[tuple[int, Float64[Tensor, "_ F"]]]
) -> list[Proposal]:
    """The exact change of S and entropy of each split (k, η of its parts), in one pass."""
    totals = [torch.zeros_like(natural) for _, natural in parts]
    entropies = [0.0] * len(parts)
    splits_of = dict[int, list[int]]()
    for i, (component, _) in enumerate(parts):
        splits_of.setdefault(component, []).append(i)
    for block in blocks(chunks, survey.posterior):
        for component, splits in splits_of.items():
            rows = (block.responsibilities[:, component] > TAIL).nonzero()[:, 0]
            phi = block.phi[rows]
            mass = block.responsibilities[rows, component] * block.weights[rows]
            for i in splits:
                shares = torch.softmax(parts[i][1].to(phi) @ phi.mT, dim=0)
                totals[i] += ((shares * mass) @ phi).cpu()
                entropies[i] += float(entropy(shares.mT).double() @ mass.double())
    statistics = survey.partition.statistics
    return [
        _split(statistics[k], k, total, gained)
        for (k, _), total, gained in zip(parts, totals, entropies, strict=True)
    ]


def propose_birth(
    chunks: FeatureChunks,
    survey: Survey,
    rows: Int64[Tensor, " M"],
    n_parts: int,
    rng: np.random.RandomState,
) -> Proposal:
    """Fresh components that take over ``rows`` altogether; no pass over the data."""
    generator = _generator(rng)
    z, phi = _rows_of(chunks, rows[None])
    weights = _weights_of(chunks, rows)[None]
    prior = survey.partition.prior
    n_steps = max(1, min(PART_STEPS, affordable(chunks.family) // n_parts))
    seeded = around_seeds(z, weights, n_parts, generator)
    parts = fit_parts(prior, phi, weights, seeded, n_steps)
    before = survey.posterior.log_responsibilities(phi[0]).exp()
    taken = ((before * weights[0, :, None].to(phi)).mT @ phi[0]).cpu()
    lost = float(entropy(before).double().cpu() @ weights[0])
    touched = (taken[:, 0] > 0).nonzero()[:, 0]
    return Proposal(
        "birth",
        (),
        touched,
        -taken[touched].double(),
        _filled(parts.statistics[0]),
        float(parts.entropy[0]) - lost,
    )


def _generator(rng: np.random.RandomState) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))


def _promising(
    partition: Partition, sample: Sample, parts: Parts
) -> list[tuple[int, Float64[Tensor, "_ F"]]]:
    """The parts that would raise the bound if every row were like the sampled ones."""
    prior, scales = partition.prior, partition.counts[sample.components] / sample.weights.sum(1)
    statistics = scales[:, None, None] * parts.statistics
    whole = evidences(prior, statistics.sum(1, keepdim=True))
    gains = evidences(prior, statistics) + scales * parts.entropy - whole
    pays = (gains > 0).nonzero()[:, 0].tolist()
    return [(int(sample.components[g]), parts.natural[g]) for g in pays]


def _split(
    whole: Float64[Tensor, " F"], component: int, parts: Float64[Tensor, "J F"], entropy: float
) -> Proposal:
    """The proposal, with what the parts were not asked about added to the largest of them."""
    parts = _filled(parts)
    parts[parts[:, 0].argmax()] += whole - parts.sum(0)
    return Proposal("split", (component,), torch.tensor([component]), -whole[None], parts, entropy)


def _filled(parts: Float64[Tensor, "J F"]) -> Float64[Tensor, "j F"]:
    """The parts that hold any rows."""
    filled: Bool[Tensor, " J"] = parts[:, 0] > 0
    return parts[filled].clone()


def _rows_of(
    chunks: FeatureChunks, rows: Int64[Tensor, "G M"]
) -> tuple[Float[Tensor, "G M D"], Float[Tensor, "G M F"]]:
    """z, by which seeds are drawn, and Φ, on the device of the chunks."""
    z = chunks.z[rows.flatten()]
    var = None if chunks.var is None else chunks.var[rows.flatten()].to(chunks.device)
    phi = chunks.family.features(z.to(chunks.device), var)
    # Only starts look at z itself: there a missing value may be the mean, which is zero.
    return z.nan_to_num().unflatten(0, tuple(rows.shape)), phi.unflatten(0, tuple(rows.shape))


def _weights_of(chunks: FeatureChunks, rows: Int64[Tensor, " n"]) -> Float64[Tensor, " n"]:
    if chunks.weights is None:
        return torch.ones(len(rows), dtype=torch.float64)
    return chunks.weights[rows].double()
