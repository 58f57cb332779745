"""Stick-breaking weights against scipy's Beta distributions and quadrature."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from dimix.mixture.sticks import Sticks

COUNTS = torch.tensor([7.5, 3.25, 0.0, 1.0], dtype=torch.float64)


def betas(sticks: Sticks) -> list:
    return [stats.beta(a, b) for a, b in zip(sticks.a.tolist(), sticks.b.tolist(), strict=True)]


def test_posterior_of_the_counts() -> None:
    sticks = Sticks.from_counts(COUNTS, 0.7)
    assert sticks.a.tolist() == [8.5, 4.25, 1, 2]
    assert sticks.b.tolist() == pytest.approx([0.7 + 4.25, 0.7 + 1, 0.7 + 1, 0.7])


def test_expected_log_weights_by_quadrature() -> None:
    sticks = Sticks.from_counts(COUNTS, 0.7)
    log_v = [integrate.quad(lambda v, q=q: q.pdf(v) * np.log(v), 0, 1)[0] for q in betas(sticks)]
    log_rest = [
        integrate.quad(lambda v, q=q: q.pdf(v) * np.log1p(-v), 0, 1, limit=500)[0]
        for q in betas(sticks)
    ]
    expected = [log_v[k] + sum(log_rest[:k]) for k in range(4)]
    assert sticks.expected_log_weights().tolist() == pytest.approx(expected, rel=1e-6)


def test_expected_weights_by_sampling() -> None:
    sticks = Sticks.from_counts(COUNTS, 0.7)
    rng = np.random.default_rng(0)
    v = np.stack([q.rvs(200_000, random_state=rng) for q in betas(sticks)], axis=1)
    rest = np.cumprod(1 - v, axis=1)
    weights = v * np.column_stack([np.ones(len(v)), rest[:, :-1]])
    assert sticks.expected_weights().tolist() == pytest.approx(weights.mean(0), abs=2e-3)
    assert float(sticks.expected_remainder()) == pytest.approx(rest[:, -1].mean(), abs=2e-3)


def test_kl_by_quadrature() -> None:
    alpha = 1.3
    sticks = Sticks.from_counts(COUNTS, alpha)
    prior = stats.beta(1, alpha)
    expected = sum(
        integrate.quad(lambda v, q=q: q.pdf(v) * (q.logpdf(v) - prior.logpdf(v)), 1e-12, 1 - 1e-12)[
            0
        ]
        for q in betas(sticks)
    )
    assert float(sticks.kl()) == pytest.approx(expected, rel=1e-7)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=6),
    st.floats(1e-3, 1e3),
    st.integers(1, 30),
)
def test_empty_sticks_at_the_end_cost_and_take_nothing(
    counts: list[float], alpha: float, n_empty: int
) -> None:
    few = Sticks.from_counts(torch.tensor(counts, dtype=torch.float64), alpha)
    many = Sticks.from_counts(torch.tensor(counts + [0.0] * n_empty, dtype=torch.float64), alpha)
    assert float(many.kl()) == pytest.approx(float(few.kl()), rel=1e-9, abs=1e-9)
    length = len(counts)
    torch.testing.assert_close(many.expected_log_weights()[:length], few.expected_log_weights())
    whole = many.expected_weights().sum() + many.expected_remainder()
    assert float(whole) == pytest.approx(1)
