"""Seconds an iteration, ours beside scikit-learn's, in turn in one process.

Both go on from the same responsibilities with the same priors, moves off. An iteration is what
each does between two values of its bound: E-step, M-step and bound there, a pass over the rows,
the bound and the update here. Φ is built in the first pass and kept; that pass is timed on its
own. The share of the matrix-product rate is the time of an iteration's two products alone, as
torch.mm computes them for chunks of the same shape, dtype and threads, over the time of the
whole iteration; "hot" repeats one chunk, "streamed" goes through all of Φ as the iteration does.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from benchmarks.mixture.data import clusters
from benchmarks.mixture.models import centred, default_prior
from benchmarks.record import Case, rounded, run_missing
from sklearn.cluster import MiniBatchKMeans
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from dimix.mixture import FeatureChunks, MixturePosterior, by_size, collect, sweep, update

ROWS, COMPONENTS, PAIRS = 60_000, 50, 7
SETTINGS = {"N": ROWS, "T": COMPONENTS, "covariance_type": "full", "pairs": PAIRS}
DTYPES = {"float64": torch.float64, "float32": torch.float32}


@contextmanager
def only(threads: int) -> Iterator[None]:
    """So many threads for NumPy's and scikit-learn's libraries and for PyTorch."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def seconds(call: Callable[[], object]) -> float:
    """The time of one call."""
    started = perf_counter()
    call()
    return perf_counter() - started


def case(dim: int, dtype: str, threads: int, rows: int = ROWS, pairs: int = PAIRS) -> Case:
    """Interleaved iterations; scikit-learn's data are float64 whatever ours are."""
    rng = np.random.RandomState(0)
    sizes = rng.multinomial(rows, rng.dirichlet(np.full(20, 5.0)))
    x = clusters(rng, sizes.tolist(), dim, spread=5)
    with only(threads):
        resp = _start(x)
        theirs, ours = _Theirs(x, resp), _Ours(x.astype(dtype), resp)
        first = seconds(ours.iterate)
        theirs.iterate()
        times = [(seconds(theirs.iterate), seconds(ours.iterate)) for _ in range(pairs)]
        hot, streamed = (ours.product_seconds(which) for which in ("hot", "streamed"))
    ratios = sorted(ours / theirs for theirs, ours in times)
    ratio = statistics.median(ratios)
    ours_seconds = statistics.median(ours for _, ours in times)
    return {
        "D": dim,
        "dtype": dtype,
        "threads": threads,
        "sklearn_seconds": rounded(statistics.median(theirs for theirs, _ in times)),
        "ours_seconds": rounded(ours_seconds),
        "ours_first_pass_seconds": rounded(first),
        "ratio": rounded(ratio),
        "speed_up": rounded(1 / ratio),
        "speed_up_range": [rounded(1 / ratios[-1]), rounded(1 / ratios[0])],
        "share_of_product_rate": rounded(hot / ours_seconds),
        "share_of_product_rate_streamed": rounded(streamed / ours_seconds),
        "product_gflops": rounded(ours.flops / hot / 1e9),
        "pairs": [[rounded(theirs), rounded(ours)] for theirs, ours in times],
    }


def _start(x: np.ndarray) -> np.ndarray:
    """Hard responsibilities of a quick clustering."""
    labels = MiniBatchKMeans(COMPONENTS, n_init=1, max_iter=10, random_state=0).fit(x).labels_
    return np.eye(COMPONENTS)[labels]


class _Theirs:
    """scikit-learn's loop by its own steps, as ``fit`` takes them."""

    def __init__(self, x: np.ndarray, resp: np.ndarray) -> None:
        self._x, self._model = x, BayesianGaussianMixture(n_components=COMPONENTS)
        self._model._check_parameters(x, xp=np)
        self._model._initialize(x, resp)

    def iterate(self) -> None:
        log_norm, log_resp = self._model._e_step(self._x)
        self._model._m_step(self._x, log_resp)
        self._model._compute_lower_bound(log_resp, log_norm)


class _Ours:
    """One pass, the bound and the update, as ``fit_batch`` takes them."""

    def __init__(self, x: np.ndarray, resp: np.ndarray) -> None:
        prior = default_prior(x, COMPONENTS)
        z = centred(x, prior)
        statistics_ = collect(FeatureChunks(prior.family, z), torch.from_numpy(resp))
        self._chunks = FeatureChunks(prior.family, z)
        self._posterior: MixturePosterior = update(prior, statistics_)

    def iterate(self) -> None:
        statistics_, allocation = sweep(self._chunks, self._posterior)
        self._posterior.bound(allocation)
        self._posterior = update(self._posterior.prior, by_size(statistics_))

    @property
    def flops(self) -> float:
        """Multiplications and additions of an iteration's two products."""
        return 4.0 * len(self._chunks) * COMPONENTS * self._chunks.family.n_features

    def product_seconds(self, which: str) -> float:
        """The least of three times of the two products of all chunks, and nothing else."""
        eta = self._posterior.natural_parameters.to(self._chunks.z.dtype)
        product = torch.empty_like(eta)
        first = next(iter(self._chunks))[1]
        logits = torch.empty(COMPONENTS, len(first), dtype=eta.dtype)

        def products() -> None:
            for rows, phi in self._chunks if which == "streamed" else self._same(first):
                n = rows.stop - rows.start
                out = logits[:, :n] if n == logits.shape[1] else logits.new_empty(COMPONENTS, n)
                torch.mm(eta, phi[:n].mT, out=out)
                torch.mm(out, phi[:n], out=product)

        return min(seconds(products) for _ in range(3))

    def _same(self, phi: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows in range(0, len(self._chunks), len(phi)):
            yield slice(rows, min(rows + len(phi), len(self._chunks))), phi


def run(file: Path) -> None:
    """The cases that the record lacks."""
    cases = {
        f"D={dim}, {dtype}, {threads} thread{'s' * (threads > 1)}": partial(
            case, dim, dtype, threads
        )
        for threads in sorted({1, max_threads()})
        for dim in (10, 64)
        for dtype in DTYPES
    }
    run_missing(file, "iteration", SETTINGS, cases)


def max_threads() -> int:
    """As many as PyTorch would take by itself, two at the most."""
    return min(2, torch.get_num_threads())


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table."""
    lines = [
        "| case | scikit-learn, s | ours, s | times as fast (range) | share of the product rate "
        "(streamed) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, c in cases.items():
        low, high = c["speed_up_range"]
        shares = f"{c['share_of_product_rate']:.0%} ({c['share_of_product_rate_streamed']:.0%})"
        lines.append(
            f"| {name} | {c['sklearn_seconds']} | {c['ours_seconds']} "
            f"| {c['speed_up']:.1f} ({low:.1f} to {high:.1f}) | {shares} |"
        )
    return lines
