"""The time to reach the bound at which scikit-learn ends, start included, both by one judge.

scikit-learn fits once and stops when an iteration gains less than the tolerance. Ours runs with
its defaults (moves on); every posterior is kept with the time at which its bound was known, and
the first that the judge puts at or above scikit-learn's final bound counts. Same K-means start
(same seed), same priors, truncation, tolerance a row, dtype (float64) and threads.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from benchmarks.mixture import judge
from benchmarks.mixture.data import DATA_SETS, clusters
from benchmarks.mixture.iteration import max_threads, only, seconds
from benchmarks.record import Case, rounded, run_missing
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from dimix import DirichletProcessGaussianMixture
from dimix.mixture import MixturePosterior

TRUNCATION, TOL, MAX_ITER = 50, 1e-4, 500
SETTINGS = {"T": TRUNCATION, "tol_nats_a_row": TOL, "max_iter_of_sklearn": MAX_ITER}
Trail = list[tuple[float, float, MixturePosterior]]


def _heavy(rng: np.random.RandomState, n: int) -> np.ndarray:
    x = clusters(rng, [n // 12] * 12, 6, spread=10)
    return x + rng.standard_t(3, size=x.shape)


def _overlapping(rng: np.random.RandomState, n: int) -> np.ndarray:
    return clusters(rng, [n // 30] * 30, 10, spread=4)


def _wide(rng: np.random.RandomState, n: int) -> np.ndarray:
    return clusters(rng, [n // 20] * 20, 32, spread=6)


def _square(rng: np.random.RandomState, n: int) -> np.ndarray:
    return rng.uniform(size=(n, 2))


DRAWN = {
    "30 overlapping clusters, D=10": (_overlapping, 60_000),
    "12 clusters with heavy tails, D=6": (_heavy, 60_000),
    "20 clusters, D=32": (_wide, 20_000),
    "uniform square": (_square, 5_000),
}
REAL = ("digits, 10 PCs", "digits, 20 PCs", "flower.jpg, colours")


def rows_of(name: str, rows: int | None = None) -> np.ndarray:
    """The data set of a name, ``rows`` of it if it is drawn."""
    rng = np.random.RandomState(0)
    if name in REAL:
        return np.ascontiguousarray(DATA_SETS[name](rng))
    draw, n = DRAWN[name]
    return draw(rng, rows or n)


def case(name: str, threads: int, rows: int | None = None) -> Case:
    """Times on one data set."""
    x = rows_of(name, rows)
    prior = judge.default_prior(x, TRUNCATION)
    with only(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = BayesianGaussianMixture(
            n_components=TRUNCATION, tol=TOL * len(x), max_iter=MAX_ITER, random_state=0
        )
        started = perf_counter()
        theirs.fit(x)
        their_seconds = perf_counter() - started
        ours = DirichletProcessGaussianMixture(
            TRUNCATION, tol=TOL, max_iter=500, random_state=0, covariance_prior="empirical"
        )
        with _recorded() as trail:
            started = perf_counter()
            ours.fit(x)
            our_seconds = perf_counter() - started
        of_start = seconds(lambda: KMeans(TRUNCATION, n_init=1, random_state=0).fit(x))
        target = judge.bound(x, prior, judge.of_sklearn(theirs))
        reached = _first_above(target, trail, x, prior)
    final = judge.bound(x, prior, judge.of_dimix(ours.posterior_))
    until = None if reached is None else reached - started
    return {
        "N": len(x),
        "D": x.shape[1],
        "threads": threads,
        "sklearn_seconds": rounded(their_seconds),
        "kmeans_seconds_in_both": rounded(of_start),
        "sklearn_iterations": theirs.n_iter_,
        "sklearn_converged": theirs.converged_,
        "sklearn_bound": target / len(x),
        "ours_seconds_to_that_bound": None if until is None else rounded(until),
        "ours_seconds_in_all": rounded(our_seconds),
        "ours_bound": final / len(x),
        "ours_bound_as_reported": ours.lower_bound_ / len(x),
        "speed_up": None if until is None else rounded(their_seconds / until),
    }


@contextmanager
def _recorded() -> Iterator[Trail]:
    """Keep every posterior whose bound is asked for, with that bound and the time."""
    trail, bound = Trail(), MixturePosterior.bound

    def bound_and_note(self: MixturePosterior, allocation: float) -> object:
        value = bound(self, allocation)
        trail.append((perf_counter(), value.total, self))
        return value

    MixturePosterior.bound = bound_and_note  # type: ignore[method-assign, assignment]
    try:
        yield trail
    finally:
        MixturePosterior.bound = bound  # type: ignore[method-assign]


def _first_above(target: float, trail: Trail, x: np.ndarray, prior: judge.Prior) -> float | None:
    """When the judge first puts a posterior at the target; those reported far below are skipped."""
    for when, reported, posterior in trail:
        likely = reported > target - 1e-6 * abs(target)
        if likely and judge.bound(x, prior, judge.of_dimix(posterior)) >= target:
            return when
    return None


def run(file: Path) -> None:
    """The cases that the record lacks."""
    cases = {
        f"{name}, {threads} thread{'s' * (threads > 1)}": partial(case, name, threads)
        for threads in sorted({1, max_threads()})
        for name in (*DRAWN, *REAL)
    }
    run_missing(file, "time_to_bound", SETTINGS, cases)


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table."""
    lines = [
        "| data set | N | D | scikit-learn, s (iterations) | ours to its bound, s "
        "| times as fast | K-means in both, s | ours in all, s "
        "| our bound above its, nats a row |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, c in cases.items():
        until = c["ours_seconds_to_that_bound"]
        speed = "not reached" if until is None else f"{c['speed_up']:.1f}"
        lines.append(
            f"| {name} | {c['N']} | {c['D']} | {c['sklearn_seconds']} "
            f"({c['sklearn_iterations']}) | {until or ''} | {speed} "
            f"| {c['kmeans_seconds_in_both']} | {c['ours_seconds_in_all']} "
            f"| {c['ours_bound'] - c['sklearn_bound']:+.4f} |"
        )
    return lines
