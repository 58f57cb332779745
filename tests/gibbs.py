"""Partitions drawn from the exact posterior of a Dirichlet process mixture of Gaussians.

Nothing here imports dimix, and nothing is variational. The weights, means and precisions are
integrated out, so that a state is a partition of the rows:

    p(partition | z) ∝ α^K ∏_k Γ(n_k) g(z of cluster k),  g the evidence of one Gaussian

``draws`` visits it by Gibbs sampling (Rasmussen, The infinite Gaussian mixture model, 1999, in
the form of Neal, Markov chain sampling methods for Dirichlet process mixture models, 2000,
algorithm 3); ``every_partition`` lists it for a few rows.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from scipy.special import gammaln, logsumexp, multigammaln

from oracles import NormalWishart, log_marginal


def draws(
    z: np.ndarray,
    prior: NormalWishart,
    concentration: float,
    n_draws: int,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Labels [n_draws, N] after each sweep over all rows, from ``start`` or from one cluster.

    A sweep takes each row out of its cluster and draws it anew: into cluster k with
    probability in proportion to n_k g(cluster with the row) / g(cluster), into a new one with
    α g(row).
    """
    labels = np.zeros(len(z), dtype=int) if start is None else start.copy()
    # A slot more than there can be clusters, so that there is always one to open.
    state = _Clusters(z, labels, prior, len(z) + 1)
    kept = np.empty((n_draws, len(z)), dtype=int)
    for sweep in range(n_draws):
        for n in range(len(z)):
            state.add(labels[n], n, -1)
            slots = np.append(np.flatnonzero(state.counts), state.counts.argmin())
            mass = np.append(state.counts[slots[:-1]], concentration)
            log_p = np.log(mass) + state.log_predictive(slots, n)
            p = np.exp(log_p - log_p.max())
            labels[n] = slots[np.searchsorted(p.cumsum(), rng.uniform() * p.sum())]
            state.add(labels[n], n, 1)
        kept[sweep] = labels
    return kept


class _Clusters:
    """Counts, sums and outer products of the rows of each cluster, and their log evidence."""

    def __init__(
        self, z: np.ndarray, labels: np.ndarray, prior: NormalWishart, n_slots: int
    ) -> None:
        mean, self.kappa, self.dof, self.scatter = prior
        self.z = z - mean  # from here on the prior mean is 0
        self.outer = self.z[:, :, None] * self.z[:, None, :]
        one_hot = np.eye(n_slots)[labels]
        self.counts = one_hot.sum(0).astype(int)
        self.sums = one_hot.T @ self.z
        self.squares = np.einsum("nk,nij->kij", one_hot, self.outer)
        # All that depends on a count alone, for each count that there can be.
        n, dim = np.arange(len(z) + 1), z.shape[1]
        self.of_count = (
            multigammaln((self.dof + n) / 2, dim)
            - dim / 2 * np.log(self.kappa + n)
            - n * dim / 2 * np.log(np.pi)
        )

    def add(self, slot: int, n: int, sign: int) -> None:
        self.counts[slot] += sign
        self.sums[slot] += sign * self.z[n]
        self.squares[slot] += sign * self.outer[n]

    def log_predictive(self, slots: np.ndarray, n: int) -> np.ndarray:
        """Log density of row n given the rows of each cluster: a ratio of evidences."""
        counts, sums, squares = self.counts[slots], self.sums[slots], self.squares[slots]
        after = self._log_evidence(counts + 1, sums + self.z[n], squares + self.outer[n])
        return after - self._log_evidence(counts, sums, squares)

    def _log_evidence(self, n: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Murphy, Conjugate Bayesian analysis (2007), (266), less what no cluster changes."""
        means = sums[:, :, None] * sums[:, None, :] / (self.kappa + n)[:, None, None]
        log_det = np.linalg.slogdet(self.scatter + squares - means)[1]
        return self.of_count[n] - 0.5 * (self.dof + n) * log_det


def log_prior(labels: np.ndarray, concentration: float) -> float:
    """Log probability of a partition without data: the Chinese restaurant process."""
    sizes = np.unique(labels, return_counts=True)[1]
    normaliser = gammaln(concentration) - gammaln(concentration + len(labels))
    return float(normaliser + (np.log(concentration) + gammaln(sizes)).sum())


def log_joint(
    z: np.ndarray, labels: np.ndarray, prior: NormalWishart, concentration: float
) -> float:
    """Log p(partition, z), each cluster as a chain of Student t's."""
    of_rows = sum(log_marginal(z[labels == k], prior) for k in np.unique(labels))
    return log_prior(labels, concentration) + of_rows


def every_partition(n: int) -> Iterator[np.ndarray]:
    """All partitions of n rows, as labels that grow by one at the most (Bell's number)."""

    def grown(labels: list[int]) -> Iterator[list[int]]:
        if len(labels) == n:
            yield labels
            return
        for label in range(max(labels, default=-1) + 2):
            yield from grown([*labels, label])

    return (np.array(labels) for labels in grown([]))


def exact_posterior(
    z: np.ndarray, prior: NormalWishart, concentration: float
) -> tuple[np.ndarray, np.ndarray]:
    """Every partition of a few rows [P, N], and its probability given the rows [P]."""

    @cache
    def evidence(*rows: int) -> float:
        return log_marginal(z[list(rows)], prior)

    partitions = np.array(list(every_partition(len(z))))
    log_p = np.array([log_prior(labels, concentration) for labels in partitions])
    for p, labels in enumerate(partitions):
        log_p[p] += sum(evidence(*np.flatnonzero(labels == k)) for k in range(labels.max() + 1))
    return partitions, np.exp(log_p - logsumexp(log_p))


def n_clusters(labels: np.ndarray, least_rows: int = 1) -> np.ndarray:
    """How many clusters of each partition [P, N] hold ``least_rows`` or more."""
    return np.array([(np.bincount(partition) >= least_rows).sum() for partition in labels])


def together(labels: np.ndarray, probability: np.ndarray | None = None) -> np.ndarray:
    """How probable it is that two rows share a cluster [N, N], over partitions [P, N]."""
    shared = labels[:, :, None] == labels[:, None, :]
    return np.average(shared, axis=0, weights=probability)
