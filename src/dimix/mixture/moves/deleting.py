"""Deletions: a component's rows go to the others, as these would share them without it."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.partition import Block, Proposal, Survey, affordable, blocks, entropy

CANDIDATES = 8
"""Components looked at in a pass, smallest first."""
CHANGE_BYTES = 2**28
"""Memory for what their deletion changes; where one takes more, one is looked at."""


def propose_deletions(chunks: FeatureChunks, survey: Survey) -> list[Proposal]:
    """Deletions of the smallest components, each with its exact changes, in one pass."""
    counts = survey.partition.counts
    alive = (counts > 0).nonzero()[:, 0]
    if len(alive) < 2:
        return []
    n_fit = CHANGE_BYTES // survey.partition.statistics.nbytes
    n_candidates = max(1, min(CANDIDATES, n_fit, affordable(chunks.family) // 4))
    candidates = alive[counts[alive].argsort()][:n_candidates].tolist()
    changes = [torch.zeros_like(survey.partition.statistics) for _ in candidates]
    entropies = [0.0] * len(candidates)
    for block in blocks(chunks, survey.posterior):
        for i, component in enumerate(candidates):
            takers, change, gained = _without(block, survey, component)
            changes[i][takers] += change
            entropies[i] += gained
    return [
        _deletion(component, change, gained)
        for component, change, gained in zip(candidates, changes, entropies, strict=True)
    ]


def _without(
    block: Block, survey: Survey, component: int
) -> tuple[Int64[Tensor, " k"], Float64[Tensor, "k F"], float]:
    """What a block adds to S and to the entropy when a component is left out, by rows of S."""
    rows = block.responsibilities[:, component].nonzero()[:, 0]
    phi, before = block.phi[rows], block.responsibilities[rows]
    logits = survey.posterior.logits(phi)
    logits[:, component] = -torch.inf
    logits[:, survey.partition.counts == 0] = -torch.inf
    after = torch.softmax(logits, dim=1)
    weights = block.weights[rows, None]
    gained = (entropy(after) - entropy(before)).double() @ weights[:, 0].double()
    moved = (after - before) * weights
    takers = moved.any(dim=0).nonzero()[:, 0]
    change = moved[:, takers].mT.double() @ phi.double()
    return takers.cpu(), change.cpu(), float(gained)


def _deletion(component: int, change: Float64[Tensor, "K F"], entropy: float) -> Proposal:
    touched = change[:, 0].nonzero()[:, 0]
    return Proposal("delete", (component,), touched, change[touched], change[:0].clone(), entropy)
