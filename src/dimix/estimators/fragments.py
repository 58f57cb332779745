"""Fragments: parts of a cluster that training has set apart, though in the data they lie in it.

Networks bring together what the mixture takes for one cluster, and move the rest away from it. So
the bound never takes back a part that was once left out. The data, which no training has moved,
tell it by the nearest neighbours: few of a cluster's own are in any other (after Ding and He 2004,
K-nearest-neighbor consistency in data clustering).
"""

import math

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from dimix.data.neighbours import AMONG, nearest

NEIGHBOURS = 5
"""How many of each row's nearest others are looked at."""
SHARE = 1 / 5
"""From which share of its neighbours that are in one other cluster a cluster is a part of that."""
USUALLY = 2.0
"""Only from so many times the share of all neighbours that are in another cluster than the row:
where many are, distances in the data say little of clusters."""
FEWEST = 30
"""Clusters of fewer rows are left as they are: too few to have neighbours among themselves."""
MOST_NUMBERS = 10**8
"""Of so many numbers at most are neighbours looked for, which is 400 MB."""


def joined_fragments(
    rows: Num[Tensor, "N P"], labels: Int64[Tensor, " N"], n_clusters: int
) -> Int64[Tensor, " C"]:
    """The cluster that each of ``n_clusters`` becomes once its fragments are part of the others.

    Neighbours are looked for among 10,000 rows at most, evenly spaced.
    """
    most = max(min(AMONG, MOST_NUMBERS // rows.shape[1]), 1)
    some = slice(None, None, math.ceil(len(rows) / most))
    rows, labels = rows[some], labels[some]
    clusters = torch.arange(n_clusters)
    if len(rows) < FEWEST:
        return clusters
    pairs = labels[:, None] * n_clusters + labels[nearest(rows, NEIGHBOURS)]
    found = pairs.flatten().bincount(minlength=n_clusters**2)
    counts = found.view(n_clusters, n_clusters).double()
    while (pair := _fragment(counts)) is not None:
        part, whole = pair
        clusters[clusters == part] = whole
        for table in (counts, counts.mT):
            table[whole] += table[part]
            table[part] = 0
    return clusters


def _fragment(counts: Float64[Tensor, "C C"]) -> tuple[int, int] | None:
    """The cluster with the largest share of its neighbours in one other, and that, if enough.

    ``counts`` says how many neighbours the rows of each cluster have in each.
    """
    n_neighbours = counts.sum(1, keepdim=True)
    elsewhere = counts - counts.diag().diag()
    shares = (elsewhere / n_neighbours).where(n_neighbours >= FEWEST * NEIGHBOURS, 0.0)
    largest = int(shares.argmax())
    needed = max(SHARE, USUALLY * float(elsewhere.sum() / n_neighbours.sum()))
    return divmod(largest, len(counts)) if float(shares.max()) >= needed else None
