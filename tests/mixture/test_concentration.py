"""The concentration against quadrature and a plain alternation of its two updates."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import betaln, digamma

from dimix.mixture.concentration import GammaConcentration, as_concentration, later_counts
from dimix.mixture.sticks import Sticks, stick_evidence

COUNTS = torch.tensor([7.5, 3.25, 0.0, 1.0], dtype=torch.float64)
PRIOR = GammaConcentration(2.0, 0.5)


def frozen(concentration: GammaConcentration) -> stats.rv_continuous:
    return stats.gamma(float(concentration.shape), scale=1 / float(concentration.rate))


def log_rest(a: float, b: float) -> float:
    """E[log(1 - v)] of v ~ Beta(a, b)."""
    return integrate.quad(lambda v: stats.beta.pdf(v, a, b) * np.log1p(-v), 0, 1, limit=500)[0]


def test_the_best_distribution_of_alpha_by_quadrature() -> None:
    """q(α) ∝ p(α) exp E[Σ_k log p(v_k | α)], normalised numerically."""
    sticks = Sticks.from_counts(COUNTS, PRIOR)
    total = sum(map(log_rest, sticks.a.tolist(), sticks.b.tolist()))

    def density(alpha: np.ndarray) -> np.ndarray:
        """p(α) ∏_k α exp((α - 1) E[log(1 - v_k)])."""
        return frozen(PRIOR).pdf(alpha) * alpha**4 * np.exp((alpha - 1) * total)

    def moment(function: np.ufunc) -> float:
        return integrate.quad(lambda t: function(t) * density(t), 0, 40)[0]

    mass = moment(np.ones_like)
    q = sticks.concentration
    assert float(q.mean) == pytest.approx(moment(np.positive) / mass, rel=1e-6)
    assert float(q.expected_log) == pytest.approx(moment(np.log) / mass, rel=1e-5)
    torch.testing.assert_close(sticks.b, q.mean + later_counts(COUNTS))


def test_kl_by_quadrature() -> None:
    q, p = GammaConcentration(3.0, 1.3), PRIOR
    ratio = frozen(q).expect(lambda t: frozen(q).logpdf(t) - frozen(p).logpdf(t))
    assert float(q.kl(p)) == pytest.approx(ratio, rel=1e-7)
    assert float(p.kl(p)) == pytest.approx(0, abs=1e-15)


@given(
    st.lists(st.floats(0, 1e7), min_size=1, max_size=6),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_the_mean_is_a_fixed_point_of_both_updates(
    counts: list[float], shape: float, rate: float
) -> None:
    n, prior = torch.tensor(counts, dtype=torch.float64), GammaConcentration(shape, rate)
    q = prior.given(n)
    used = int(prior.used(n).sum())
    a, b = 1 + n.numpy()[:used], float(q.mean) + later_counts(n).numpy()[:used]
    expected_rate = rate + (digamma(a + b) - digamma(b)).sum()
    assert float(q.shape) == shape + used
    assert float(q.rate) == pytest.approx(expected_rate, rel=1e-9)


def test_the_mean_is_where_the_bound_is_highest() -> None:
    best = stick_evidence(COUNTS, PRIOR)
    sticks = Sticks.from_counts(COUNTS, PRIOR)
    for factor in (0.8, 0.99, 1.01, 1.25):
        rate = sticks.concentration.rate * factor
        q = GammaConcentration(sticks.concentration.shape, rate)
        b = q.mean + later_counts(COUNTS)
        other = Sticks(sticks.a, b, q, PRIOR, sticks.n_used)
        bound = COUNTS @ other.expected_log_weights() - other.kl() - other.concentration_kl()
        assert bound < best


@pytest.mark.parametrize("counts", [[40.0, 7, 3, 1], [5.0], [300.0, 200, 100, 50, 20, 10, 1]])
def test_evidence_is_below_that_of_the_exact_mixture_over_alpha(counts: list[float]) -> None:
    """Log ∫ p(α) exp A(n; α) dα, of which the mean field is a close lower bound."""
    n = np.array(counts)
    later = n[::-1].cumsum()[::-1] - n

    def integrand(alpha: float) -> float:
        log_p = (betaln(1 + n, alpha + later) - betaln(1, alpha)).sum()
        return float(np.exp(log_p - scale) * frozen(PRIOR).pdf(alpha))

    mean = float(PRIOR.given(torch.from_numpy(n)).mean)
    scale = (betaln(1 + n, mean + later) - betaln(1, mean)).sum()
    exact = np.log(integrate.quad(integrand, 0, 60, limit=200)[0]) + scale
    gap = exact - float(stick_evidence(torch.from_numpy(n), PRIOR))
    assert 0 < gap < 0.5


def test_more_components_of_the_same_rows_ask_for_a_larger_alpha() -> None:
    means = [
        float(PRIOR.given(torch.full((k,), 240 / k, dtype=torch.float64)).mean)
        for k in (1, 3, 10, 40)
    ]
    assert means == sorted(means)
    assert means[0] < 1 < means[-1]


def test_a_number_is_a_known_concentration() -> None:
    known = as_concentration(0.7)
    assert float(known.mean) == 0.7
    assert float(known.expected_log) == pytest.approx(np.log(0.7))
    assert known.given(COUNTS) is known
    assert as_concentration(PRIOR) is PRIOR


@pytest.mark.parametrize(("shape", "rate", "name"), [(0.0, 1.0, "shape"), (1.0, np.inf, "rate")])
def test_a_bad_prior_is_named(shape: float, rate: float, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a finite number > 0, got"):
        GammaConcentration(shape, rate)
