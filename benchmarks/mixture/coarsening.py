"""What `coarsening="auto"` finds in shapes whose clusters are known, most of them not Gaussian.

Each shape is drawn with 1,000, 4,000 and 16,000 rows, three seeds each. One cluster is drawn as
well, of shapes that ask for several components; NMI is then 1 if one is found and 0 otherwise.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.record import Case, rounded, run_missing
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from dimix import DirichletProcessGaussianMixture
from dimix.metrics import clustering_scores

Labelled = tuple[np.ndarray, np.ndarray]
Shape = Callable[[np.random.RandomState, int], np.ndarray]

ROWS, SEEDS = (1_000, 4_000, 16_000), 3
SETTINGS = {"rows": list(ROWS), "seeds": SEEDS, "fit": 'the defaults, coarsening="auto"'}
SQUARE = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])


def crescent(rng: np.random.RandomState, n: int) -> np.ndarray:
    """A parabola with noise across it, [n, 2]."""
    along = rng.normal(size=n)
    return np.column_stack([2 * along, along**2 + 0.4 * rng.normal(size=n)])


def annulus(rng: np.random.RandomState, n: int) -> np.ndarray:
    """A circle with noise, [n, 2]."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.normal(size=(n, 2))


def heavy(rng: np.random.RandomState, n: int, dim: int = 3) -> np.ndarray:
    """Student's t with four degrees of freedom in each column, [n, dim]."""
    return rng.standard_t(4, size=(n, dim))


def skewed(rng: np.random.RandomState, n: int) -> np.ndarray:
    """Exponential in each column, [n, 2]."""
    return rng.exponential(size=(n, 2))


def square(rng: np.random.RandomState, n: int) -> np.ndarray:
    """Even on a square, [n, 2]."""
    return rng.uniform(size=(n, 2))


def several(shape: Shape, places: np.ndarray, rng: np.random.RandomState, n: int) -> Labelled:
    """The shape at each place, with equally many rows."""
    parts = [place + shape(rng, n // len(places)) for place in places]
    return np.concatenate(parts), np.repeat(np.arange(len(places)), n // len(places))


def one(shape: Shape, rng: np.random.RandomState, n: int) -> Labelled:
    """The shape, a single cluster."""
    return shape(rng, n), np.zeros(n, dtype=int)


def blobs(clusters: int, dim: int, rng: np.random.RandomState, n: int) -> Labelled:
    """scikit-learn's: means at random in a box twenty standard deviations wide."""
    return make_blobs(n, dim, centers=clusters, random_state=rng)[:2]


def grid(step: float, rng: np.random.RandomState, n: int) -> Labelled:
    """Five by five Gaussians, so many standard deviations apart."""
    labels = rng.randint(25, size=n)
    return step * np.column_stack([labels // 5, labels % 5]) + rng.normal(size=(n, 2)), labels


def uneven(rng: np.random.RandomState, n: int) -> Labelled:
    """Ten Gaussians at random, each with 28% fewer rows than the one before."""
    share = 0.72 ** np.arange(10)
    labels = np.repeat(np.arange(10), np.maximum(n * share / share.sum(), 5).astype(int))
    return 6 * rng.normal(size=(10, 3))[labels] + rng.normal(size=(len(labels), 3)), labels


def apart(rng: np.random.RandomState, n: int) -> Labelled:
    """Twelve heavy-tailed clusters at random in four columns."""
    return several(partial(heavy, dim=4), 8 * rng.normal(size=(12, 4)), rng, n)


SHAPES: dict[str, Callable[[np.random.RandomState, int], Labelled]] = {
    "4 blobs, D=2": partial(blobs, 4, 2),
    "10 blobs, D=2": partial(blobs, 10, 2),
    "20 blobs, D=2": partial(blobs, 20, 2),
    "12 blobs, D=3": partial(blobs, 12, 3),
    "30 blobs, D=6": partial(blobs, 30, 6),
    "10 blobs, uneven, D=3": uneven,
    "25 on a grid, 5 apart": partial(grid, 5),
    "25 on a grid, 7 apart": partial(grid, 7),
    "4 squares": partial(several, square, 1.6 * SQUARE),
    "4 crescents": partial(several, crescent, 14 * SQUARE),
    "4 skewed": partial(several, skewed, 5 * SQUARE),
    "12 heavy-tailed, D=4": apart,
    "2 moons": lambda rng, n: make_moons(n, noise=0.08, random_state=rng),
    "1 square": partial(one, square),
    "1 heavy-tailed, D=3": partial(one, heavy),
    "1 skewed": partial(one, skewed),
    "1 annulus": partial(one, annulus),
    "1 crescent": partial(one, crescent),
}


def case(name: str, n: int) -> Case:
    """Clusters, whether their gap is clear, and NMI of each seed."""
    result: Case = {"clusters": [], "clear": [], "nmi": []}
    for seed in range(SEEDS):
        x, labels = SHAPES[name](np.random.RandomState(seed), n)
        x = StandardScaler().fit_transform(x)
        mixture = DirichletProcessGaussianMixture(coarsening="auto", random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(x)
        result["clusters"].append(mixture.n_clusters_)
        result["clear"].append(mixture.hierarchy_.gap.clear)
        result["nmi"].append(rounded(clustering_scores(labels, mixture.predict(x)).nmi, 4))
    return result


def run(file: Path) -> None:
    """The shapes that the record lacks."""
    torch.set_num_threads(1)
    cases = {f"{name}, {n} rows": partial(case, name, n) for name in SHAPES for n in ROWS}
    with threadpool_limits(1):
        run_missing(file, "coarsening", SETTINGS, cases)


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table: a shape a line, a column for each number of rows."""
    lines = [
        f"| clusters | {' | '.join(f'found of {n:,} rows | NMI' for n in ROWS)} |",
        "| --- " * (1 + 2 * len(ROWS)) + "|",
    ]
    for name in SHAPES:
        cells = [_cells(cases[f"{name}, {n} rows"]) for n in ROWS if f"{name}, {n} rows" in cases]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    several_found = [np.mean(c["nmi"]) for name, c in cases.items() if not name.startswith("1 ")]
    one_found = [np.mean(c["nmi"]) for name, c in cases.items() if name.startswith("1 ")]
    means = f"Mean NMI of several clusters {np.mean(several_found):.2f}"
    if one_found:
        means += f"; one cluster is found {np.mean(one_found):.0%} of the time"
    return [*lines, "", f"{means}. ?: no clear gap."]


def _cells(case: Case) -> str:
    found = zip(case["clusters"], case["clear"], strict=True)
    numbers = ", ".join(f"{k}{'' if clear else '?'}" for k, clear in found)
    return f"{numbers} | {np.mean(case['nmi']):.2f}"
