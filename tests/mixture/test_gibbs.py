"""The fit against draws from the exact posterior over partitions, by Rasmussen's Gibbs sampler.

A variational fit is one good partition, softened; the exact posterior spreads over many. Even
where the clusters are clear it gives some of its probability to partitions that cut a row or
two off a cluster, and more so as N grows (Miller and Harrison, A simple example of Dirichlet
process mixture inconsistency for the number of components, 2013). So what is compared is the
most probable number of clusters, and whether two rows are together, to the probability of such
partitions; where the clusters are unclear, clusters of one or two rows are not counted.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

import gibbs
from dimix.mixture import DirichletProcessGaussianMixture

ALPHA = 0.3
TOLERANCE = 0.1
"""Of the probability that two rows are together: of partitions that cut clear clusters."""


class Comparison(NamedTuple):
    rows: np.ndarray
    prior: gibbs.NormalWishart
    draws: np.ndarray
    """Labels after each sweep [n_draws, N], the first sweeps left out."""
    fit: DirichletProcessGaussianMixture

    def log_joint(self, labels: np.ndarray) -> float:
        return gibbs.log_joint(self.rows, labels, self.prior, ALPHA)


CLEAR = {
    "one of one dimension": ([[0]], [30]),
    "one": ([[0, 0]], [30]),
    "two": ([[-4, 0], [4, 0]], [18, 12]),
    "three of one dimension": ([[-8], [0], [8]], [14, 10, 8]),
    "four": ([[0, 0], [7, 0], [0, 7], [7, 7]], [12, 10, 9, 8]),
}
UNCLEAR = {
    "near of one dimension": ([[-1.5], [1.5]], [10, 10]),
    "near": ([[-1.3, 0], [1.3, 0]], [10, 8]),
}
# With more rows the sampler changes between one cluster and two too seldom to be relied on.
SWEEPS = dict.fromkeys(CLEAR, 250) | dict.fromkeys(UNCLEAR, 4000)
clear = pytest.mark.parametrize("name", CLEAR)
unclear = [pytest.param(name, marks=pytest.mark.slow) for name in UNCLEAR]


@cache
def compared(name: str) -> Comparison:
    """Unit Gaussians around the named centres, sampled and fitted under the same prior."""
    centres, sizes = (CLEAR | UNCLEAR)[name]
    labels, dim = np.repeat(np.arange(len(sizes)), sizes), len(centres[0])
    rows = np.array(centres)[labels] + np.random.default_rng(0).normal(size=(len(labels), dim))
    prior = (np.zeros(dim), 0.02, dim + 8.0, (dim + 8.0) * np.eye(dim))
    draws = gibbs.draws(rows, prior, ALPHA, SWEEPS[name], np.random.default_rng(1))[50:]
    mean, mean_precision, degrees_of_freedom, scatter = prior
    fit = DirichletProcessGaussianMixture(
        15,
        weight_concentration_prior=ALPHA,
        mean_prior=mean,
        mean_precision_prior=mean_precision,
        degrees_of_freedom_prior=degrees_of_freedom,
        covariance_prior=scatter,
        reg_covar=0,
        tol=1e-8,
        max_iter=3000,
        random_state=0,
    )
    return Comparison(rows, prior, draws, fit.fit(rows))


def shares(labels: np.ndarray, least_rows: int = 1) -> np.ndarray:
    """How probable each number of clusters is, from 0 on."""
    counts = gibbs.n_clusters(labels, least_rows)
    return np.bincount(counts, minlength=labels.shape[1] + 1) / len(labels)


# --- the sampler itself


@pytest.mark.parametrize(("dim", "n"), [(1, 7), (2, 6)])
def test_the_sampler_draws_what_enumeration_says(dim: int, n: int) -> None:
    rng = np.random.default_rng(0)
    rows = 2 * rng.normal(size=(n, dim)) + 3 * (np.arange(n) % 2)[:, None]
    prior = (np.full(dim, 0.5), 0.3, dim + 1.5, 1.2 * np.eye(dim))
    drawn = gibbs.draws(rows, prior, 0.9, 2000, rng)

    def difference(concentration: float) -> float:
        """Total variation between the sampled and the exact number of clusters."""
        partitions, p = gibbs.exact_posterior(rows, prior, concentration)
        np.testing.assert_allclose(p.sum(), 1)
        exact = np.bincount(gibbs.n_clusters(partitions), p, n + 1)
        return float(np.abs(shares(drawn) - exact).sum() / 2)

    assert difference(0.9) < 0.04
    assert difference(0.45) > 0.15  # it would be seen if the draws were of another model
    partitions, p = gibbs.exact_posterior(rows, prior, 0.9)
    together = gibbs.together(partitions, p)
    np.testing.assert_allclose(gibbs.together(drawn), together, atol=0.04)


def test_every_partition_is_listed_once() -> None:
    """Bell's numbers; and without data the partitions are a Chinese restaurant's."""
    listed = [list(gibbs.every_partition(n)) for n in range(1, 8)]
    assert [len(partitions) for partitions in listed] == [1, 2, 5, 15, 52, 203, 877]
    assert len({tuple(labels) for labels in listed[-1]}) == 877
    for partitions in listed:
        p = [np.exp(gibbs.log_prior(labels, 0.7)) for labels in partitions]
        assert sum(p) == pytest.approx(1)


# --- the fit


@clear
def test_clear_clusters_are_counted_as_by_the_exact_posterior(name: str) -> None:
    _, _, draws, fit = compared(name)
    assert fit.n_clusters_ == shares(draws).argmax() == len(CLEAR[name][1])


@clear
def test_rows_are_together_as_in_the_exact_posterior(name: str) -> None:
    rows, _, draws, fit = compared(name)
    responsibilities = fit.predict_proba(rows)
    together = responsibilities @ responsibilities.T
    np.fill_diagonal(together, 1)
    np.testing.assert_allclose(together, gibbs.together(draws), atol=TOLERANCE)


@clear
def test_the_bound_is_below_the_evidence_of_all_partitions_and_near_it(name: str) -> None:
    """log p(z) = log p(partition, z) - log p(partition | z), at the partition of the fit."""
    case = compared(name)
    labels = case.fit.predict(case.rows)
    same = (labels[:, None] == labels) == (case.draws[:, :, None] == case.draws[:, None, :])
    share = same.all(axis=(1, 2)).mean()
    assert share > 0.3
    # Twice the sampling error of log share, as if one draw in ten were independent.
    error = 2 * np.sqrt((1 - share) / share / (len(case.draws) / 10))
    log_evidence = case.log_joint(labels) - np.log(share)
    assert log_evidence - 3 < case.fit.lower_bound_ < log_evidence + error


@pytest.mark.parametrize("name", unclear)
def test_unclear_clusters_are_counted_as_is_probable(name: str) -> None:
    _, _, draws, fit = compared(name)
    halves = [shares(half, least_rows=3) for half in np.array_split(draws, 2)]
    np.testing.assert_allclose(*halves, atol=0.1)  # or there are too few draws to say
    assert shares(draws, least_rows=3)[fit.n_clusters_] > 0.2


@pytest.mark.parametrize("name", [*CLEAR, *unclear])
def test_the_partition_found_is_as_good_as_the_best_of_the_draws(name: str) -> None:
    case = compared(name)
    drawn = [case.log_joint(labels) for labels in np.unique(case.draws[::10], axis=0)]
    assert case.log_joint(case.fit.predict(case.rows)) > max(drawn) - 1e-6
