"""When a search for moves ends."""

import numpy as np
import pytest

from dimix import DirichletProcessGaussianMixture
from dimix.mixture.moves import search


def test_it_ends_once_three_rounds_in_turn_were_not_worth_the_tolerance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve clusters from one component: every round gains, none as much as the larger tol."""
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(1200, 2)) + 30 * rng.normal(size=(12, 2)).repeat(100, axis=0)
    rounds = list[str]()
    split = search._Search._split
    monkeypatch.setattr(
        search._Search, "_split", lambda self, view: rounds.append("") or split(self, view)
    )
    n_rounds = []
    for tol in (1e6, 1e-3):
        rounds.clear()
        DirichletProcessGaussianMixture(
            20, init_components=1, tol=tol, covariance_prior="local", random_state=0
        ).fit(rows)
        n_rounds.append(len(rounds))
    assert n_rounds[0] == search.PATIENCE < n_rounds[1]
