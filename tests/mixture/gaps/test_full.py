"""Full covariance with gaps: the missing integrated out, against quadrature; the bound rises."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.special import softmax

import oracles
from dimix.mixture import (
    FeatureChunks,
    FullCovariance,
    MixturePosterior,
    collect,
    fit_batch,
    update,
)
from dimix.mixture.gaps.diagonal import mean_imputed
from dimix.mixture.gaps.full import by_pattern, fit_patterns, log_responsibilities, sweep_patterns
from mixture_cases import blobs, make_prior, plain

NAN = float("nan")


def with_gaps(n: int, dim: int, share: float = 0.3, seed: int = 0) -> torch.Tensor:
    """Rows that keep at least one feature."""
    z, rng = blobs(n, dim, seed), np.random.default_rng(seed)
    gaps = rng.random((n, dim)) < share
    gaps[np.arange(n), rng.integers(dim, size=n)] = False
    z[torch.from_numpy(gaps)] = NAN
    return z


def start_of(z: torch.Tensor, n_components: int, seed: int = 0) -> MixturePosterior:
    family = FullCovariance(z.shape[1])
    resp = np.random.default_rng(seed).dirichlet(np.ones(n_components), len(z))
    chunks = FeatureChunks(family, *mean_imputed(z))
    return update(make_prior(family), collect(chunks, torch.from_numpy(resp)))


def dense_moments(z: np.ndarray, posterior: MixturePosterior) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, K] and E[z, z zᵀ | z_o, k] [N, K, 6], by integrating over what is missing."""
    components = plain(posterior.components)
    log_weights = posterior.sticks.expected_log_weights().numpy()
    logits, moments = np.empty((len(z), len(components))), np.empty((len(z), len(components), 6))
    for n, row in enumerate(z):
        for k, component in enumerate(components):

            def integrand(value: float, row=row, component=component) -> np.ndarray:  # type: ignore[no-untyped-def]
                whole = np.where(np.isnan(row), value, row)
                density = np.exp(oracles.expected_log_normal(whole, component))
                return density * np.concatenate([[1], whole, np.outer(whole, whole).ravel()])

            result = (
                quad_vec(integrand, -60, 60, points=[0], epsabs=1e-14, epsrel=1e-11)[0]
                if np.isnan(row).any()
                else integrand(0.0)
            )
            logits[n, k] = log_weights[k] + np.log(result[0])
            moments[n, k] = result[1:] / result[0]
    return logits, moments


def test_one_pass_by_quadrature() -> None:
    z = with_gaps(6, 2, share=0.7)
    posterior = start_of(with_gaps(60, 2), 2)
    logits, moments = dense_moments(z.numpy(), posterior)
    resp = softmax(logits, axis=1)
    patterns = by_pattern(FullCovariance(2), z)
    statistics, allocation = sweep_patterns(patterns, posterior)
    assert len(patterns) == 3
    assert allocation == pytest.approx(np.logaddexp.reduce(logits, axis=1).sum(), rel=1e-8)
    torch.testing.assert_close(
        log_responsibilities(patterns, posterior).exp().numpy(), resp, rtol=1e-6, atol=1e-9
    )
    expected = np.einsum("nk,nkf->kf", resp, moments)[:, [0, 1, 2, 3, 5]]
    np.testing.assert_allclose(statistics[:, 0], resp.sum(0), rtol=1e-7)
    np.testing.assert_allclose(statistics[:, 1:], expected, rtol=1e-6, atol=1e-9)


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), dim=st.integers(1, 4), share=st.floats(0, 0.9))
def test_every_step_raises_the_bound(seed: int, dim: int, share: float) -> None:
    z = with_gaps(60, dim, share, seed)
    result = fit_patterns(
        by_pattern(FullCovariance(dim), z), start_of(z, 4, seed), tol=1e-6, max_iter=20
    )
    for before, after in pairwise(result.bounds):
        assert after.total > before.total - 1e-9 * abs(before.total)


def test_without_gaps_it_is_batch_inference() -> None:
    z, family = blobs(80, 3), FullCovariance(3)
    start = start_of(z, 4)
    plain_fit = fit_batch(FeatureChunks(family, z), start, max_iter=10)
    patterns = by_pattern(family, z)
    gappy = fit_patterns(patterns, start, max_iter=10)
    totals = [[bound.total for bound in fit.bounds] for fit in (plain_fit, gappy)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-11)
    expected = start.log_responsibilities(family.features(z))
    torch.testing.assert_close(log_responsibilities(patterns, start), expected)


def test_a_feature_that_nobody_has_does_no_harm_to_the_others() -> None:
    z = with_gaps(60, 3, share=0.0)
    z[:, 2] = NAN
    start = start_of(z, 3)
    result = fit_patterns(by_pattern(FullCovariance(3), z), start, max_iter=20)
    totals = [bound.total for bound in result.bounds]
    assert np.diff(totals).min() > -1e-9 * abs(totals[0])
    spread = result.posterior.components.scatter.diagonal(dim1=1, dim2=2)
    assert (spread > 0).all()


def test_weights_are_repeated_rows() -> None:
    z, family = with_gaps(40, 3), FullCovariance(3)
    counts = torch.randint(0, 4, (40,))
    start = start_of(z, 3)
    weighted = by_pattern(family, z, weights=counts.double())
    repeated = by_pattern(family, z.repeat_interleave(counts, dim=0))
    ours, other = (fit_patterns(patterns, start, max_iter=5) for patterns in (weighted, repeated))
    assert ours.bounds[-1].total == pytest.approx(other.bounds[-1].total, rel=1e-11)


def test_correlation_fills_a_gap_better_than_the_mean() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    whole = torch.from_numpy(np.column_stack([x, x + 0.1 * rng.normal(size=400)]))
    z = whole.clone()
    z[:200, 1] = NAN
    result = fit_patterns(by_pattern(FullCovariance(2), z), start_of(z, 1), tol=1e-8)
    covariance = result.posterior.family.covariance(result.posterior.components)[0]
    torch.testing.assert_close(covariance, whole.T.cov(), atol=0.1, rtol=0)


def test_a_row_that_lacks_everything_is_named() -> None:
    z = with_gaps(10, 2)
    z[4] = NAN
    with pytest.raises(ValueError, match="but row 4 has none"):
        by_pattern(FullCovariance(2), z)
