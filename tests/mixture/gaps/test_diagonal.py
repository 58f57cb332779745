"""Diagonal covariance with gaps: what is missing says nothing, and nothing else is said."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture import (
    DiagonalCovariance,
    FeatureChunks,
    MixturePrior,
    NormalWishart,
    collect,
    fit_batch,
    sweep,
    update,
)
from dimix.mixture.gaps.diagonal import DiagonalWithMissing, FeatureNormalGamma, mean_imputed
from mixture_cases import blobs, random_params

DIAG, GAPPY = DiagonalCovariance(3), DiagonalWithMissing(3)
NAN = float("nan")


def prior_of(family: DiagonalCovariance) -> MixturePrior:
    return MixturePrior(family, random_params(DIAG, 1, seed=9), 0.8, torch.zeros(3).double())


def with_gaps(n: int, share: float = 0.3, seed: int = 0) -> torch.Tensor:
    z, rng = blobs(n, 3, seed), np.random.default_rng(seed)
    z[torch.from_numpy(rng.random((n, 3)) < share)] = NAN
    return z


def of_feature(params: NormalWishart, d: int) -> NormalWishart:
    """Feature ``d`` of parameters by feature or by component."""
    kappa, dof = params.mean_precision, params.degrees_of_freedom
    if isinstance(params, FeatureNormalGamma):
        kappa, dof = kappa[:, d], dof[:, d]
    return NormalWishart(params.mean[:, [d]], kappa, dof, params.scatter[:, [d]])


def test_features_show_what_is_observed() -> None:
    z = torch.tensor([[1.0, NAN, -2.0], [NAN, NAN, NAN]], dtype=torch.float64)
    expected = [[1, 1, 0, 1, 1, 0, -2, 1, 0, 4], [1] + [0] * 9]
    assert GAPPY.features(z).tolist() == expected
    assert GAPPY.n_features == 10
    var = torch.full((2, 3), 0.5, dtype=torch.float64)
    assert GAPPY.features(z, var)[0, 7:].tolist() == [1.5, 0, 4.5]


def test_gradients_reach_what_is_observed_alone() -> None:
    z = torch.tensor([[1.5, NAN, -2.0]], dtype=torch.float64, requires_grad=True)
    GAPPY.features(z).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[1 + 3.0, 0, 1 - 4.0]]


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), reg_covar=st.sampled_from([0.0, 0.1]))
def test_every_feature_is_a_family_of_its_own_rows(
    seed: int, share: float, reg_covar: float
) -> None:
    """The brute-force oracle: each feature alone, on the rows that have it."""
    z = with_gaps(30, share, seed)
    resp = torch.rand(30, 2, dtype=torch.float64)
    family, alone = DiagonalWithMissing(3, reg_covar), DiagonalCovariance(1, reg_covar)
    prior = prior_of(family).components
    statistics = resp.mT @ family.features(z)
    params = family.update(prior, statistics)
    kl, evidence = torch.zeros(2).double(), torch.zeros(2).double()
    logits, density = torch.zeros(30, 2).double(), torch.zeros(30, 2).double()
    for d in range(3):
        has = ~z[:, d].isnan()
        phi = alone.features(z[has][:, [d]])
        of_d = alone.update(of_feature(prior, d), resp[has].mT @ phi)
        for ours, other in zip(
            vars(of_feature(params, d)).values(), vars(of_d).values(), strict=True
        ):
            torch.testing.assert_close(ours, other)
        kl += alone.kl(of_d, of_feature(prior, d))
        evidence += alone.log_evidence(of_feature(prior, d), resp[has].mT @ phi)
        logits[has] += phi @ alone.expected_natural(of_d).mT
        density[has] += alone.log_predictive(of_d, z[has][:, [d]])
        torch.testing.assert_close(family.precision(params)[:, d], alone.precision(of_d)[:, 0])
        torch.testing.assert_close(family.covariance(params)[:, d], alone.covariance(of_d)[:, 0])
    torch.testing.assert_close(family.kl(params, prior), kl)
    torch.testing.assert_close(family.log_evidence(prior, statistics), evidence)
    torch.testing.assert_close(family.features(z) @ family.expected_natural(params).mT, logits)
    torch.testing.assert_close(family.log_predictive(params, z), density)


def test_without_gaps_it_is_the_diagonal_family() -> None:
    z = blobs(80, 3)
    resp = torch.rand(80, 4, dtype=torch.float64)
    fits = []
    for family in (DIAG, GAPPY):
        chunks = FeatureChunks(family, z)
        start = update(prior_of(family), collect(chunks, resp))
        fits.append(fit_batch(chunks, start, tol=1e-6, max_iter=30))
    plain, gappy = fits
    totals = [[bound.total for bound in fit.bounds] for fit in fits]
    assert totals[0] == pytest.approx(totals[1], rel=1e-11)
    torch.testing.assert_close(gappy.posterior.means, plain.posterior.means)
    torch.testing.assert_close(gappy.posterior.log_density(z), plain.posterior.log_density(z))
    for read in ("precision", "covariance", "precision_cholesky", "expected_log_det"):
        ours = getattr(GAPPY, read)(gappy.posterior.components)
        torch.testing.assert_close(ours, getattr(DIAG, read)(plain.posterior.components))
    noise = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(
        GAPPY.draw(gappy.posterior.components, 1, noise),
        DIAG.draw(plain.posterior.components, 1, noise),
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.9))
def test_every_step_raises_the_bound(seed: int, share: float) -> None:
    chunks = FeatureChunks(GAPPY, with_gaps(60, share, seed))
    resp = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(4), 60))
    result = fit_batch(chunks, update(prior_of(GAPPY), collect(chunks, resp)), tol=1e-6)
    for before, after in pairwise(result.bounds):
        assert after.total > before.total - 1e-9 * abs(before.total)


def test_merging_statistics_is_merging_rows() -> None:
    chunks, prior = FeatureChunks(GAPPY, with_gaps(40)), prior_of(GAPPY).components
    resp = torch.rand(40, 4, dtype=torch.float64)
    merged = torch.stack([resp[:, 0] + resp[:, 2], resp[:, 1], resp[:, 3]], dim=1)
    statistics = collect(chunks, resp)
    change = GAPPY.log_evidence(prior, collect(chunks, merged)).sum()
    change -= GAPPY.log_evidence(prior, statistics).sum()
    pairs = torch.tensor([[0, 2]])
    torch.testing.assert_close(GAPPY.merge_evidence(prior, statistics, pairs)[0], change)


def test_averages_are_those_of_what_is_observed() -> None:
    z, r = with_gaps(40), torch.nn.functional.one_hot(torch.arange(40) % 2, 3).double()
    averages = GAPPY.averages(r.mT @ GAPPY.features(z))
    expected = torch.stack([z[0::2].nanmean(0), z[1::2].nanmean(0), torch.zeros(3).double()])
    torch.testing.assert_close(averages, expected)


def test_a_row_that_lacks_everything_tells_only_the_sizes() -> None:
    z = with_gaps(40)
    start = update(prior_of(GAPPY), collect(FeatureChunks(GAPPY, z), torch.rand(40, 3).double()))
    nothing = torch.full((1, 3), NAN, dtype=torch.float64)
    resp = start.log_responsibilities(GAPPY.features(nothing)).exp()[0]
    expected = start.sticks.expected_log_weights().softmax(0)
    torch.testing.assert_close(resp, expected)
    _, without = sweep(FeatureChunks(GAPPY, z), start)
    _, with_it = sweep(FeatureChunks(GAPPY, torch.cat([z, nothing])), start)
    assert with_it - without == pytest.approx(
        float(start.sticks.expected_log_weights().logsumexp(0))
    )


def test_gaps_are_filled_with_the_moments_of_their_column() -> None:
    z = torch.tensor([[1.0, NAN, NAN], [3.0, 5.0, NAN], [NAN, 5.0, NAN]], dtype=torch.float64)
    mean, var = mean_imputed(z)
    assert mean.tolist() == [[1, 5, 0], [3, 5, 0], [2, 5, 0]]
    assert var.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
