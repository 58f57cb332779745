"""Fragments of clusters: found by the neighbours in the data, where these tell of clusters."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dimix.estimators import fragments
from dimix.estimators.fragments import FEWEST, joined_fragments


def blobs(*sizes: int, apart: float = 20.0) -> tuple[Tensor, Tensor]:
    """Rows of standard normals around points of a line, and which of them each is of."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    x = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0))
    x[:, 0] += apart * labels
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    return x[order], labels[order]


def with_part(labels: Tensor, of: int, n_rows: int) -> Tensor:
    """The first rows of a cluster as another one."""
    parted = labels.clone()
    parted[(labels == of).nonzero()[:n_rows, 0]] = int(labels.max()) + 1
    return parted


def test_a_part_of_a_cluster_is_joined_to_it() -> None:
    x, labels = blobs(400, 300, 200)
    parted = with_part(labels, 1, 60)
    assert joined_fragments(x, parted, 4).tolist() == [0, 1, 2, 1]


def test_several_parts_of_one_cluster_are_all_joined_to_it() -> None:
    x, labels = blobs(400, 300, 400)
    parted = with_part(with_part(labels, 2, 60), 2, 60)
    assert joined_fragments(x, parted, 5).tolist() == [0, 1, 2, 2, 2]


def test_a_small_cluster_that_lies_apart_stays_and_so_do_components_without_rows() -> None:
    x, labels = blobs(400, 400, FEWEST)
    assert joined_fragments(x, labels, 5).tolist() == [0, 1, 2, 3, 4]


def test_too_few_rows_to_be_neighbours_are_left_where_they_are() -> None:
    x, labels = blobs(400, 300)
    assert joined_fragments(x, with_part(labels, 0, FEWEST - 1), 3).tolist() == [0, 1, 2]
    assert joined_fragments(x[:1], labels[:1], 2).tolist() == [0, 1]


def test_where_all_clusters_overlap_in_the_data_none_is_joined() -> None:
    x, labels = blobs(300, 300, 300, 300, apart=0.5)
    assert joined_fragments(x, labels, 4).tolist() == [0, 1, 2, 3]


@given(seed=st.integers(0, 99))
def test_names_of_clusters_and_the_order_of_rows_do_not_matter(seed: int) -> None:
    x, labels = blobs(200, 150, 150)
    parted = with_part(labels, 0, 50)
    generator = torch.Generator().manual_seed(seed)
    names, order = torch.randperm(4, generator=generator), torch.randperm(500, generator=generator)
    renamed = joined_fragments(x[order], names[parted[order]], 4)
    plain = joined_fragments(x, parted, 4)
    assert torch.equal(renamed[names[3]], names[plain[3]])


@pytest.mark.parametrize(
    ("name", "enough", "too_few"), [("AMONG", 300, 60), ("MOST_NUMBERS", 900, 180)]
)
def test_of_many_rows_some_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, name: str, enough: int, too_few: int
) -> None:
    x, labels = blobs(400, 300, 300)
    parted = with_part(labels, 1, 150)
    monkeypatch.setattr(fragments, name, enough)
    assert joined_fragments(x, parted, 4).tolist() in ([0, 1, 2, 1], [0, 3, 2, 3])
    monkeypatch.setattr(fragments, name, too_few)
    assert joined_fragments(x, parted, 4).tolist() == [0, 1, 2, 3]
