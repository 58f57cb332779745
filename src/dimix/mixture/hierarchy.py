"""The coarsened merge tree: components → clusters.

Real clusters are not Gaussian, and with enough rows the bound rightly asks for several
components a cluster. Coarsening (Miller and Dunson 2019) weighs the local part of the bound by
s = N_eff / N: N_eff says with how many rows' worth of trust the Gaussian shape is taken. As it
falls from N, one merge after another begins to pay, and the order in which they do is a tree
over components. Its heights are log(N / N_eff), and each cut of it is a clustering.
`dimix.mixture.descent` finds them.
"""

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real

import numpy as np
from jaxtyping import Float, Float64, Int64

LEAST_ROWS = 0.5
"""Components with fewer rows than this are empty: they are no leaves of the tree."""
CLEAR_GAP = math.log(2)
"""Width in log N_eff from which the widest gap counts as clear."""


@dataclass(frozen=True)
class Gap:
    """A range of N_eff over which the number of clusters stays the same.

    ``clear`` is False where no number of clusters stands out; ``diagnosis`` says so in words.
    """

    n_clusters: int
    n_eff_low: float
    n_eff_high: float
    clear: bool
    diagnosis: str

    @property
    def width(self) -> float:
        """Width in log N_eff."""
        return math.log(self.n_eff_high / self.n_eff_low)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree over the K components that hold rows.

    Leaf i is component ``leaves[i]`` of the posterior. Merge m joins the nodes ``merges[m]``
    into node K + m, in scipy's numbering, at height ``heights[m]`` = log(N / N_eff), which is
    0 for merges that pay at N_eff = N, log N for those that do not even pay at N_eff = 1, and
    never falls. ``n_features`` is F, the numbers that describe a component. ``trained_n_eff`` is
    that of the bound which brought the rows apart, as it does deep latents; 0 for data. Where the
    clusters ``are_kept`` that this left, they are those of a cut at that N_eff.
    """

    leaves: Int64[np.ndarray, " K"]
    counts: Float64[np.ndarray, " K"]
    merges: Int64[np.ndarray, "M 2"]
    heights: Float64[np.ndarray, " M"]
    n_components: int
    n_features: int
    trained_n_eff: float = 0.0
    are_kept: bool = False

    @property
    def n_rows(self) -> float:
        """N: the rows of all components."""
        return float(self.counts.sum())

    @property
    def shares(self) -> Float64[np.ndarray, " K"]:
        """The share of the rows that each component holds."""
        return self.counts / self.n_rows

    @cached_property
    def linkage(self) -> Float64[np.ndarray, "M 4"]:
        """The tree as scipy.cluster.hierarchy takes it: nodes, height, number of components."""
        sizes = [1] * len(self.leaves)
        for a, b in self.merges:
            sizes.append(sizes[a] + sizes[b])
        joined = np.array(sizes[len(self.leaves) :], dtype=np.float64)
        return np.column_stack([self.merges, self.heights, joined])

    def begun_at(self, n_eff: float) -> "Hierarchy":
        """The tree of so many rows, if N is more: what pays above is merged to begin with."""
        n_eff = min(n_eff, self.n_rows)
        heights = np.maximum(self.heights - math.log(self.n_rows / n_eff), 0.0)
        return replace(self, counts=n_eff * self.shares, heights=heights)

    @cached_property
    def gap(self) -> Gap:
        """The gap between heights which "auto" cuts in, of data the widest.

        N_eff is looked at from N down to F log F: with fewer rows, the numbers that describe a
        component cost more than any but the largest misfit, and everything merges. The ends
        count as heights, so that one cluster and one a component are allowed answers; but one
        cluster counts half as wide, since all data end as that. Of fewer than F log F rows,
        components stay clusters.

        Rows that were brought apart are not put together again for want of rows: which gap is
        the widest is judged above ``trained_n_eff`` alone, and whether it is clear by all of it.
        The gap that holds that N_eff is chosen where none is clear, or where its clusters
        ``are_kept``.
        """
        ends = self._gap_ends()
        chosen, clear = self._chosen(ends)
        n_clusters = len(ends) - 1 - chosen
        high, low = (float(n_eff) for n_eff in self.n_rows * np.exp(-ends[chosen : chosen + 2]))
        diagnosis = _diagnosis(n_clusters, clear, high, low, self.trained_n_eff)
        if not (clear or self.trained_n_eff) and ends[chosen + 1] == ends[-1]:
            diagnosis += f"; fewer rows tell nothing of a component's {self.n_features} numbers"
        return Gap(n_clusters, low, high, clear, diagnosis)

    def _chosen(self, ends: Float64[np.ndarray, " ends"]) -> tuple[int, bool]:
        """Which of the gaps between ``ends`` it is, and whether it is clear."""
        trained = max(math.log(self.n_rows / max(self.trained_n_eff, 1.0)), 0.0)
        holding = int((self._above_0 <= trained).sum())
        counted = np.diff(np.minimum(ends, trained))
        counted[-1] /= 2
        chosen = holding if self.are_kept else int(counted.argmax())
        clear = bool(np.diff(ends)[chosen] >= CLEAR_GAP)
        return holding if self.trained_n_eff and not clear else chosen, clear

    def _gap_ends(self) -> Float64[np.ndarray, " ends"]:
        """0, the heights above it, and the height of F log F rows, which none of them leaves."""
        top = max(math.log(self.n_rows / (self.n_features * math.log(self.n_features))), 0.0)
        return np.concatenate([[0.0], np.minimum(self._above_0, top), [top]])

    @property
    def _above_0(self) -> Float64[np.ndarray, " heights"]:
        return self.heights[self.heights > 0]

    def cut(
        self, how: str | None = None, *, n_clusters: int | None = None, n_eff: float | None = None
    ) -> Int64[np.ndarray, " T"]:
        """The cluster of each component, numbered from 0 with the largest first.

        Exactly one of ``how="auto"``, ``n_clusters`` and ``n_eff``. Empty components go with
        the largest one, since they hold nothing that could tell where else.
        """
        if sum(choice is not None for choice in (how, n_clusters, n_eff)) != 1 or (
            how not in (None, "auto")
        ):
            raise ValueError('cut takes one of "auto", n_clusters=… and n_eff=…')
        if n_eff is not None:
            n_merges = self._merges_at(n_eff)
        else:
            n_merges = len(self.leaves) - self._checked(
                self.gap.n_clusters if n_clusters is None else n_clusters
            )
        return self._labels(n_merges)

    def supported(self, n_clusters: int) -> int:
        """So many clusters, or as many as components hold rows, if these are fewer.

        Warns:
            UserWarning: they are.
        """
        if n_clusters > len(self.leaves):
            warnings.warn(
                f"n_clusters={n_clusters}, but the bound supports {len(self.leaves)} components; "
                "going on with these",
                stacklevel=2,
            )
        return min(n_clusters, len(self.leaves))

    def _merges_at(self, n_eff: float) -> int:
        if not (_is_number(n_eff) and np.isfinite(n_eff) and n_eff > 0):
            raise ValueError(f"n_eff must be a finite number > 0, got {n_eff!r}")
        height = max(math.log(self.n_rows / n_eff), 0.0)
        return int(np.searchsorted(self.heights, height, side="right"))

    def _checked(self, n_clusters: int) -> int:
        if not _is_number(n_clusters, Integral) or not 1 <= n_clusters <= len(self.leaves):
            raise ValueError(
                f"n_clusters must be an integer from 1 to {len(self.leaves)}, the number of "
                f"components that hold rows, got {n_clusters!r}"
            )
        return n_clusters

    def _labels(self, n_merges: int) -> Int64[np.ndarray, " T"]:
        """Labels of all components after the first ``n_merges`` merges."""
        members = {i: [i] for i in range(len(self.leaves))}
        for m, (a, b) in enumerate(self.merges[:n_merges]):
            members[len(self.leaves) + m] = members.pop(int(a)) + members.pop(int(b))
        clusters = sorted(members.values(), key=lambda leaves: -self.counts[leaves].sum())
        home = next(i for i, leaves in enumerate(clusters) if int(self.counts.argmax()) in leaves)
        labels = np.full(self.n_components, home)
        for label, leaves in enumerate(clusters):
            labels[self.leaves[leaves]] = label
        return labels


def _is_number(value: object, kind: type = Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def pool(
    responsibilities: Float[np.ndarray, "N T"], labels: Int64[np.ndarray, " T"]
) -> Float[np.ndarray, "N C"]:
    """The probability of each cluster: the sum over its components."""
    member = labels[:, None] == np.arange(labels.max() + 1)
    pooled: Float[np.ndarray, "N C"] = np.minimum(
        responsibilities @ member.astype(responsibilities.dtype), 1
    )
    return pooled


def _diagnosis(n_clusters: int, clear: bool, high: float, low: float, trained: float) -> str:
    span = f"from N_eff = {high:.4g} down to {low:.4g}"
    if trained and not clear:
        return (
            f"no clear number of clusters: {n_clusters} at N_eff = {trained:.4g}, that of the "
            "training, in no clear gap"
        )
    gap = "a clear gap" if trained else "the widest gap"
    if n_clusters == 1:
        return f"no cluster structure: one cluster {span}, {gap}"
    if clear:
        return f"{n_clusters} clusters {span}, {gap}"
    return (
        f"no clear number of clusters: the widest gap, {n_clusters} clusters {span}, is "
        f"narrower than a factor of {math.exp(CLEAR_GAP):.3g}"
    )
