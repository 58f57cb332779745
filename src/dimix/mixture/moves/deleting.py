"""Deletions: a component's rows go to the others, as these would share them without it."""

import torch
from jaxtyping import Float64
from torch import Tensor

from dimix.mixture.inference.batch import FeatureChunks
from dimix.mixture.moves.partition import Block, Proposal, Survey, blocks, entropy

CANDIDATES = 8
"""Components looked at in a pass, smallest first."""


def propose_deletions(chunks: FeatureChunks, survey: Survey) -> list[Proposal]:
    """Deletions of the smallest components, each with its exact changes, in one pass."""
    counts = survey.partition.counts
    alive = (counts > 0).nonzero()[:, 0]
    if len(alive) < 2:
        return []
    candidates = alive[counts[alive].argsort()][:CANDIDATES].tolist()
    changes = [torch.zeros_like(survey.partition.statistics) for _ in candidates]
    entropies = [0.0] * len(candidates)
    for block in blocks(chunks, survey.posterior):
        for i, component in enumerate(candidates):
            change, gained = _without(block, survey, component)
            changes[i] += change
            entropies[i] += gained
    return [
        _deletion(component, change, gained)
        for component, change, gained in zip(candidates, changes, entropies, strict=True)
    ]


def _without(block: Block, survey: Survey, component: int) -> tuple[Float64[Tensor, "K F"], float]:
    """The change of S and entropy that a block contributes when a component is left out."""
    rows = block.responsibilities[:, component].nonzero()[:, 0]
    phi, before = block.phi[rows], block.responsibilities[rows]
    logits = survey.posterior.logits(phi)
    logits[:, component] = -torch.inf
    logits[:, survey.partition.counts == 0] = -torch.inf
    after = torch.softmax(logits, dim=1)
    weights = block.weights[rows, None]
    gained = (entropy(after) - entropy(before)).double() @ weights[:, 0].double()
    change = ((after - before) * weights).mT.double() @ phi.double()
    return change.cpu(), float(gained)


def _deletion(component: int, change: Float64[Tensor, "K F"], entropy: float) -> Proposal:
    touched = change[:, 0].nonzero()[:, 0]
    return Proposal("delete", (component,), touched, change[touched], change[:0].clone(), entropy)
