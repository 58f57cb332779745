"""Moves: each predicted gain is the recomputed one, each move kept raises the bound."""

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

import oracles
from dimix.mixture import (
    DirichletProcessGaussianMixture,
    FeatureChunks,
    FullCovariance,
    GaussianFamily,
    MixturePrior,
    collect,
    fit_batch,
    update,
)
from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.moves import search
from dimix.mixture.moves.deleting import propose_deletions
from dimix.mixture.moves.merging import MergeTable, merge_all
from dimix.mixture.moves.partition import Partition, Survey, evidence, evidences, survey
from dimix.mixture.moves.search import ImprovedFit, choose, improve
from dimix.mixture.moves.splitting import (
    around_seeds,
    evaluate_splits,
    fit_parts,
    propose_birth,
    propose_splits,
)
from mixture_cases import FAMILIES, blobs, make_prior, plain, random_start
from move_cases import responsibilities, weak_prior

families = pytest.mark.parametrize("kind", FAMILIES)


def surveyed(
    kind: type[GaussianFamily], n: int = 60, n_components: int = 4, weighted: bool = True
) -> tuple[FeatureChunks, Survey]:
    """A mixture with soft responsibilities, seen through chunks of a few weighted rows."""
    family = kind(2)
    weights = torch.rand(n, dtype=torch.float64) + 0.5 if weighted else None
    row_bytes = family.n_features * 8
    chunks = FeatureChunks(family, blobs(n, 2), weights=weights, chunk_bytes=17 * row_bytes)
    start = random_start(chunks, make_prior(family), n_components)
    return chunks, survey(chunks, fit_batch(chunks, start, tol=0, max_iter=4).posterior)


def bound(chunks: FeatureChunks, prior: MixturePrior, resp: Tensor) -> float:
    """B(R), by the dense oracle for full covariance."""
    weights = np.ones(len(chunks)) if chunks.weights is None else chunks.weights.numpy()
    if type(prior.family) is FullCovariance:
        params = plain(prior.components)[0]
        return oracles.responsibility_bound(
            chunks.z.numpy(), resp.numpy(), params, prior.concentration, weights
        )
    entropies = np.array([stats.entropy(row) for row in resp.numpy()])
    return evidence(prior, collect(chunks, resp)) + float(weights @ entropies)


@families
def test_a_survey_knows_the_bound_of_its_responsibilities(kind: type[GaussianFamily]) -> None:
    chunks, view = surveyed(kind)
    resp = responsibilities(chunks, view.posterior)
    expected = bound(chunks, view.partition.prior, resp)
    assert view.partition.bound == pytest.approx(expected, rel=1e-11)
    assert torch.equal(view.labels, resp.argmax(1))


@families
def test_the_bound_of_responsibilities_is_that_of_their_best_globals(
    kind: type[GaussianFamily],
) -> None:
    """From its own responsibilities a posterior can only rise to B(R), and an update reaches it."""
    chunks, view = surveyed(kind)
    here = view.posterior.bound(float(view.log_normalisers.double() @ chunks.weights)).total
    after = fit_batch(chunks, update(view.partition.prior, view.partition.statistics), max_iter=0)
    assert here < view.partition.bound < after.bounds[0].total


@families
def test_a_merge_gains_what_was_predicted(kind: type[GaussianFamily]) -> None:
    chunks, view = surveyed(kind)
    resp = responsibilities(chunks, view.posterior)
    table = MergeTable(view.partition, view.shared)
    before = bound(chunks, view.partition.prior, resp)
    for (a, b), gain in zip(table.pairs().tolist(), table.gains(table.pairs()), strict=True):
        merged = resp.clone()
        merged[:, a] += merged[:, b]
        merged[:, b] = 0
        expected = bound(chunks, view.partition.prior, merged) - before
        assert float(gain) == pytest.approx(expected, rel=1e-8, abs=1e-8)
        assert table.proposal(a, b).gain(view.partition) == pytest.approx(expected, abs=1e-8)


