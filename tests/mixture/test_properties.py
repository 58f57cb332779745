"""What a fit must not depend on, whatever the rows: their order, origin, axes, units and blocks.

All start from the same responsibilities, have their priors from the data and make the moves that
draw nothing at random, so that a fit is a function of the rows.
"""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture import (
    DiagonalCovariance,
    DirichletProcessGaussianMixture,
    FeatureChunks,
    FullCovariance,
    GaussianFamily,
    MixturePrior,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
    blocks_of,
    collect,
    fit_memoized,
    improve,
    update,
)
from mixture_cases import FAMILIES, blobs, random_spd

N, D, T = 60, 2, 4
MATRICES = (FullCovariance, TiedCovariance)

families = pytest.mark.parametrize("kind", FAMILIES)
seeds = st.integers(0, 10_000)
few = settings(max_examples=4)


class Fit(NamedTuple):
    bound: float
    responsibilities: np.ndarray
    """[N, T], the largest component first."""


def fit(
    kind: type[GaussianFamily],
    rows: np.ndarray,
    resp: np.ndarray,
    weights: np.ndarray | None = None,
) -> Fit:
    """Coordinate ascent, merges and deletions from given responsibilities [N, T]."""
    family = kind(D)
    centre = np.average(rows.astype(float), axis=0, weights=weights)
    z = torch.from_numpy((rows - centre).astype(rows.dtype))
    prior = prior_of(family, rows, centre, weights)
    chunks = FeatureChunks(
        family, z, weights=None if weights is None else torch.from_numpy(weights)
    )
    start = update(prior, collect(chunks, torch.from_numpy(resp)))
    result = improve(
        chunks,
        start,
        np.random.RandomState(0),
        moves=("merge", "delete"),
        tol=0,  # as many updates each time, whatever the rounding
        max_iter=6,
    )
    log_r = result.posterior.log_responsibilities(family.features(z))
    return Fit(result.bounds[-1].total, log_r.exp().numpy())


