"""The merge tree against the tempered bound, scipy's linkage, and data with known structure."""

import math
from dataclasses import replace

import matplotlib.pyplot
import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import dendrogram, is_monotonic, is_valid_linkage
from torch import Tensor

import oracles
from dimix import DirichletProcessGaussianMixture
from dimix.mixture import FeatureChunks, FullCovariance, collect, fit_batch, update
from dimix.mixture.descent import Clusters, build_hierarchy, merge_tree
from dimix.mixture.families import TiedCovariance
from dimix.mixture.hierarchy import Hierarchy, pool
from dimix.mixture.moves.merging import MergeTable
from dimix.mixture.moves.partition import Partition, SharedRows, Survey, survey
from dimix.mixture.moves.search import improve
from mixture_cases import blobs, make_prior, plain, random_start
from move_cases import responsibilities, weak_prior

matplotlib.use("Agg")


def surveyed(kind: type = FullCovariance, n_components: int = 5) -> tuple[FeatureChunks, Survey]:
    chunks = FeatureChunks(kind(2), blobs(90, 2))
    start = random_start(chunks, make_prior(kind(2)), n_components)
    return chunks, survey(chunks, fit_batch(chunks, start, tol=0, max_iter=4).posterior)


def fitted(z: Tensor, n_slots: int = 20) -> tuple[FeatureChunks, Hierarchy, np.ndarray]:
    """Data, the tree of a mixture fitted to it from one component, and each row's component."""
    chunks = FeatureChunks(FullCovariance(z.shape[1]), z - z.mean(0))
    resp = torch.zeros(len(z), n_slots).double()
    resp[:, 0] = 1
    start = update(weak_prior(chunks.family), collect(chunks, resp))
    posterior = improve(chunks, start, np.random.RandomState(0)).posterior
    view = survey(chunks, posterior)
    return chunks, merge_tree(view.partition, view.shared), view.labels.numpy()


