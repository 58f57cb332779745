"""Stick-breaking weights against scipy's Beta distributions and quadrature."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import betaln

from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.sticks import Sticks, stick_evidence

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


def test_evidence_is_the_probability_of_an_assignment() -> None:
    """For whole counts A(n) is log p(c), sticks integrated out."""
    counts, alpha = np.array([3, 1, 0, 2]), 1.7
    expected = sum(
        betaln(1 + counts[k], alpha + counts[k + 1 :].sum()) - betaln(1, alpha) for k in range(4)
    )
    evidence = stick_evidence(torch.from_numpy(counts).double(), alpha)
    assert float(evidence) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("concentration", [0.7, GammaConcentration(2.0, 0.5)])
def test_evidence_is_what_the_sticks_give_to_the_bound(
    concentration: float | GammaConcentration,
) -> None:
    sticks = Sticks.from_counts(COUNTS, concentration)
    expected = COUNTS @ sticks.expected_log_weights() - sticks.kl() - sticks.concentration_kl()
    torch.testing.assert_close(
        stick_evidence(COUNTS, concentration), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("concentration", [0.7, GammaConcentration(2.0, 0.5)])
def test_evidence_of_a_batch_is_that_of_each(concentration: float | GammaConcentration) -> None:
    batch = torch.stack([COUNTS, 0.1 * COUNTS, COUNTS.flip(0), torch.zeros(4).double()])
    expected = torch.stack([stick_evidence(counts, concentration) for counts in batch])
    torch.testing.assert_close(
        stick_evidence(batch[None], concentration), expected[None], rtol=1e-12, atol=1e-12
    )


def test_kl_under_a_learned_concentration_by_quadrature() -> None:
    """E[KL(q(v) ‖ Beta(1, α))] with α drawn from q(α)."""
    sticks = Sticks.from_counts(COUNTS, GammaConcentration(2.0, 0.5))
    shape, rate = float(sticks.concentration.shape), float(sticks.concentration.rate)
    q = stats.gamma(shape, scale=1 / rate)

    log_rest = sum(
        integrate.quad(lambda v, b=b: b.pdf(v) * np.log1p(-v), 0, 1, limit=500)[0]
        for b in betas(sticks)
    )
    entropies = sum(float(b.entropy()) for b in betas(sticks))

    def at(alpha: float) -> float:
        return -entropies - 4 * np.log(alpha) - (alpha - 1) * log_rest

    expected = integrate.quad(lambda t: q.pdf(t) * at(t), *q.ppf([1e-14, 1 - 1e-14]))[0]
    assert float(sticks.kl()) == pytest.approx(expected, rel=1e-6)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=6),
    st.floats(1e-2, 1e2),
    st.floats(1e-2, 1e2),
    st.integers(1, 30),
)
def test_empty_sticks_change_nothing_under_a_learned_concentration(
    counts: list[float], shape: float, rate: float, n_empty: int
) -> None:
    prior, length = GammaConcentration(shape, rate), len(counts)
    n = torch.tensor(counts, dtype=torch.float64)
    few, many = (Sticks.from_counts(m, prior) for m in (n, torch.cat([n, n.new_zeros(n_empty)])))
    assert many.n_used == few.n_used <= length
    torch.testing.assert_close(many.kl(), few.kl())
    torch.testing.assert_close(many.concentration_kl(), few.concentration_kl())
    torch.testing.assert_close(many.expected_log_weights()[:length], few.expected_log_weights())
    assert (many.expected_log_weights()[length:] < -1e29).all()
    whole = many.expected_weights().sum() + many.expected_remainder()
    assert float(whole) == pytest.approx(1)
    assert not many.expected_weights()[few.n_used :].any()
