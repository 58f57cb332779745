"""Batch inference: every step raises the bound, however the rows are cut, kept and ordered."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture import (
    DiagonalCovariance,
    FeatureChunks,
    FitResult,
    FullCovariance,
    GaussianFamily,
    MixturePosterior,
    MixturePrior,
    NormalWishart,
    collect,
    fit_batch,
    sweep,
    update,
)
from mixture_cases import FAMILIES, blobs, make_prior, random_start

families = pytest.mark.parametrize("kind", FAMILIES)


def fit(family: GaussianFamily, z: torch.Tensor, **options: object) -> FitResult:
    chunks = FeatureChunks(family, z)
    start = random_start(chunks, make_prior(family), 5)
    return fit_batch(chunks, start, tol=1e-6, **options)


@families
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), dim=st.integers(1, 4), reorder=st.booleans())
def test_every_step_raises_the_bound(
    kind: type[GaussianFamily], seed: int, dim: int, reorder: bool
) -> None:
    result = fit(kind(dim), blobs(60, dim, seed), reorder=reorder, max_iter=60)
    for before, after in pairwise(result.bounds):
        assert after.total > before.total - 1e-9 * abs(before.total)


@families
def test_every_step_raises_the_bound_of_gaussians_too(kind: type[GaussianFamily]) -> None:
    family, z = kind(3), blobs(80, 3)
    var = torch.rand(80, 3, dtype=torch.float64)
    chunks = FeatureChunks(family, z, var)
    result = fit_batch(chunks, random_start(chunks, make_prior(family), 4), tol=1e-8)
    totals = [bound.total for bound in result.bounds]
    assert np.diff(totals).min() > -1e-9 * abs(totals[0])
    points = FeatureChunks(family, z)
    assert sweep(points, result.posterior)[1] > sweep(chunks, result.posterior)[1]


def test_a_result_holds_the_bound_of_its_own_posterior() -> None:
    family, z = FullCovariance(2), blobs(50, 2)
    result = fit(family, z)
    chunks = FeatureChunks(family, z)
    _, allocation = sweep(chunks, result.posterior)
    assert result.bounds[-1] == result.posterior.bound(allocation)
    assert len(result.bounds) == result.n_iter + 1


def test_stops_when_an_update_changes_less_than_tol_a_row() -> None:
    result = fit(FullCovariance(2), blobs(50, 2), max_iter=1000)
    gains = np.diff([bound.total for bound in result.bounds]) / 50
    assert result.converged
    assert gains[-1] < 1e-6
    assert (gains[:-1] >= 1e-6).all()


def test_stops_after_max_iter_updates() -> None:
    seen: list[int] = []
    result = fit(
        FullCovariance(2), blobs(50, 2), max_iter=2, on_iteration=lambda i, _: seen.append(i)
    )
    assert (result.n_iter, result.converged, seen) == (2, False, [0, 1, 2])


def test_no_update_leaves_the_start() -> None:
    result = fit(FullCovariance(2), blobs(50, 2), max_iter=0)
    assert (result.n_iter, result.converged, len(result.bounds)) == (0, False, 1)


def test_components_end_in_order_of_size() -> None:
    family, z = FullCovariance(2), blobs(200, 2)
    weights = fit(family, z).posterior.sticks.a
    assert torch.equal(weights, weights.sort(descending=True).values)


@families
@settings(max_examples=25)
@given(chunk_rows=st.integers(1, 70), cache_rows=st.integers(0, 70))
def test_chunks_and_cache_do_not_change_the_answer(
    kind: type[GaussianFamily], chunk_rows: int, cache_rows: int
) -> None:
    family, z = kind(3), blobs(60, 3)
    row_bytes = family.n_features * 8
    start = random_start(FeatureChunks(family, z), make_prior(family), 4)
    whole = fit_batch(FeatureChunks(family, z), start, max_iter=5)
    cut = FeatureChunks(
        family, z, chunk_bytes=chunk_rows * row_bytes, cache_bytes=cache_rows * row_bytes
    )
    parts = fit_batch(cut, start, max_iter=5)
    assert parts.bounds[-1].total == pytest.approx(whole.bounds[-1].total, rel=1e-11)


def test_chunks_are_kept_within_the_budget_and_rebuilt_beyond() -> None:
    family, z = FullCovariance(2), blobs(10, 2)
    row_bytes = family.n_features * 8
    chunks = FeatureChunks(family, z, chunk_bytes=4 * row_bytes, cache_bytes=9 * row_bytes)
    first, second = ([phi for _, phi in chunks] for _ in range(2))
    assert [len(phi) for phi in first] == [4, 4, 2]
    assert [a is b for a, b in zip(first, second, strict=True)] == [True, True, False]
    torch.testing.assert_close(torch.cat(second), family.features(z))


@families
def test_responsibilities_in_one_pass_are_those_given_to_collect(
    kind: type[GaussianFamily],
) -> None:
    family, z = kind(2), blobs(40, 2)
    chunks = FeatureChunks(family, z)
    posterior = random_start(chunks, make_prior(family), 3)
    statistics, _ = sweep(chunks, posterior)
    given_ = posterior.log_responsibilities(family.features(z)).exp()
    torch.testing.assert_close(statistics, collect(chunks, given_))


@families
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(kind: type[GaussianFamily], seed: int) -> None:
    family, z = kind(2), blobs(50, 2)
    order = np.random.default_rng(seed).permutation(50)
    prior = make_prior(family)
    start = random_start(FeatureChunks(family, z), prior, 4)
    straight = fit_batch(FeatureChunks(family, z), start, max_iter=5)
    shuffled = fit_batch(FeatureChunks(family, z[order]), start, max_iter=5)
    assert shuffled.bounds[-1].total == pytest.approx(straight.bounds[-1].total, rel=1e-11)


def test_float32_products_keep_the_answer_of_float64() -> None:
    family, z = FullCovariance(4), blobs(2000, 4)
    start = random_start(FeatureChunks(family, z), make_prior(family), 5)
    double = fit_batch(FeatureChunks(family, z), start, max_iter=10)
    chunks = FeatureChunks(family, z.float())
    single = fit_batch(chunks, start, max_iter=10)
    assert all(phi.dtype == torch.float32 for _, phi in chunks)
    assert single.posterior.natural_parameters.dtype == torch.float64
    error_per_row = (single.bounds[-1].total - double.bounds[-1].total) / 2000
    assert abs(error_per_row) < 1e-4  # nats: a tenth of the default tol
    torch.testing.assert_close(single.posterior.means, double.posterior.means, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_negligible_responsibilities_count_as_zero(dtype: torch.dtype) -> None:
    """Subnormal numbers in R would slow the product with Φ a hundredfold."""
    family = DiagonalCovariance(1)
    ones = torch.ones(2, dtype=torch.float64)
    components = NormalWishart(
        torch.tensor([[0.0], [12.0]]).double(), 1e6 * ones, 1e6 * ones, 1e6 * ones[:, None]
    )
    one = NormalWishart(
        components.mean[:1], components.mean_precision[:1], ones[:1], components.scatter[:1]
    )
    prior = MixturePrior(family, one, 1.0, torch.zeros(1).double())
    empty = torch.zeros(2, family.n_features, dtype=torch.float64)
    posterior = MixturePosterior(prior, update(prior, empty).sticks, components)
    z = torch.zeros(1, 1, dtype=dtype)
    log_r = posterior.log_responsibilities(family.features(z))
    statistics, _ = sweep(FeatureChunks(family, z), posterior)
    assert -75 < log_r[0, 1] < -69
    assert statistics[1].tolist() == [0, 0, 0]
    assert statistics[0, 0] == 1
