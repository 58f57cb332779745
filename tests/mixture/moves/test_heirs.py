"""Heirs: two components are merged if the rows of each would go to the other."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dimix.mixture import FeatureChunks, FullCovariance, collect, fit_batch, update
from dimix.mixture.moves.heirs import Heirs
from dimix.mixture.moves.merging import MergeTable, merge_all
from dimix.mixture.moves.partition import Survey, survey
from dimix.mixture.moves.search import improve
from mixture_cases import blobs, make_prior, random_start
from move_cases import weak_prior

FAMILY = FullCovariance(2)
COUNTS = [400, 10, 400, 10]
"""Rows of a large cluster, a small one beside it, and the same once more, far away."""
CENTRES = torch.tensor([[-9.0, 0.0], [-3.5, 0.0], [9.0, 0.0], [3.5, 0.0]]).double()
SMALL = (1, 3)


def seen(n: int = 200, n_components: int = 8) -> tuple[FeatureChunks, Survey]:
    """Overlapping components of weighted rows, one of them empty."""
    weights = torch.rand(n, generator=torch.Generator().manual_seed(0)).double() + 0.5
    chunks = FeatureChunks(FAMILY, blobs(n, 2), weights=weights, chunk_bytes=17 * 8 * 6)
    start = random_start(chunks, make_prior(FAMILY), n_components)
    start = fit_batch(chunks, start, tol=0, max_iter=4).posterior
    statistics = survey(chunks, start).partition.statistics
    statistics[3] = 0
    return chunks, survey(chunks, update(start.prior, statistics))


def small_beside_large() -> tuple[FeatureChunks, Tensor]:
    """Rows, each of which counts little, and S of the four clusters."""
    labels = torch.arange(4).repeat_interleave(torch.tensor(COUNTS))
    noise = np.random.default_rng(0).normal(size=(len(labels), 2))
    z = CENTRES[labels] + 0.7 * torch.from_numpy(noise)
    weights = torch.full((len(z),), 0.05).double()
    chunks = FeatureChunks(FAMILY, z, weights=weights)
    return chunks, collect(chunks, torch.nn.functional.one_hot(labels).double())


def pairs_of(table: MergeTable) -> list[list[int]]:
    return table.pairs()[table.allowed(table.pairs())].tolist()


def test_the_heir_has_the_second_largest_part_of_most_rows() -> None:
    chunks, view = seen()
    phi = torch.cat([phi for _, phi in chunks])
    logits = view.posterior.logits(phi)
    logits[:, view.partition.counts == 0] = -torch.inf
    rows = torch.zeros(8, 8, dtype=torch.float64)
    for row, weight in zip(logits, chunks.weights, strict=True):
        first, second = row.argsort(descending=True)[:2].tolist()
        rows[first, second] += weight
    heirs = {k: int(rows[k].argmax()) for k in range(8) if rows[k].any()}
    pairs = MergeTable(view.partition, view.shared).pairs()
    expected = [heirs.get(a) == b and heirs.get(b) == a for a, b in pairs.tolist()]
    assert Heirs.of(chunks, view).mutual(pairs).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_after_a_merger_rows_go_to_neither_part_alone() -> None:
    heirs = Heirs(torch.tensor([[0, 5, 6, 2], [9, 0, 1, 0], [3, 4, 0, 6], [1, 1, 3, 0]]).double())
    pairs = torch.combinations(torch.arange(4), 2)
    assert pairs[heirs.mutual(pairs)].tolist() == [[2, 3]]
    heirs.merge(0, 1)
    # Of the rows of 2, 0 and 1 would get 7 together, more than 3 would.
    pairs = torch.tensor([[0, 2], [0, 3], [2, 3]])
    assert pairs[heirs.mutual(pairs)].tolist() == [[0, 2]]


def test_a_component_that_is_the_largest_in_no_row_has_no_heir() -> None:
    heirs = Heirs(torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).double())
    assert not heirs.mutual(torch.combinations(torch.arange(3), 2)).any()


def test_one_component_alone_has_no_heir() -> None:
    chunks, _ = small_beside_large()
    whole = collect(chunks, torch.ones(len(chunks), 1).double())
    view = survey(chunks, update(weak_prior(FAMILY), whole))
    table = MergeTable(view.partition, view.shared, Heirs.of(chunks, view))
    assert pairs_of(table) == []


def test_each_merger_is_the_best_of_those_with_heirs() -> None:
    chunks, view = seen()
    made = list[list[int]]()
    table = MergeTable(view.partition, view.shared, Heirs.of(chunks, view))
    merge_all(table, lambda a, b, _: made.append([a, b]))
    table = MergeTable(view.partition, view.shared, Heirs.of(chunks, view))
    for a, b in made:
        pairs = table.pairs()
        gains = table.gains(pairs).masked_fill(~table.allowed(pairs), -torch.inf)
        assert pairs[gains.argmax()].tolist() == [a, b]
        table.merge(a, b)
    assert made
    left = table.gains(table.pairs())[table.allowed(table.pairs())]
    assert not (left > 0).any()


@pytest.mark.parametrize("only_heirs", [False, True])
def test_small_components_beside_large_ones_are_not_merged_with_each_other(
    only_heirs: bool,
) -> None:
    chunks, statistics = small_beside_large()
    start = update(weak_prior(FAMILY), statistics)
    rng = np.random.RandomState(0)
    found = improve(chunks, start, rng, moves=["merge"], only_heirs=only_heirs, max_iter=0)
    assert (SMALL in [move.components for move in found.moves]) != only_heirs
