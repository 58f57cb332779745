"""Heirs: to whom the rows of a component would go if it were left out.

Two small components may lie far from each other, each beside a large one, and the bound may
still rise most when they are merged: a wide Gaussian of few rows is cheap. At a fixed posterior
that is right. While networks train it is not, since what is merged is drawn together: parts of
two clusters would become a third. So there a component is only merged into its heir.
"""

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.moves.partition import Survey, blocks


class Heirs:
    """Who would inherit most rows of each component: the second largest of most of them.

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

    def between(
        self, pairs: Int64[Tensor, "P 2"], counts: Float64[Tensor, " K"]
    ) -> Bool[Tensor, " P"]:
        """Whether the larger of each pair is the heir of the smaller; without rows none is."""
        a, b = pairs.unbind(1)
        smaller = torch.where(counts[a] < counts[b], a, b)
        most, heir = self._rows.max(1)
        return (heir[smaller] == a + b - smaller) & (most[smaller] > 0)

    def merge(self, a: int, b: int) -> None:
        """Let a, to which b is added, give and inherit what b would."""
        for rows in (self._rows, self._rows.mT):
            rows[a] += rows[b]
            rows[b] = 0
        self._rows[a, a] = 0