def two_levels(n: int = 3000) -> tuple[Tensor, np.ndarray]:
    """Three clusters far apart, each of three Gaussians that overlap a little."""
    rng = np.random.default_rng(0)
    labels = rng.integers(9, size=n)
    angles = 2 * np.pi / 3 * np.arange(3)
    corners = np.column_stack([np.cos(angles), np.sin(angles)])
    centres = 20 * corners[labels // 3] + 1.6 * corners[labels % 3]
    return torch.from_numpy(centres + 0.7 * rng.normal(size=(n, 2))), labels


@pytest.fixture(scope="module")
def two_level_tree() -> tuple[Hierarchy, np.ndarray, np.ndarray]:
    z, labels = two_levels()
    _, tree, components = fitted(z)
    return tree, components, labels


@pytest.mark.parametrize("s", [1.0, 0.3, 0.01])
def test_gains_are_those_of_the_tempered_bound(s: float) -> None:
    chunks, view = surveyed()
    resp, prior = responsibilities(chunks, view.posterior), view.partition.prior

    def tempered(resp: Tensor) -> float:
        return oracles.responsibility_bound(
            chunks.z.numpy(), resp.numpy(), plain(prior.components)[0], prior.concentration, s
        )

    table = MergeTable(view.partition, view.shared)
    for (a, b), gain in zip(table.pairs().tolist(), table.gains(table.pairs(), s), strict=True):
        merged = resp.clone()
        merged[:, a] += merged[:, b]
        merged[:, b] = 0
        assert float(gain) == pytest.approx(tempered(merged) - tempered(resp), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("kind", [FullCovariance, TiedCovariance])
def test_each_merge_is_the_first_that_pays_as_n_eff_falls(kind: type) -> None:
    _, view = surveyed(kind, n_components=7)
    tree = merge_tree(view.partition, view.shared)
    table, node = MergeTable(view.partition, view.shared), list(range(7))
    for m, ((left, right), height) in enumerate(zip(tree.merges, tree.heights, strict=True)):
        earlier = tree.heights[m - 1] if m else 0.0
        just_before = height - 1e-3  # a height is found to 2e-4
        if just_before > earlier:
            assert table.gains(table.pairs(), math.exp(-just_before)).max() < 0
        a, b = sorted((node.index(left), node.index(right)))
        assert float(table.gains(torch.tensor([[a, b]]), math.exp(-height))) >= 0
        table.merge(a, b)
        node[a] = len(tree.leaves) + m


def test_the_linkage_is_one_that_scipy_draws(
    two_level_tree: tuple[Hierarchy, np.ndarray, np.ndarray],
) -> None:
    tree, *_ = two_level_tree
    assert is_valid_linkage(tree.linkage)
    assert is_monotonic(tree.linkage)
    assert tree.linkage[-1, 3] == len(tree.leaves)
    figure, axes = matplotlib.pyplot.subplots()
    drawn = dendrogram(tree.linkage, ax=axes)
    matplotlib.pyplot.close(figure)
    assert sorted(drawn["leaves"]) == list(range(len(tree.leaves)))


def test_two_levels_are_cut_where_they_lie(
    two_level_tree: tuple[Hierarchy, np.ndarray, np.ndarray],
) -> None:
    tree, components, labels = two_level_tree
    assert len(tree.leaves) == 9
    assert (tree.gap.n_clusters, tree.gap.clear) == (3, True)
    assert "3 clusters" in tree.gap.diagnosis
    clusters = tree.cut("auto")[components]
    assert oracles.accuracy_by_permutation(labels // 3, clusters) == 1
    middle = math.sqrt(tree.gap.n_eff_low * tree.gap.n_eff_high)
    assert tree.cut(n_eff=middle).tolist() == tree.cut("auto").tolist()
    assert tree.cut(n_clusters=3).tolist() == tree.cut("auto").tolist()
    assert tree.cut(n_eff=1e9).max() + 1 == 9
    assert tree.cut(n_eff=1e-9).max() + 1 == 1


def test_a_banana_of_several_gaussians_is_one_cluster() -> None:
    rng = np.random.default_rng(0)
    angle, side = np.pi * rng.uniform(size=1500), rng.integers(2, size=1500)
    rows = 4 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.4 * rng.normal(size=(1500, 2))
    rows[:, 0] += 60 * side
    _, tree, components = fitted(torch.from_numpy(rows))
    assert len(tree.leaves) > 4
    assert tree.gap.n_clusters == 2
    assert oracles.accuracy_by_permutation(side, tree.cut("auto")[components]) == 1


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_data_without_clusters_have_one(shape: str, dim: int) -> None:
    rows = getattr(np.random.default_rng(dim), shape)(size=(1500, dim))
    _, tree, _ = fitted(5 * torch.from_numpy(rows))
    assert tree.gap.n_clusters == 1
    assert "no cluster structure" in tree.gap.diagnosis
    assert set(tree.cut("auto")) == {0}


def chain(heights: list[float], n_rows: float = 1e5) -> Hierarchy:
    """Leaf after leaf joins the first, at given heights."""
    n = len(heights) + 1
    merges = [[0, 1], *[[m + 1, n + m - 1] for m in range(1, n - 1)]]
    counts = n_rows / n * np.linspace(0.5, 1.5, n)
    return Hierarchy(np.arange(n), counts, np.array(merges), np.array(heights), n, 6)


def test_even_heights_have_no_clear_gap() -> None:
    top = math.log(1e5 / (6 * math.log(6)))
    tree = chain(list(np.linspace(0, top, 30)[1:-1]))
    assert not tree.gap.clear
    assert "no clear number of clusters" in tree.gap.diagnosis
    assert "fewer rows" not in tree.gap.diagnosis


def test_one_cluster_counts_half_as_wide() -> None:
    """Down to F log F rows, where the tree ends, is 9.14 in height."""
    for height, n_clusters in ((3.2, 3), (2.9, 1)):
        assert chain([height, height]).gap.n_clusters == n_clusters


def test_a_grid_of_many_clusters_is_not_one() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(25, size=4000)
    rows = 7 * np.column_stack([labels // 5, labels % 5]) + rng.normal(size=(4000, 2))
    mixture = DirichletProcessGaussianMixture(coarsening="auto", random_state=0).fit(rows)
    assert (mixture.n_clusters_, mixture.hierarchy_.gap.clear) == (25, True)


def test_a_tree_of_fewer_rows_begins_with_what_paid_at_more() -> None:
    tree = chain([0.5, 1.0, 2.0, 4.0])
    begun = tree.begun_at(1e5 * math.exp(-1.5))
    assert begun.n_rows == pytest.approx(1e5 * math.exp(-1.5))
    np.testing.assert_allclose(begun.heights, [0, 0, 0.5, 2.5])
    for n_eff in (1e5 * math.exp(-height) for height in (1.5, 2.5, 5.0)):
        np.testing.assert_array_equal(begun.cut(n_eff=n_eff), tree.cut(n_eff=n_eff))
    same = tree.begun_at(2 * tree.n_rows)
    np.testing.assert_array_equal(same.heights, tree.heights)
    np.testing.assert_allclose(same.counts, tree.counts)


def test_a_clear_gap_begins_above_the_n_eff_that_was_trained_with() -> None:
    """Of four groups in two, far apart, the groups; where nothing was trained, the two."""
    tree = chain([0.1, 2.0, 2.2, 6.0])
    assert tree.gap.n_clusters == 2
    trained = replace(tree, trained_n_eff=1e5 * math.exp(-1.0))
    assert trained.gap.n_clusters == 4
    assert trained.gap.n_eff_low == pytest.approx(1e5 * math.exp(-2.0))  # it may end below
    assert set(trained.cut("auto")) == set(range(4))


def test_of_a_gap_counts_what_lies_above_the_n_eff_of_training() -> None:
    tree = chain([0.1, 2.0, 3.4, 5.5])
    for height, n_clusters in ((1.0, 4), (2.4, 4), (3.5, 4), (5.4, 2)):
        trained = replace(tree, trained_n_eff=1e5 * math.exp(-height))
        assert trained.gap.n_clusters == n_clusters
        assert trained.gap.diagnosis.startswith(f"{n_clusters} clusters")


def test_what_training_brought_apart_is_not_put_together_for_want_of_rows() -> None:
    """One cluster, in the end, lasts however few rows there are."""
    for height in (0.0, 0.3):
        trained = replace(chain([0.4, 0.5]), trained_n_eff=1e5 * math.exp(-height))
        assert (trained.gap.n_clusters, trained.gap.clear) == (3, False)
    assert chain([0.4, 0.5]).gap.n_clusters == 1


def test_where_no_gap_is_clear_the_n_eff_of_training_decides() -> None:
    tree = chain([0.5, 1.0, 1.6, 2.0, 2.5, 3.0, 9.0])
    trained = replace(tree, trained_n_eff=1e5 * math.exp(-1.2))
    assert tree.gap.n_clusters == 2
    assert trained.gap.n_clusters == 6 == tree.cut(n_eff=trained.trained_n_eff).max() + 1
    assert "that of the training" in trained.gap.diagnosis
    assert replace(tree, trained_n_eff=2e6).gap.n_clusters == 8  # more rows than there are


@pytest.mark.parametrize("are_kept", [False, True])
def test_a_training_with_fewer_rows_than_the_lower_end_keeps_its_clusters(are_kept: bool) -> None:
    assert 6 * math.log(6) > 5
    for last in (0.6, math.log(1e5 / 4)):
        tree = replace(chain([0.4, 0.5, last]), trained_n_eff=5.0, are_kept=are_kept)
        assert tree.gap.n_clusters == tree.cut(n_eff=5.0).max() + 1
        assert tree.gap.clear


def test_with_fewer_rows_than_the_lower_end_components_stay_clusters() -> None:
    few = chain([0.1, 0.2], n_rows=5.0)
    assert few.gap.n_clusters == 3
    assert not few.gap.clear
    assert "a component's 6 numbers" in few.gap.diagnosis


def test_the_ends_of_the_range_count_as_heights() -> None:
    one_each, one_in_all = chain([8.0, 8.1, 8.2]), chain([0.1, 0.2, 0.3])
    assert one_each.gap.n_clusters == 4
    assert one_each.gap.n_eff_high == pytest.approx(1e5)
    assert one_in_all.gap.n_clusters == 1
    assert one_in_all.gap.n_eff_low == pytest.approx(6 * math.log(6))
    beyond_the_end = chain([0.1, 5.0, 10.0, 11.0])
    assert beyond_the_end.gap.n_clusters == 4


def test_clusters_are_numbered_by_size_and_add_up() -> None:
    tree = chain([1.0, 2.0, 3.0])
    labels = tree.cut(n_clusters=2)
    sizes = np.bincount(labels, weights=tree.counts)
    assert sizes.argmax() == 0
    resp = np.random.default_rng(0).dirichlet(np.ones(4), size=7).astype(np.float32)
    pooled = pool(resp, labels)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled[:, 1], resp[:, labels == 1].sum(1), rtol=1e-6)
    np.testing.assert_allclose(pooled.sum(1), 1, rtol=1e-6)


def test_empty_components_are_no_leaves_and_go_with_the_largest() -> None:
    chunks, view = surveyed()
    order = torch.tensor([5, 1, 0, 6, 2, 3, 4])
    statistics = torch.cat([view.partition.statistics, torch.zeros(2, 6).double()])[order]
    columns = torch.cat([view.shared.responsibilities, torch.zeros(90, 2)[:, :2].double()], 1)
    tree = merge_tree(
        Partition(view.partition.prior, statistics, view.partition.entropy),
        SharedRows(columns[:, order], view.shared.weights),
    )
    straight = build_hierarchy(chunks, view.posterior)
    assert tree.leaves.tolist() == [1, 2, 4, 5, 6]
    np.testing.assert_allclose(tree.heights, straight.heights, rtol=1e-9)
    labels = tree.cut(n_clusters=3)
    largest = int(statistics[:, 0].argmax())
    assert labels[0] == labels[3] == labels[largest]
    assert tree.cut(n_clusters=3)[[2, 1, 4, 5, 6]].tolist() == straight.cut(n_clusters=3).tolist()


@pytest.mark.parametrize("n_eff", [90.0, 30.0, 12.0])
def test_a_cut_where_clusters_are_known_gives_them(n_eff: float) -> None:
    """Be they such as no merge of the bound's would make."""
    chunks, view = surveyed()
    labels = torch.tensor([0, 1, 0, 1, 2])
    tree = build_hierarchy(chunks, view.posterior, Clusters(labels, n_eff))
    assert is_valid_linkage(tree.linkage)
    assert is_monotonic(tree.linkage)
    for cut in (tree.cut(n_eff=n_eff), tree.cut(n_clusters=3)):
        assert len({*zip(cut.tolist(), labels.tolist(), strict=True)}) == len(set(cut)) == 3
    assert replace(tree, trained_n_eff=n_eff, are_kept=True).gap.n_clusters == 3


def test_clusters_that_the_bound_finds_too_change_nothing() -> None:
    chunks, view = surveyed()
    free = build_hierarchy(chunks, view.posterior)
    n_eff = float(free.n_rows * np.exp(-free.heights[1:3].mean()))
    known = Clusters(torch.from_numpy(free.cut(n_eff=n_eff)), n_eff)
    tree = build_hierarchy(chunks, view.posterior, known)
    np.testing.assert_array_equal(tree.merges, free.merges)
    np.testing.assert_allclose(tree.heights, free.heights, atol=1e-2)


def test_a_merge_that_never_pays_is_at_the_upper_end() -> None:
    z = torch.cat([torch.randn(50, 2), torch.randn(50, 2) + 1e4]).double()
    chunks = FeatureChunks(FullCovariance(2), z)
    resp = torch.eye(2).repeat_interleave(50, dim=0).double()
    prior = weak_prior(chunks.family)
    partition = Partition(prior, collect(chunks, resp), 0.0)
    tree = merge_tree(partition, SharedRows(resp[:0], torch.zeros(0).double()))
    assert tree.heights.tolist() == [pytest.approx(math.log(100))]


def test_one_component_is_a_tree_without_merges() -> None:
    chunks, view = surveyed(n_components=1)
    tree = build_hierarchy(chunks, view.posterior)
    assert tree.linkage.shape == (0, 4)
    assert tree.cut("auto").tolist() == tree.cut(n_clusters=1).tolist() == [0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"how": "x"},
        {"how": "auto", "n_clusters": 2},
        {"n_clusters": 0},
        {"n_clusters": 5},
        {"n_clusters": True},
        {"n_eff": 0.0},
        {"n_eff": math.nan},
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cut takes one of|n_clusters must|n_eff must"):
        chain([1.0, 2.0, 3.0]).cut(**options)