@families
def test_merging_statistics_is_refitting_with_merged_responsibilities(
    kind: type[GaussianFamily],
) -> None:
    chunks, view = surveyed(kind, n_components=5)
    resp = responsibilities(chunks, view.posterior)
    table = MergeTable(view.partition, view.shared)
    for a, b in [(0, 3), (2, 4), (0, 2)]:
        table.merge(a, b)
        resp[:, a] += resp[:, b]
        resp[:, b] = 0
    torch.testing.assert_close(table.partition.statistics, collect(chunks, resp))
    expected = bound(chunks, view.partition.prior, resp)
    assert table.partition.bound == pytest.approx(expected, rel=1e-10)
    gains = table.gains(table.pairs())
    fresh = MergeTable(table.partition, view.shared)
    assert table.pairs().tolist() == fresh.pairs().tolist() == [[0, 1]]
    resp[:, 0] += resp[:, 1]
    resp[:, 1] = 0
    assert float(gains) == pytest.approx(
        bound(chunks, view.partition.prior, resp) - expected, rel=1e-8
    )


def test_merging_all_adds_up_and_leaves_no_pair_that_pays() -> None:
    _, view = surveyed(FullCovariance, n=80, n_components=8)
    table, gains = MergeTable(view.partition, view.shared), list[float]()
    merge_all(table, lambda a, b, gain: gains.append(gain))
    assert gains
    assert min(gains) > 0
    rise = table.partition.bound - view.partition.bound
    assert sum(gains) == pytest.approx(rise, rel=1e-8)
    assert table.gains(table.pairs()).max() <= 0


def test_each_merge_is_the_best_of_all_pairs() -> None:
    """Though the overlaps of most pairs are never looked at."""
    _, view = surveyed(FullCovariance, n=80, n_components=8)
    made = list[list[int]]()
    merge_all(MergeTable(view.partition, view.shared), lambda a, b, _: made.append([a, b]))
    table = MergeTable(view.partition, view.shared)
    for a, b in made:
        assert table.pairs()[table.gains(table.pairs()).argmax()].tolist() == [a, b]
        table.merge(a, b)


@families
def test_the_evidence_of_several_mixtures_is_that_of_each(kind: type[GaussianFamily]) -> None:
    _, view = surveyed(kind, n_components=6)
    prior, halves = view.partition.prior, view.partition.statistics.unflatten(0, (2, 3))
    assert evidences(prior, halves).tolist() == pytest.approx([evidence(prior, h) for h in halves])


@families
def test_a_deletion_gains_what_was_predicted(kind: type[GaussianFamily]) -> None:
    chunks, view = surveyed(kind)
    logits = torch.cat([view.posterior.logits(phi) for _, phi in chunks])
    before = bound(chunks, view.partition.prior, torch.softmax(logits, 1))
    proposals = propose_deletions(chunks, view)
    assert sorted(proposal.given_up[0] for proposal in proposals) == [0, 1, 2, 3]
    for proposal in proposals:
        without = logits.clone()
        without[:, proposal.given_up[0]] = -torch.inf
        after = bound(chunks, view.partition.prior, torch.softmax(without, 1))
        assert proposal.gain(view.partition) == pytest.approx(after - before, rel=1e-8, abs=1e-8)


