"""What a run of the experiment leaves behind: the schema of a record and of a cell's bundle.

A *cell* is one row of the experiment at one latent dimension and one seed. It leaves

    cells/z10-seed0/vae+gmm/
        record.json     one `Record`: settings, scores by split, bound, cost, versions
        curves.csv      one line an epoch (only where a network was trained)
        bundle.npz      one `Bundle`: the arrays that figures are drawn from

and `records.jsonl` in the run's folder gathers every record. Everything that draws or
tabulates reads these files and nothing else, so a report can be made again, elsewhere and
later, without a model.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dimix.records.files import atomic_write

SCHEMA = 1
SCORES = ("acc", "nmi", "cs", "ari", "n_clusters", "n_effective")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One cell's settings, scores and cost.

    `scores` and `bound` are keyed by split ("train", "test"); a bound is in nats per sample.
    `seconds` is the time this cell itself took: the network's, if it trained one, and its
    own mixture's, but not that of a network it shares with another cell.
    """

    dataset: str
    row: str
    latent_dim: int
    seed: int
    epochs: int
    settings: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    bound: Mapping[str, float]
    seconds: float
    peak_memory_mb: float
    versions: Mapping[str, str]
    note: str = ""
    schema: int = SCHEMA

    @property
    def cell(self) -> str:
        """The cell's folder, relative to the run's."""
        return cell_path(self.row, self.latent_dim, self.seed)

    def same_result(self, other: "Record") -> bool:
        """Whether two runs agree in everything but what they cost."""
        cost = ("seconds", "peak_memory_mb")
        mine, theirs = asdict(self), asdict(other)
        return all(mine[f.name] == theirs[f.name] for f in fields(self) if f.name not in cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The arrays a cell's figures are drawn from; what a row does not have stays None.

    originals, reconstructions: [n, H, W] uint8, the same test images before and after.
    map_xy: [n, 2] float32, test latents in the PCA plane that all rows on the same network
        share; map_labels, map_clusters: [n] integers.
    samples: [C, 10, H, W] uint8, ten decoded draws from each component, heaviest first.
    weights: [T] float64, the mixture's expected weights in falling order.
    """

    originals: NDArray[np.uint8] | None = None
    reconstructions: NDArray[np.uint8] | None = None
    map_xy: NDArray[np.float32] | None = None
    map_labels: NDArray[np.integer[Any]] | None = None
    map_clusters: NDArray[np.integer[Any]] | None = None
    samples: NDArray[np.uint8] | None = None
    weights: NDArray[np.float64] | None = None

    def save(self, file: Path) -> None:
        """Write the arrays that are present, compressed."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        with atomic_write(file, "wb") as out:
            np.savez_compressed(out, **{k: v for k, v in arrays.items() if v is not None})

    @classmethod
    def load(cls, file: Path) -> "Bundle":
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            ValueError: it is damaged.
        """
        known = {f.name for f in fields(cls)}
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return cls(**{k: arrays[k] for k in arrays.files if k in known})
        except (EOFError, ValueError, BadZipFile) as error:
            raise _damaged(file, error) from None


@dataclass(frozen=True, slots=True)
class Cell:
    """A finished cell as read back from its folder."""

    record: Record
    bundle: Bundle
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def cell_path(row: str, latent_dim: int, seed: int) -> str:
    """A cell's folder, relative to its run's."""
    return f"cells/z{latent_dim}-seed{seed}/{row}"


def write_record(record: Record, folder: Path) -> None:
    """Write record.json into a cell's folder."""
    with atomic_write(folder / "record.json") as out:
        json.dump(asdict(record), out, indent=1, sort_keys=True)


def read_record(file: Path) -> Record:
    """Read a record.json.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return Record(**json.loads(file.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{file} is damaged: {error}; delete {file.parent} to have the cell run again"
    )


def write_curves(rows: Sequence[Mapping[str, float]], file: Path) -> None:
    """One line an epoch; the columns are those of the rows, in their order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(file) as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)


def read_curves(file: Path) -> dict[str, NDArray[np.float64]]:
    """Columns by name; an empty field is NaN."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = list(rows[0]) if rows else []
    return {k: np.array([float(row[k]) if row[k] else np.nan for row in rows]) for k in names}


def read_cell(folder: Path) -> Cell:
    """Read a finished cell's folder; a missing bundle or curves file is an empty one."""
    bundle, curves = folder / "bundle.npz", folder / "curves.csv"
    return Cell(
        read_record(folder / "record.json"),
        Bundle.load(bundle) if bundle.exists() else Bundle(),
        read_curves(curves) if curves.exists() else {},
    )


def read_run(out: Path) -> list[Cell]:
    """Every finished cell under a run's folder, in a fixed order."""
    cells = [read_cell(file.parent) for file in out.glob("cells/*/*/record.json")]
    return sorted(cells, key=lambda c: (c.record.latent_dim, c.record.seed, c.record.row))


def write_records(records: Iterable[Record], file: Path) -> None:
    """Gather records into one file, a JSON object a line."""
    with atomic_write(file) as out:
        out.writelines(json.dumps(asdict(record), sort_keys=True) + "\n" for record in records)
