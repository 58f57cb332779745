"""The bound on the work of a round: what is left out, and that what is accepted stays exact."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dimix.mixture import (
    DiagonalCovariance,
    DirichletProcessGaussianMixture,
    FeatureChunks,
    FullCovariance,
    collect,
    update,
)
from dimix.mixture.moves.merging import MergeTable, merge_all
from dimix.mixture.moves.partition import Survey, affordable, survey
from dimix.mixture.moves.search import improve
from dimix.mixture.moves.splitting import PART_STEPS, most_rows, plan, propose_splits
from move_cases import weak_prior

LABELS = torch.arange(12).repeat_interleave(25)
"""Twelve components of 25 rows, four to a cluster."""


def three_clusters() -> Tensor:
    noise = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    means = torch.tensor([[-20.0, 0], [20, 0], [0, 30]], dtype=torch.float64)
    return noise + means[LABELS // 4] - means.mean(0)


def in_twelve() -> tuple[FeatureChunks, Survey]:
    """Three clusters, each shared among four components."""
    chunks = FeatureChunks(FullCovariance(2), three_clusters())
    hard = torch.nn.functional.one_hot(LABELS, 12).double()
    posterior = update(weak_prior(chunks.family), collect(chunks, hard))
    return chunks, survey(chunks, posterior)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if one pair were a round's work."""
    monkeypatch.setattr("dimix.mixture.moves.partition.WORK", 1.0)


def test_ordinary_mixtures_have_all_the_work_they_ask_for() -> None:
    assert affordable(FullCovariance(64)) > 200 * 199 / 2  # every pair of two hundred
    assert affordable(DiagonalCovariance(1000)) > 200 * 199 / 2
    assert affordable(FullCovariance(1000)) == 30
    assert plan(FullCovariance(64), 8, 200) == ([2, 8], PART_STEPS, 200)


@pytest.mark.parametrize("n_groups", [1, 2, 5, 50])
def test_a_dear_split_is_looked_at_with_fewer_updates_of_fewer_parts(n_groups: int) -> None:
    family = FullCovariance(1000)
    seeded, n_steps, n_looked_at = plan(family, 8, n_groups)
    updates = n_steps * n_looked_at * (2 + sum(seeded))
    assert 0 < updates <= affordable(family)
    assert 1 <= n_looked_at <= n_groups


def test_the_nearest_pairs_are_those_whose_merger_adds_least_to_the_squares() -> None:
    _, view = in_twelve()
    table = MergeTable(view.partition, view.shared)
    z, counts = three_clusters(), view.partition.counts
    means = view.partition.statistics[:, 1:3] / counts[:, None]
    resp = torch.softmax(view.posterior.logits(view.posterior.family.features(z)), 1)

    def squares(a: int, b: int) -> float:
        """Σ_n r_n |z_n - mean|² of both as one, less that of each."""
        both = resp[:, a] + resp[:, b]
        mean = both @ z / both.sum()
        apart = sum(resp[:, k] @ (z - means[k]).square().sum(1) for k in (a, b))
        return float(both @ (z - mean).square().sum(1) - apart)

    pairs = table.pairs()
    added = np.array([squares(a, b) for a, b in pairs.tolist()])
    nearest = table.nearest(pairs, 7).tolist()
    assert sorted(nearest) == sorted(pairs[np.argsort(added)[:7]].tolist())
    assert table.nearest(pairs, len(pairs)) is pairs


@pytest.mark.usefixtures("little")
def test_merging_the_nearest_gains_exactly_what_it_says_and_reaches_the_clusters() -> None:
    _, view = in_twelve()
    table, gains = MergeTable(view.partition, view.shared), list[float]()
    merge_all(table, lambda a, b, gain: gains.append(gain))
    rise = table.partition.bound - view.partition.bound
    assert sum(gains) == pytest.approx(rise, rel=1e-8)
    assert (min(gains) > 0, table.n_alive) == (True, 3)


@pytest.mark.usefixtures("little")
def test_with_little_work_every_move_that_is_kept_still_gains() -> None:
    chunks = FeatureChunks(FullCovariance(2), three_clusters())
    whole = torch.ones(300, 1).double()
    empty = torch.zeros(7, chunks.family.n_features).double()
    start = torch.cat([collect(chunks, whole), empty])
    result = improve(chunks, update(weak_prior(chunks.family), start), np.random.RandomState(0))
    assert result.moves
    assert result.bounds[-1].total > result.bounds[0].total + 0.9 * result.moves[0].gain


def test_parts_are_fitted_to_no_more_rows_than_fit_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dimix.mixture.moves.splitting.SAMPLE_BYTES", 10 * 6 * 8)
    chunks, view = in_twelve()
    merged = MergeTable(view.partition, view.shared)
    for a, b in [(0, 4), (0, 5), (0, 6), (0, 7), (0, 1), (0, 2), (0, 3)]:
        merged.merge(a, b)
    view = survey(chunks, update(view.partition.prior, merged.partition.statistics))
    assert most_rows(chunks) == 10
    proposals = propose_splits(chunks, view, 2, np.random.RandomState(0))
    assert any(proposal.gain(view.partition) > 100 for proposal in proposals)


@pytest.mark.slow
def test_a_thousand_columns_and_full_covariance_by_default() -> None:
    """Half a million statistics a component: every round of moves must end soon."""
    labels = np.repeat([0, 1], 40)
    rows = 10.0 * labels[:, None] + np.random.default_rng(0).normal(size=(80, 1000))
    plain, moved = (
        DirichletProcessGaussianMixture(4, moves=moves, random_state=0).fit(rows)
        for moves in (False, True)
    )
    assert moved.lower_bound_ > plain.lower_bound_ - 1e-3 * len(rows)
    assert min((move.gain for move in moved.moves_), default=1.0) > 0
    assert np.isfinite(moved.predict_proba(rows)).all()