def prior_of(
    family: GaussianFamily,
    rows: np.ndarray,
    centre: np.ndarray,
    weights: np.ndarray | None = None,
) -> MixturePrior:
    """m₀ the mean and W₀⁻¹ the covariance of the data, κ₀ = 1, ν₀ = D."""
    scatter = np.cov((rows - centre).T, fweights=None if weights is None else weights.astype(int))
    if isinstance(family, DiagonalCovariance | SphericalCovariance):
        scatter = scatter.diagonal().copy()
    if isinstance(family, SphericalCovariance):
        scatter = np.array(scatter.mean())
    one = torch.ones(1, dtype=torch.float64)
    components = NormalWishart(
        torch.zeros(1, D, dtype=torch.float64), one, D * one, torch.from_numpy(scatter)[None]
    )
    return MixturePrior(family, components, 0.5, torch.from_numpy(centre))


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of three Gaussians and responsibilities to start from, half of them random."""
    rng = np.random.default_rng(seed)
    rows = blobs(N, D, seed).numpy()
    nearest = ((rows[:, None] - rows[:T]) ** 2).sum(2).argmin(1)
    return rows, 0.5 * np.eye(T)[nearest] + 0.5 * rng.dirichlet(np.ones(T), size=N)


def assert_same(ours: Fit, other: Fit, *, atol: float = 1e-6) -> None:
    """The same bound, relative to which float64 is exact, and the same responsibilities."""
    assert ours.bound == pytest.approx(other.bound, rel=1e-9, abs=atol)
    np.testing.assert_allclose(ours.responsibilities, other.responsibilities, atol=10 * atol)


@families
@few
@given(seed=seeds)
def test_the_order_of_rows_does_not_matter(kind: type[GaussianFamily], seed: int) -> None:
    rows, resp = case(seed)
    order = np.random.default_rng(seed + 1).permutation(N)
    straight, shuffled = fit(kind, rows, resp), fit(kind, rows[order], resp[order])
    assert_same(shuffled, Fit(straight.bound, straight.responsibilities[order]))


@families
@few
@given(seed=seeds, shift=st.floats(-1e5, 1e5))
def test_the_origin_does_not_matter(kind: type[GaussianFamily], seed: int, shift: float) -> None:
    rows, resp = case(seed)
    far = rows + np.array([shift, -2 * shift])
    assert_same(fit(kind, far, resp), fit(kind, rows, resp), atol=1e-5)


@families
@few
@given(seed=seeds, shift=st.sampled_from([1e3, -1e5, 1e6]))
def test_the_origin_of_float32_rows_does_not_matter(
    kind: type[GaussianFamily], seed: int, shift: float
) -> None:
    rows, resp = case(seed)
    far = (rows + shift).astype(np.float32)
    near = far.astype(float) - shift  # what float32 has left of the rows
    ours, exact = fit(kind, far, resp.astype(np.float32)), fit(kind, near, resp)
    assert abs(ours.bound - exact.bound) / N < 1e-3  # nats a row: the default tol
    np.testing.assert_allclose(ours.responsibilities, exact.responsibilities, atol=0.05)


@families
@few
@given(seed=seeds)
def test_axes_and_units_do_not_matter(kind: type[GaussianFamily], seed: int) -> None:
    """Under z → A z a density is divided by |det A|, and so is that of every model of it.

    A is any matrix where covariances are (rotations among them), a scale of each column where
    they are diagonal, and a rotation and one scale where they are spherical.
    """
    rows, resp = case(seed)
    rng = np.random.default_rng(seed + 1)
    rotation = np.linalg.qr(rng.normal(size=(D, D)))[0]
    scales = np.exp(rng.uniform(-5, 5, D))
    if kind in MATRICES:
        a = rotation @ np.diag(scales) @ random_spd(D, rng)
    else:
        a = np.diag(scales) if kind is DiagonalCovariance else scales[0] * rotation
    before, after = fit(kind, rows, resp), fit(kind, rows @ a.T, resp)
    unit = N * np.linalg.slogdet(a)[1]
    assert_same(Fit(after.bound + unit, after.responsibilities), before)


@families
@few
@given(seed=seeds)
def test_whole_weights_are_repeated_rows(kind: type[GaussianFamily], seed: int) -> None:
    rows, resp = case(seed)
    weights = np.random.default_rng(seed + 1).integers(1, 4, size=N)
    weighted = fit(kind, rows, resp, weights.astype(float))
    repeated = fit(kind, np.repeat(rows, weights, axis=0), np.repeat(resp, weights, axis=0))
    first = np.r_[0, weights.cumsum()[:-1]]
    assert_same(weighted, Fit(repeated.bound, repeated.responsibilities[first]))


@families
@few
@given(seed=seeds, cuts=st.lists(st.integers(0, N), max_size=8))
def test_how_rows_are_cut_into_blocks_does_not_matter(
    kind: type[GaussianFamily], seed: int, cuts: list[int]
) -> None:
    """After the first pass, which is a batch update; later passes update after each group."""
    rows, resp = case(seed)
    family, centre = kind(D), rows.mean(0)
    chunks = FeatureChunks(family, torch.from_numpy(rows - centre))
    start = update(prior_of(family, rows, centre), collect(chunks, torch.from_numpy(resp)))
    blocks = np.split(rows, sorted(cuts))
    of_blocks = fit_memoized(blocks_of(lambda: blocks), start, tol=0, max_iter=1)
    whole = fit_memoized(blocks_of(rows), start, tol=0, max_iter=1)
    for ours, other in zip(of_blocks.bounds, whole.bounds, strict=True):
        assert ours.total == pytest.approx(other.total, rel=1e-11)
    torch.testing.assert_close(of_blocks.posterior.means, whole.posterior.means)


@few
@given(cuts=st.lists(st.integers(1, 119), max_size=6))
def test_an_estimator_fits_blocks_cut_anywhere_as_the_whole(cuts: list[int]) -> None:
    rows = np.random.default_rng(0).permutation(blobs(120, D, seed=3).numpy())
    blocks = np.split(rows, sorted(set(cuts)))
    options = {"tol": 1e-8, "max_iter": 300, "moves": False, "random_state": 0}
    ours, whole = (
        DirichletProcessGaussianMixture(T, **options).fit(source)
        for source in (lambda: iter(blocks), lambda: iter([rows]))
    )
    assert ours.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-4)
    np.testing.assert_allclose(ours.predict_proba(rows), whole.predict_proba(rows), atol=1e-3)
