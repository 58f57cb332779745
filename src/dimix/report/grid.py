"""Which rows, latent dimensions and seeds a run holds, in the order that a reader expects."""

from collections.abc import Iterable, Sequence

from dimix.records import Cell, Record

ROWS = (
    "vae",
    "vae+kmeans",
    "vae+gmm",
    "vae+dpgmm",
    "vae+dpgmm-50",
    "gmvae",
    "gmvae+dpgmm",
    "gmvae+dpgmm-50",
    "algorithm1-soft",
    "algorithm1-hard",
    "algorithm1-pretrained",
    "infinite",
    "infinite-k10",
)
"""The paper's Table 1 in order, then ours; a row that is not listed comes after these, by name."""


def rank(row: str) -> tuple[int, str]:
    """Sorting key of a row's name."""
    return (ROWS.index(row) if row in ROWS else len(ROWS), row)


def network_of(row: str) -> str:
    """The network whose latents the row clusters.

    >>> network_of("vae+dpgmm-50")
    'vae'
    """
    return row.partition("+")[0]


def in_order(cells: Iterable[Cell]) -> list[Cell]:
    """Cells by latent dimension, then seed, then row."""
    return sorted(cells, key=lambda c: (c.record.latent_dim, c.record.seed, rank(c.record.row)))


def rows_of(records: Iterable[Record]) -> list[str]:
    """Every row's name once, in order."""
    return sorted({r.row for r in records}, key=rank)


def latent_dims_of(records: Iterable[Record]) -> list[int]:
    """Every latent dimension once, smallest first."""
    return sorted({r.latent_dim for r in records})


def select(records: Iterable[Record], row: str, latent_dim: int) -> list[Record]:
    """One row's records at one latent dimension: a record a seed."""
    return [r for r in records if (r.row, r.latent_dim) == (row, latent_dim)]


def lowest_seed(cells: Sequence[Cell], latent_dim: int) -> list[Cell]:
    """The cells that stand for a latent dimension in the figures: those of its lowest seed."""
    here = [c for c in cells if c.record.latent_dim == latent_dim]
    seed = min(c.record.seed for c in here)
    return in_order(c for c in here if c.record.seed == seed)
