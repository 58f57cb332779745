"""The final bound, ours from one start with moves against scikit-learn's best of ten starts.

Same priors, truncation and reg_covar, the same tolerance a row, and one judge that knows neither
library. Each of scikit-learn's ten fits is judged twice, in its own order of components and
ordered by size, which its bound would gain from; the best of the twenty counts.
"""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.mixture import judge
from benchmarks.mixture.data import DATA_SETS
from benchmarks.record import Case, run_missing
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from dimix import DirichletProcessGaussianMixture

SEEDS, STARTS, TRUNCATION, TOL, MAX_ITER = 3, 10, 30, 1e-6, 5000
MARGIN = 1e-4
SETTINGS = {
    "data_sets": list(DATA_SETS),
    "seeds": SEEDS,
    "starts_of_sklearn": STARTS,
    "n_components": TRUNCATION,
    "tol_nats_a_row": TOL,
    "max_iter": MAX_ITER,
    "priors": "scikit-learn's defaults",
    "margin_nats_a_row": MARGIN,
}


def case(name: str, seed: int, starts: int = STARTS) -> Case:
    """Final bounds in nats a row on one data set."""
    x = DATA_SETS[name](np.random.RandomState(seed))
    prior = judge.default_prior(x, TRUNCATION)
    ours = DirichletProcessGaussianMixture(
        TRUNCATION, tol=TOL, max_iter=MAX_ITER, random_state=seed, covariance_prior="empirical"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(x)
        theirs = [_best_judged(x, prior, seed * STARTS + start) for start in range(starts)]
    our_bound = judge.bound(x, prior, judge.of_dimix(ours.posterior_))
    return {
        "rows": len(x),
        "features": x.shape[1],
        "ours": our_bound / len(x),
        "ours_as_reported": ours.lower_bound_ / len(x),
        "sklearn_best": max(theirs) / len(x),
        "sklearn_median": float(np.median(theirs)) / len(x),
        "difference": (our_bound - max(theirs)) / len(x),
        "n_clusters": ours.n_clusters_,
    }


def _best_judged(x: np.ndarray, prior: judge.Prior, seed: int) -> float:
    model = BayesianGaussianMixture(
        n_components=TRUNCATION, tol=TOL * len(x), max_iter=MAX_ITER, random_state=seed
    ).fit(x)
    q = judge.of_sklearn(model)
    return max(judge.bound(x, prior, q), judge.bound(x, prior, q.by_size(prior.alpha)))


def run(file: Path) -> None:
    """The cases that the record lacks."""
    torch.set_num_threads(1)
    cases = {
        f"{name}, seed {seed}": partial(case, name, seed)
        for name in DATA_SETS
        for seed in range(SEEDS)
    }
    with threadpool_limits(1):
        run_missing(file, "bounds", SETTINGS, cases)


def reached(case: Case) -> bool:
    """Whether ours is as high, but for the margin."""
    return bool(case["difference"] >= -MARGIN)


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table: each data set with its seeds, the failures by name."""
    missed = [name for name, c in cases.items() if not reached(c)]
    lines = [
        f"At least scikit-learn's best of {STARTS} starts less {MARGIN} nats a row: "
        f"{len(cases) - len(missed)} of {len(cases)}. Failures: {'; '.join(missed) or 'none'}.",
        "",
        "| data set | rows | D | ours less scikit-learn's best, nats a row, by seed |",
        "| --- | --- | --- | --- |",
    ]
    for data_set in dict.fromkeys(name.rsplit(", seed", 1)[0] for name in cases):
        some = [c for name, c in cases.items() if name.rsplit(", seed", 1)[0] == data_set]
        differences = ", ".join(f"{c['difference']:+.5f}" for c in some)
        rows = f"| {data_set} | {some[0]['rows']} | {some[0]['features']} "
        lines.append(f"{rows}| {differences} |")
    return lines