@families
def test_a_split_gains_what_was_predicted(
    kind: type[GaussianFamily], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimix.mixture.moves.splitting.TAIL", 0.0)
    chunks, view = surveyed(kind)
    resp = responsibilities(chunks, view.posterior)
    before = bound(chunks, view.partition.prior, resp)
    natural = view.posterior.natural_parameters[:3]
    for component, proposal in enumerate(
        evaluate_splits(chunks, view, [(k, natural) for k in range(4)])
    ):
        shares = torch.cat([torch.softmax(phi @ natural.mT, 1) for _, phi in chunks])
        parts = resp[:, [component]] * shares
        rest = torch.cat([resp[:, :component], resp[:, component + 1 :]], dim=1)
        after = bound(chunks, view.partition.prior, torch.cat([rest, parts], dim=1))
        assert proposal.gain(view.partition) == pytest.approx(after - before, rel=1e-8, abs=1e-8)


def test_rows_that_a_split_does_not_look_at_stay_with_its_largest_part() -> None:
    chunks, view = surveyed(FullCovariance)
    natural = view.posterior.natural_parameters[:3]
    (proposal,) = evaluate_splits(chunks, view, [(1, natural)])
    after = proposal.applied(view.partition).statistics
    torch.testing.assert_close(after.sum(0), view.partition.statistics.sum(0))
    torch.testing.assert_close(proposal.fresh.sum(0), view.partition.statistics[1])


@families
def test_a_birth_changes_the_bound_as_predicted(kind: type[GaussianFamily]) -> None:
    chunks, view = surveyed(kind)
    rows = torch.tensor([3, 5, 8, 20, 21, 40, 55])
    proposal = propose_birth(chunks, view, rows, 3, np.random.RandomState(5))
    generator = torch.Generator().manual_seed(int(np.random.RandomState(5).randint(2**31 - 1)))
    z, weights = chunks.z[rows][None], chunks.weights[rows][None]
    phi, prior = chunks.family.features(z[0]), view.partition.prior
    parts = fit_parts(prior, phi[None], weights, around_seeds(z, weights, 3, generator))
    resp = responsibilities(chunks, view.posterior)
    before, born = bound(chunks, prior, resp), torch.zeros(len(chunks), 3).double()
    resp[rows] = 0
    born[rows] = torch.softmax(phi @ parts.natural[0].mT, 1)
    after = bound(chunks, prior, torch.cat([resp, born], dim=1))
    assert proposal.gain(view.partition) == pytest.approx(after - before, rel=1e-8)


def test_proposals_are_carried_out_best_first_within_the_room_there_is() -> None:
    chunks, view = surveyed(FullCovariance, n=300, n_components=3, weighted=False)
    merged = MergeTable(view.partition, view.shared)
    merged.merge(0, 1)
    posterior = update(view.partition.prior, merged.partition.statistics[[0, 2]])
    view = survey(chunks, posterior)
    proposals = propose_splits(chunks, view, 4, np.random.RandomState(0))
    after, moves = choose(view.partition, proposals, room=10, least=0.0)
    assert moves
    total = sum(move.gain for move in moves)
    assert total == pytest.approx(after.bound - view.partition.bound, rel=1e-9)
    assert [move.gain for move in moves] == sorted((m.gain for m in moves), reverse=True)
    assert choose(view.partition, proposals, room=2, least=0.0) == (view.partition, [])
    assert choose(view.partition, proposals, room=10, least=1e9) == (view.partition, [])
    # Where there are too few, as after components were emptied, splits are a way back.
    assert choose(view.partition, proposals, fewest=9, room=10, least=0.0)[1] == moves


def test_two_proposals_at_once_gain_what_both_do_one_after_the_other() -> None:
    chunks, view = surveyed(FullCovariance)
    table = MergeTable(view.partition, view.shared)
    (split,) = evaluate_splits(chunks, view, [(1, view.posterior.natural_parameters[:2])])
    merge = table.proposal(0, 3)
    halfway = split.applied(view.partition)
    expected = split.gain(view.partition) + merge.gain(halfway)
    assert split.with_(merge).gain(view.partition) == pytest.approx(expected, rel=1e-10)
    assert split.with_(merge).applied(view.partition).n_components == 4


def test_shared_rows_thinned_to_a_budget_stand_for_all() -> None:
    chunks, view = surveyed(FullCovariance, n=2000, weighted=False)
    whole, budget = view.shared, view.shared.responsibilities.nbytes // 3
    few = survey(chunks, view.posterior, budget=budget).shared
    assert few.responsibilities.nbytes <= budget
    assert float(few.weights.sum()) == pytest.approx(float(whole.weights.sum()), rel=0.01)
    pairs = MergeTable(view.partition, whole).pairs()
    gains = [MergeTable(view.partition, rows).gains(pairs) for rows in (few, whole)]
    torch.testing.assert_close(*gains, rtol=0.2, atol=1.0)


def clusters(
    n_clusters: int, dim: int, seed: int = 0, per_cluster: int = 250
) -> tuple[Tensor, np.ndarray]:
    """Gaussians of unequal weight and any orientation, far enough apart to be told apart."""
    rng = np.random.default_rng(seed)
    sizes = np.maximum(200, rng.dirichlet(np.full(n_clusters, 3.0)) * per_cluster * n_clusters)
    # A lattice keeps them apart; jitter and rotation keep the lattice from mattering.
    side = int(np.ceil(n_clusters ** (1 / min(dim, 5))))
    cells = rng.permutation(side ** min(dim, 5))[:n_clusters]
    means = np.zeros((n_clusters, dim))
    for d in range(min(dim, 5)):
        means[:, d] = cells // side**d % side
    means = 14 * (means + rng.uniform(-0.15, 0.15, means.shape))
    rows, labels = [], np.repeat(np.arange(n_clusters), sizes.astype(int))
    for mean, size in zip(means, sizes.astype(int), strict=True):
        axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
        spread = rng.uniform(0.6, 1.4, dim)
        rows.append(mean + rng.normal(size=(size, dim)) * spread @ axes)
    order = rng.permutation(len(labels))
    return torch.from_numpy(np.concatenate(rows)[order]), labels[order]


def improved(
    z: Tensor, n_start: int, n_slots: int, seed: int = 0, **options: object
) -> tuple[FeatureChunks, ImprovedFit]:
    """A search from ``n_start`` random components, with room for ``n_slots``."""
    family = FullCovariance(z.shape[1])
    z = z - z.mean(0)
    chunks, rng = FeatureChunks(family, z), np.random.RandomState(seed)
    seeds = z[rng.permutation(len(z))[:n_start]]
    resp = torch.nn.functional.one_hot(torch.cdist(z, seeds).argmin(1), n_slots).double()
    start = update(weak_prior(family), collect(chunks, resp))
    return chunks, improve(chunks, start, rng, **options)


def n_alive(result: ImprovedFit) -> int:
    return int((result.posterior.sticks.a - 1 > 0.5).sum())


@pytest.mark.parametrize(("n_clusters", "dim"), [(2, 2), (5, 2), (3, 8), (16, 2), (9, 4)])
def test_recovers_the_clusters_from_one_component_and_from_too_many(
    n_clusters: int, dim: int
) -> None:
    z, labels = clusters(n_clusters, dim, seed=n_clusters)
    family = FullCovariance(dim)
    chunks = FeatureChunks(family, z - z.mean(0))
    truth = torch.nn.functional.one_hot(torch.from_numpy(labels)).double()
    best = fit_batch(chunks, update(weak_prior(family), collect(chunks, truth)), tol=1e-8)
    for n_start in (1, 2 * n_clusters):
        _, result = improved(z, n_start, 2 * n_clusters + 2)
        assert n_alive(result) == n_clusters
        assert result.bounds[-1].total > best.bounds[-1].total - 1e-3 * len(z)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_clusters", "dim", "per_cluster"),
    [(32, 2, 250), (64, 4, 250), (32, 8, 250), (16, 16, 250), (2, 32, 1000)],
)
def test_recovers_many_clusters_and_many_features(
    n_clusters: int, dim: int, per_cluster: int
) -> None:
    z, _ = clusters(n_clusters, dim, seed=1, per_cluster=per_cluster)
    for n_start in (1, 2 * n_clusters):
        assert n_alive(improved(z, n_start, 2 * n_clusters)[1]) == n_clusters


