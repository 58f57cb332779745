"""What a fit says while it runs, if it is asked to: scikit-learn's ``verbose``."""

import time

from dimix.mixture.inference.batch import FitResult
from dimix.mixture.posterior import Bound


class Progress:
    """Prints the bound at every ``interval``-th update; if ``detailed``, change and time too."""

    def __init__(self, interval: int, detailed: bool = False) -> None:
        self._interval, self._detailed = interval, detailed
        self._last, self._since = 0.0, time.monotonic()

    def __call__(self, n_iter: int, bound: Bound) -> None:
        """Take note of an update."""
        if n_iter % self._interval:
            return
        details, now = "", time.monotonic()
        if self._detailed and n_iter > 0:
            details = f", change {bound.total - self._last:.3g}, {now - self._since:.3g} s"
        self._last, self._since = bound.total, now
        print(f"update {n_iter}: bound {bound.total:.6g} nats{details}")


def print_end(result: FitResult) -> None:
    """Say how a fit ended."""
    how = "converged" if result.converged else "stopped"
    print(f"{how} after {result.n_iter} updates: bound {result.bounds[-1].total:.6g} nats")
