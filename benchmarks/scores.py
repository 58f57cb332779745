"""Scores of clusterings: as a case of the record, and as a row of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, stdev

import numpy as np
from benchmarks.record import Case, rounded
from jaxtyping import Int64

from dimix.metrics import clustering_scores

SHOWN = {"acc": "acc", "nmi": "NMI", "cs": "CS", "ari": "ARI"}
"""Scores and their titles."""


def scores(found: Int64[np.ndarray, " N"], labels: Int64[np.ndarray, " N"]) -> dict[str, float]:
    """Every score of a clustering, rounded."""
    every = asdict(clustering_scores(labels, found))
    return {name: rounded(value) for name, value in every.items()}


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    mean = f"{fmean(values):.3f}"
    return f"{mean} ± {stdev(values):.3f}" if len(values) > 1 else mean


def clusters(values: Sequence[float]) -> str:
    """The number of clusters of each seed, in order of size."""
    return ", ".join(f"{n:g}" for n in sorted(values))


def page(
    what: str, cases: Mapping[str, Sequence[Case]], further: Mapping[str, str] | None = None
) -> str:
    """A table with a row for each method or variant, which is the mean over its seeds.

    ``further`` names scores of the cases that others have not, and their columns.
    """
    shown = SHOWN | dict(further or {})
    titles = [what, "seeds", "clusters", *shown.values(), "seconds"]
    ruler = ["---", "---:", "---", *("---:" for _ in shown), "---:"]
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, ruler)]
    for name, found in cases.items():
        cells = [name, str(len(found)), clusters([case["n_clusters"] for case in found])]
        cells += [spread([case[score] for case in found]) for score in shown]
        cells.append(f"{fmean(case['seconds'] for case in found):,.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