@pytest.mark.parametrize("fewest", [1, 6])
def test_moves_leave_as_many_components_as_asked_for(fewest: int) -> None:
    z, _ = clusters(4, 2)
    moves = improved(z, 9, 12, fewest=fewest)[1].moves
    assert min(move.n_components for move in moves) == max(fewest, 4)


def test_one_and_two_hundred_components_reach_the_same_answer() -> None:
    z, _ = clusters(6, 3)
    totals = [improved(z, n_start, 200, tol=1e-6)[1].bounds[-1].total for n_start in (1, 200)]
    assert totals[0] == pytest.approx(totals[1], abs=1e-4 * len(z))


@pytest.mark.parametrize("n_start", [1, 12])
def test_the_bound_never_falls_and_every_kept_move_gains(n_start: int) -> None:
    _, result = improved(blobs(400, 2), n_start, 12, tol=1e-5)
    totals = [bound.total for bound in result.bounds]
    assert result.moves
    assert min(move.gain for move in result.moves) > 0
    assert max(move.n_components for move in result.moves) <= 12
    # Setting aside what is all but empty may cost less than the hundredth of a row it holds.
    assert all(after > before - 0.1 for before, after in pairwise(totals))
    assert (len(totals), result.converged) == (result.n_iter + 1, True)


