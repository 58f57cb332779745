"""Φ in chunks: weights count rows, and a row that counts for nothing is not there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture import FeatureChunks, FullCovariance, GaussianFamily, collect, fit_batch, sweep
from mixture_cases import FAMILIES, blobs, make_prior, random_start

families = pytest.mark.parametrize("kind", FAMILIES)


@families
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), gaussians=st.booleans())
def test_whole_weights_are_repeated_rows(
    kind: type[GaussianFamily], seed: int, gaussians: bool
) -> None:
    family, z = kind(2), blobs(40, 2, seed)
    counts = torch.randint(0, 4, (40,), generator=torch.Generator().manual_seed(seed))
    var = z.square() if gaussians else None
    weighted = FeatureChunks(family, z, var, weights=counts.double())
    repeated = FeatureChunks(
        family,
        z.repeat_interleave(counts, dim=0),
        None if var is None else var.repeat_interleave(counts, dim=0),
    )
    start = random_start(FeatureChunks(family, z), make_prior(family), 4, seed)
    ours = fit_batch(weighted, start, tol=1e-4, max_iter=20)
    other = fit_batch(repeated, start, tol=1e-4, max_iter=20)
    assert (ours.n_iter, ours.converged) == (other.n_iter, other.converged)
    totals = [[bound.total for bound in result.bounds] for result in (ours, other)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-11)


def test_rows_of_weight_zero_are_dropped() -> None:
    family, z = FullCovariance(2), blobs(50, 2)
    weights = torch.ones(50, dtype=torch.float64)
    weights[::3] = 0
    start = random_start(FeatureChunks(family, z), make_prior(family), 3)
    ours = sweep(FeatureChunks(family, z, weights=weights), start)
    other = sweep(FeatureChunks(family, z[weights > 0]), start)
    torch.testing.assert_close(ours[0], other[0], rtol=1e-12, atol=1e-12)
    assert ours[1] == pytest.approx(other[1], rel=1e-12)


def test_given_responsibilities_are_weighted_too() -> None:
    family, z = FullCovariance(2), blobs(30, 2)
    weights = torch.linspace(0, 3, 30, dtype=torch.float64)
    resp = torch.rand(30, 4, dtype=torch.float64)
    expected = (resp * weights[:, None]).mT @ family.features(z)
    chunks = FeatureChunks(family, z, weights=weights, chunk_bytes=300)
    torch.testing.assert_close(collect(chunks, resp), expected)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_wrong_weight_is_named(wrong: float) -> None:
    weights = torch.ones(5, dtype=torch.float64)
    weights[3] = wrong
    with pytest.raises(ValueError, match=rf"weights must be finite and >= 0, got {wrong} in row 3"):
        FeatureChunks(FullCovariance(2), blobs(5, 2), weights=weights)


def test_a_stated_device_gives_the_same_answer() -> None:
    family, z = FullCovariance(2), blobs(30, 2)
    start = random_start(FeatureChunks(family, z), make_prior(family), 3)
    here = sweep(FeatureChunks(family, z), start)
    there = sweep(FeatureChunks(family, z, device="cpu"), start)
    assert torch.equal(here[0], there[0])
    assert here[1] == there[1]
