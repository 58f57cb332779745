"""Memoized inference: every pass raises an exact bound, and it ends where batch inference does."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture import FeatureChunks, FullCovariance, GaussianFamily, fit_batch
from dimix.mixture.inference import memoized
from dimix.mixture.inference.blocks import blocks_of
from dimix.mixture.inference.memoized import fit_memoized
from mixture_cases import FAMILIES, blobs, make_prior, random_start

families = pytest.mark.parametrize("kind", FAMILIES)


def case(
    family: GaussianFamily, n: int, seed: int = 0
) -> tuple[np.ndarray, FeatureChunks, memoized.MixturePosterior]:
    """Raw rows, their chunks, and a start."""
    prior = make_prior(family)
    raw = blobs(n, family.dim, seed)
    chunks = FeatureChunks(family, raw - prior.centre)
    return raw.numpy(), chunks, random_start(chunks, prior, 5, seed)


@families
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), cut=st.integers(7, 80), reorder=st.booleans())
def test_every_pass_raises_the_bound(
    kind: type[GaussianFamily], seed: int, cut: int, reorder: bool
) -> None:
    rows, _, start = case(kind(2), 80, seed)
    result = fit_memoized(blocks_of(rows, cut), start, tol=1e-6, max_iter=12, reorder=reorder)
    for before, after in pairwise(result.bounds):
        assert after.total > before.total - 1e-9 * abs(before.total)


@families
def test_every_update_raises_the_bound(
    kind: type[GaussianFamily], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _, start = case(kind(2), 90)
    totals: list[float] = []
    current = memoized._current

    def recorded(*args: object) -> object:
        posterior, bound = current(*args)  # type: ignore[arg-type]
        totals.append(bound.total)
        return posterior, bound

    monkeypatch.setattr(memoized, "_current", recorded)
    fit_memoized(blocks_of(rows, 10), start, tol=0, max_iter=6)
    assert len(totals) == 6 + 5 * 8
    assert np.diff(totals).min() > -1e-9 * abs(totals[0])


@families
def test_it_ends_where_batch_inference_does(kind: type[GaussianFamily]) -> None:
    rows, chunks, start = case(kind(2), 120)
    # A fixed point of the one is a fixed point of the other, and the bounds are the same there.
    batch = fit_batch(chunks, start, tol=1e-13, max_iter=3000)
    again = fit_memoized(blocks_of(rows, 25), batch.posterior, tol=1e-13, max_iter=5)
    totals = [bound.total for bound in again.bounds]
    assert totals == pytest.approx([batch.bounds[-1].total] * len(totals), rel=1e-11)
    torch.testing.assert_close(again.posterior.means, batch.posterior.means, rtol=1e-5, atol=1e-5)


@families
def test_one_block_is_batch_inference(kind: type[GaussianFamily]) -> None:
    rows, chunks, start = case(kind(2), 60)
    batch = fit_batch(chunks, start, tol=0, max_iter=4)
    whole = fit_memoized(blocks_of(rows), start, tol=0, max_iter=4)
    torch.testing.assert_close(whole.posterior.means, batch.posterior.means)
    assert whole.bounds[0].total == pytest.approx(batch.bounds[0].total, rel=1e-12)
    # The responsibilities are those of the posterior before: a little less than the best.
    for memo, before, after in zip(whole.bounds[1:], batch.bounds, batch.bounds[1:], strict=False):
        assert before.total < memo.total <= after.total


def test_more_updates_a_pass_bring_it_further() -> None:
    rows, _, start = case(FullCovariance(2), 300)
    few = fit_memoized(blocks_of(rows), start, tol=0, max_iter=5)
    many = fit_memoized(blocks_of(rows, 30), start, tol=0, max_iter=5)
    assert many.bounds[-1].total > few.bounds[-1].total


@settings(max_examples=15)
@given(cut=st.integers(1, 60), most=st.sampled_from([2, 4, 6]))
def test_groups_are_bounded_in_number_and_cover_all_blocks(cut: int, most: int) -> None:
    rows, _, start = case(FullCovariance(2), 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memoized, "MOST_GROUPS", most)
        memo, _ = memoized._first_pass(
            blocks_of(rows, cut),
            start,
            lambda b, q: memoized._visit(b, q, dtype=None, device="cpu"),
        )
    n_blocks = -(-60 // cut)
    assert len(memo) <= most
    assert len(memo) > most // 2 or len(memo) == n_blocks
    assert sum(group.n_blocks for group in memo) == n_blocks
    assert sum(group.n_rows for group in memo) == 60
    assert len({group.n_blocks for group in memo[:-1]}) <= 1


def test_the_budget_bounds_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, start = case(FullCovariance(2), 60)
    of_group = start.n_components * start.family.n_features * 8
    monkeypatch.setattr(memoized, "MEMO_BYTES", 7 * of_group)
    assert memoized._most_groups(start) == 6
    monkeypatch.setattr(memoized, "MEMO_BYTES", 0)
    assert memoized._most_groups(start) == 2


def test_float32_blocks_keep_the_answer_of_float64() -> None:
    rows, _, start = case(FullCovariance(3), 600)
    double = fit_memoized(blocks_of(rows, 100), start, tol=0, max_iter=6)
    single = fit_memoized(blocks_of(rows.astype(np.float32), 100), start, tol=0, max_iter=6)
    cast = fit_memoized(blocks_of(rows, 100), start, tol=0, max_iter=6, dtype=torch.float32)
    for other in (single, cast):
        error = np.array(
            [b.total - a.total for a, b in zip(double.bounds, other.bounds, strict=True)]
        )
        assert np.abs(error).max() / 600 < 1e-4  # nats a row
        assert np.abs(error).max() > 0
        torch.testing.assert_close(
            other.posterior.means, double.posterior.means, rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_gives_the_answer_of_its_array(tmp_path: Path, dtype: type) -> None:
    rows, _, start = case(FullCovariance(2), 90)
    np.save(tmp_path / "rows.npy", rows.astype(dtype))
    from_file = fit_memoized(blocks_of(tmp_path / "rows.npy", 30), start, max_iter=3)
    from_array = fit_memoized(blocks_of(rows.astype(dtype), 30), start, max_iter=3)
    assert from_file.bounds == from_array.bounds


def test_no_pass_leaves_the_start() -> None:
    rows, _, start = case(FullCovariance(2), 60)
    seen: list[int] = []
    result = fit_memoized(
        blocks_of(rows, 20), start, max_iter=0, on_iteration=lambda i, _: seen.append(i)
    )
    assert (result.n_iter, result.converged, len(result.bounds), seen) == (0, False, 1, [0])
    assert result.posterior is start


def test_components_end_in_order_of_size() -> None:
    rows, _, start = case(FullCovariance(2), 200)
    weights = fit_memoized(blocks_of(rows, 40), start).posterior.sticks.a
    assert torch.equal(weights, weights.sort(descending=True).values)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (60, "that held 60 rows on the first pass hold 40 now|held 20 rows .* hold 0 now"),
        (120, "now it has more"),
    ],
)
def test_a_source_that_changes_between_passes(second: int, message: str) -> None:
    rows, _, start = case(FullCovariance(2), 120)
    lengths = iter([80, second])

    def read() -> Iterator[np.ndarray]:
        length = next(lengths)
        return iter([rows[i : i + 20] for i in range(0, length, 20)])

    with pytest.raises(ValueError, match=message):
        fit_memoized(blocks_of(read), start, tol=0)