def test_every_kind_is_judged_where_the_search_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a birth that was not kept, whose trial was a few updates."""
    stands = list[bool]()
    judge = search._Search._try

    def watched(self: search._Search, kind: str, view: Survey) -> bool:
        stands.append(view.posterior is self.posterior)
        return judge(self, kind, view)

    monkeypatch.setattr(search._Search, "_try", watched)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 2))
    X[:250] += 1.5
    X[:120, 0] -= 3
    options = {"tol": 1e-7, "max_iter": 20, "random_state": 0, "init_components": 2}
    with pytest.warns(ConvergenceWarning):
        DirichletProcessGaussianMixture(4, **options).fit(X)
    assert all(stands)
    assert len(stands) > 10


def test_the_truncation_is_kept_even_where_more_components_would_pay() -> None:
    z, _ = clusters(8, 2)
    _, result = improved(z, 1, 5)
    assert result.posterior.n_components == n_alive(result) == 5
    assert max(move.n_components for move in result.moves) <= 5


def test_a_split_can_be_paid_for_by_a_merge_where_no_slot_is_free() -> None:
    """Two components on one cluster and one on two others: neither kind alone can mend it."""
    z, labels = clusters(3, 2, per_cluster=300)
    halves = torch.from_numpy(labels).clone()
    halves[halves == 2] = 1
    halves[(halves == 0) & (z[:, 0] > z[halves == 0, 0].median())] = 2
    family = FullCovariance(2)
    chunks = FeatureChunks(family, z - z.mean(0))
    resp = torch.nn.functional.one_hot(halves, 3).double()
    view = survey(chunks, update(weak_prior(family), collect(chunks, resp)))
    table = MergeTable(view.partition, view.shared)
    splits = propose_splits(chunks, view, 2, np.random.RandomState(0))
    both = [split.with_(table.proposal(0, 2)) for split in splits if split.given_up == (1,)]
    after, moves = choose(view.partition, both, room=3, least=0.0)
    assert [move.kind for move in moves] == ["split and merge"]
    assert after.n_components == 3


def test_without_moves_it_is_coordinate_ascent() -> None:
    chunks, result = improved(blobs(300, 2), 5, 8, moves=(), tol=1e-6)
    _, other = improved(blobs(300, 2), 5, 8, moves=(), tol=1e-6, max_iter=0)
    plain_fit = fit_batch(chunks, other.posterior, tol=1e-6)
    assert result.bounds == plain_fit.bounds
    assert result.n_iter == plain_fit.n_iter
    assert result.moves == ()


@pytest.mark.parametrize("kind", ["merge", "delete", "split", "birth"])
def test_only_the_kinds_asked_for_are_made(kind: str) -> None:
    z, _ = clusters(5, 2)
    _, result = improved(z, 1 if kind in ("split", "birth") else 10, 10, moves=(kind,))
    assert {move.kind for move in result.moves} == {kind}


def test_every_update_is_reported_once() -> None:
    seen = list[int]()
    z, _ = clusters(3, 2)
    _, result = improved(
        z, 1, 6, moves=("split", "merge"), on_iteration=lambda i, _: seen.append(i)
    )
    assert seen == list(range(result.n_iter + 1))


def test_one_gaussian_needs_one_component() -> None:
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert n_alive(improved(z, 8, 10)[1]) == 1


def test_rows_all_in_one_place_and_fewer_rows_than_slots_do_no_harm() -> None:
    assert n_alive(improved(torch.zeros(20, 2).double(), 3, 5)[1]) == 1
    assert n_alive(improved(torch.arange(6.0).double().reshape(3, 2), 3, 10)[1]) >= 1


def test_a_learned_concentration_is_part_of_every_gain() -> None:
    _, view = surveyed(FullCovariance)
    prior = make_prior(FullCovariance(2), GammaConcentration(2.0, 1.5))
    partition = Partition(prior, view.partition.statistics, view.partition.entropy)
    table = MergeTable(partition, view.shared)
    predicted = float(table.gains(torch.tensor([[1, 2]])))
    table.merge(1, 2)
    assert predicted == pytest.approx(table.partition.bound - partition.bound, rel=1e-9)


def test_features_are_freed_with_the_chunks() -> None:
    """A search is in no reference cycle: a gigabyte of Φ must not wait for the collector."""
    chunks, view = surveyed(FullCovariance)
    gc.collect()
    gc.disable()
    try:
        improve(chunks, view.posterior, np.random.RandomState(0))
        alive = weakref.ref(chunks)
        del chunks
        assert alive() is None
    finally:
        gc.enable()
