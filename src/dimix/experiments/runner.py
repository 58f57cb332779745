"""The grid: rows × latent dimensions × seeds, cell by cell, resumed wherever it stopped."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from dimix.experiments.cells import mixture_outcome, network_outcome, versions
from dimix.experiments.cost import Cost, measured
from dimix.experiments.networks import TrainedNetwork, Workshop
from dimix.experiments.problem import load_problem
from dimix.experiments.rows import NetworkName, Row
from dimix.records import (
    Record,
    atomic_write,
    cell_path,
    read_json,
    write_curves,
    write_record,
)
from dimix.training import Device, Ranks, check_device

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row at one latent dimension and seed."""

    row: Row
    latent_dim: int
    seed: int

    def folder(self, out: Path) -> Path:
        """Where the cell's record, curves and bundle are."""
        return out / cell_path(self.row.name, self.latent_dim, self.seed)


@dataclass(frozen=True)
class Grid:
    """What to run and where; device: what the networks are trained on."""

    dataset: str
    data_dir: Path | None
    rows: list[Row]
    latent_dims: list[int]
    seeds: list[int]
    epochs: int
    out: Path
    device: Device = "cpu"

    def __post_init__(self) -> None:
        check_device(self.device)

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order that they are run."""
        for seed in self.seeds:
            for latent_dim in self.latent_dims:
                yield from (Cell(row, latent_dim, seed) for row in self.rows)

    def missing(self) -> list[Cell]:
        """Cells without a record."""
        return [c for c in self.cells() if not (c.folder(self.out) / "record.json").exists()]

    def networks(self) -> list[tuple[NetworkName, int, int]]:
        """(network, latent_dim, seed) that the missing cells need, each once."""
        return list(dict.fromkeys((c.row.network, c.latent_dim, c.seed) for c in self.missing()))


def reproduce(grid: Grid, announce: Callable[[Record], None]) -> None:
    """Run every missing cell; `announce` is called with each record as it is written.

    Raises:
        ValueError: the output folder holds a run of another data set, number of epochs or device;
            nothing is written then, nor where there is no such data set.
    """
    check_folder(grid)
    problem = lru_cache(1)(partial(load_problem, grid.dataset, grid.data_dir))
    for cell in grid.missing()[:1]:
        problem(cell.seed)
    claim(grid)

    @lru_cache(1)
    def network(name: NetworkName, latent_dim: int, seed: int) -> TrainedNetwork:
        folder = grid.out / "networks" / f"z{latent_dim}-seed{seed}"
        workshop = Workshop(problem(seed), folder, latent_dim, seed, grid.epochs, grid.device)
        return workshop.network(name)

    for cell in grid.missing():
        with measured() as cost:
            trained = network(cell.row.network, cell.latent_dim, cell.seed)
        announce(run_cell(grid, cell, trained, cost))


def run_cell(grid: Grid, cell: Cell, network: TrainedNetwork, training: Cost) -> Record:
    """Cluster, score, write curves and bundle, and the record last: it marks the cell done."""
    folder = cell.folder(grid.out)
    own_network = cell.row.mixture is None
    with measured() as cost:
        if own_network:
            outcome = network_outcome(network, cell.seed)
        else:
            outcome = mixture_outcome(cell.row, network, cell.seed)
    if own_network:
        write_curves(network.estimator.history_, folder / "curves.csv")
    outcome.full_bundle(network, cell.seed).save(folder / "bundle.npz")
    record = Record(
        dataset=grid.dataset,
        row=cell.row.name,
        latent_dim=cell.latent_dim,
        seed=cell.seed,
        epochs=grid.epochs,
        settings=outcome.settings,
        scores=outcome.scores(network.problem),
        bound=outcome.bound,
        seconds=cost.seconds + own_network * network.seconds,
        peak_memory_mb=max(cost.peak_memory_mb, own_network * training.peak_memory_mb),
        versions=versions(grid.device),
        note="; ".join(filter(None, (network.note, outcome.note))),
    )
    write_record(record, folder)
    return record


def identity(grid: Grid) -> dict[str, str | int]:
    """What all cells in an output folder share."""
    shared: dict[str, str | int] = {"dataset": grid.dataset, "epochs": grid.epochs}
    if (accelerator := Ranks(grid.device).accelerator) != "cpu":
        shared["device"] = accelerator
    return shared


def check_folder(grid: Grid) -> None:
    """Check that the output folder is this run's, or nobody's yet.

    Raises:
        ValueError: it holds another run, or its run.json is damaged.
    """
    file, mine = grid.out / RUN_FILE, identity(grid)
    if file.exists() and (found := read_json(file)) != mine:
        raise ValueError(
            f"out={grid.out} holds a run of {found}; this one is {mine}: "
            "choose another folder, or the same data set, epochs and device to go on with it"
        )


def claim(grid: Grid) -> None:
    """Mark the output folder as this run's, or check that it is."""
    check_folder(grid)
    if not (file := grid.out / RUN_FILE).exists():
        with atomic_write(file) as out:
            json.dump(identity(grid), out)
