"""Heirs: to whom the rows of a component would go if it were left out.

Two small components may lie far from each other, each beside a large one, and the bound may
still rise most when they are merged: a wide Gaussian of few rows is cheap. At a fixed posterior
that is right. While networks train it is not, since what is merged is drawn together: parts of
two clusters would become a third. So there two components are merged only if each is the heir
of the other, and a small part of a large cluster is deleted, which its rows share out themselves.
"""

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.partition import Survey, blocks


class Heirs:
    """The heir of each component: the one that is second largest in most of its rows.

    ``rows`` [K, K] counts the rows whose largest component is k by their second largest.
    """

    def __init__(self, rows: Float64[Tensor, "K K"]) -> None:
        self._rows = rows

    @classmethod
    def of(cls, chunks: FeatureChunks, view: Survey) -> "Heirs":
        """One pass over the data."""
        alive = view.partition.counts > 0
        n, n_alive = len(alive), int(alive.sum())
        rows = torch.zeros(n * n, dtype=torch.float64)
        if n_alive > 1:
            empty = (~alive).to(chunks.device)
            for block in blocks(chunks, view.posterior):
                logits = view.posterior.logits(block.phi).masked_fill_(empty, -torch.inf)
                first, second = logits.topk(2, dim=1).indices.cpu().unbind(1)
                weights = block.weights.double().cpu()
                rows += torch.bincount(n * first + second, weights, minlength=n * n)
        return cls(rows.view(n, n))

    def mutual(self, pairs: Int64[Tensor, "P 2"]) -> Bool[Tensor, " P"]:
        """Whether each of a pair is the heir of the other; without rows there is no heir."""
        most, heir = self._rows.max(1)
        return ((heir[pairs] == pairs.flip(1)) & (most[pairs] > 0)).all(1)

    def merge(self, a: int, b: int) -> None:
        """Let a, to which b is added, give and inherit what b would.

        Who would inherit the rows that the two shared has not been looked at.
        """
        for rows in (self._rows, self._rows.mT):
            rows[a] += rows[b]
            rows[b] = 0
        self._rows[a, a] = 0
