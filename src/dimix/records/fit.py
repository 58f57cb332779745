"""What a fitted model leaves behind for its report: the schema of a fit's bundle.

A bundle is two files in the fit's folder, arrays and the rest:

    fit.npz     the arrays, compressed
    fit.json    texts and numbers, and the SHA-256 of fit.npz

Reading executes nothing, and checks that the two belong together and fit each other.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float32, Float64, Int64, Num, UInt8, UInt16

from dimix.records.files import atomic_write

ARRAYS, TEXTS = "fit.npz", "fit.json"
SCHEMA = 1


class Move(NamedTuple):
    """A move that training kept: its epoch, components after it, gain in nats."""

    epoch: int
    kind: str
    n_components: int
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitBundle:
    """One fitted model, by n of its data's points and its K components.

    The points:
        map_xy: their places on the map, and `map_name` what its two directions are.
        rows: their row numbers in the data, of which there are `n_rows`.
        components, probabilities: the m most probable components of each, falling.
        distance: how far each lies from its component's mean, in standard deviations.
        names: a text for each, a file name for one; empty if there are none.
        labels, label_names: what each is known to be, if it is known; -1 is unknown.
        columns, column_names: values to show, and colour by; NaN is missing.
        thumbnails, thumbnail_points: images [t, h, w(, 3)] of the points of these indices.

    The components:
        sizes: how many rows each stands for: with a tree, of the data it was fitted to.
        linkage: scipy's merge tree over them, heights log(N / N_eff), where N is the sum of
            the sizes; None without a tree, when every component is a cluster.
        n_clusters: where the model's own cut is; auto_clusters and auto_note: the tree's widest
            gap, and what it says about it in words.
        samples: s draws from each, images [K, s, h, w(, 3)] or rows of columns [K, s, p].

    The model:
        originals, reconstructions: images [r, h, w(, 3)] or rows of columns [r, p], before and
            after.
        history: columns by name, a number an epoch; "epoch" is one of them.
        moves: of components, in order.
        settings, versions, notes: as they shall be read.
    """

    title: str
    n_rows: int
    map_xy: Float32[np.ndarray, "n 2"]
    map_name: str
    rows: Int64[np.ndarray, " n"]
    components: UInt16[np.ndarray, "n m"]
    probabilities: Float32[np.ndarray, "n m"]
    distance: Float32[np.ndarray, " n"]
    sizes: Float64[np.ndarray, " K"]
    n_clusters: int
    linkage: Float64[np.ndarray, "M 4"] | None = None
    auto_clusters: int | None = None
    auto_note: str = ""
    names: tuple[str, ...] = ()
    labels: Int64[np.ndarray, " n"] | None = None
    label_names: tuple[str, ...] = ()
    columns: Float32[np.ndarray, "n p"] | None = None
    column_names: tuple[str, ...] = ()
    thumbnails: UInt8[np.ndarray, "t *hw"] | None = None
    thumbnail_points: Int64[np.ndarray, " t"] | None = None
    samples: Num[np.ndarray, "K s *shape"] | None = None
    originals: Num[np.ndarray, "r *shape"] | None = None
    reconstructions: Num[np.ndarray, "r *shape"] | None = None
    history: Mapping[str, Float64[np.ndarray, " E"]] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit each other.

        Raises:
            ValueError: they do not; the message names the part.
        """
        for name, found, expected in self._lengths():
            if found != expected:
                raise ValueError(f"{name} must have length {expected}, found {found}")
        for name, numbers, end in self._indices():
            if numbers.size and not (numbers.min() >= -(name == "labels") and numbers.max() < end):
                raise ValueError(f"{name} must lie in 0..{end - 1}, found others")

    def _lengths(self) -> Iterator[tuple[str, int, int]]:
        n, k = len(self.map_xy), len(self.sizes)
        for name in ("rows", "components", "probabilities", "distance", "labels", "columns"):
            value = getattr(self, name)
            yield name, n if value is None else len(value), n
        yield "names", len(self.names) or n, n
        yield "linkage", k - 1 if self.linkage is None else len(self.linkage), k - 1
        yield "samples", k if self.samples is None else len(self.samples), k
        yield "column_names", len(self.column_names), _width(self.columns)
        yield "thumbnail_points", _length(self.thumbnail_points), _length(self.thumbnails)
        yield "reconstructions", _length(self.reconstructions), _length(self.originals)

    def _indices(self) -> Iterator[tuple[str, Num[np.ndarray, "..."], int]]:
        n, k = len(self.map_xy), len(self.sizes)
        yield "components", self.components, k
        if self.labels is not None:
            yield "labels", self.labels, len(self.label_names)
        if self.thumbnail_points is not None:
            yield "thumbnail_points", self.thumbnail_points, n
        if self.linkage is not None:  # a merge joins what there was before it
            ahead = self.linkage[:, :2] - np.arange(k - 1)[:, None]
            yield "linkage", np.where(self.linkage[:, :2] < 0, -1, np.maximum(ahead, 0)), k

    def save(self, folder: Path) -> None:
        """Write the bundle into a folder, which is made if there is none."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "history"}
        arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        arrays |= {f"history/{name}": column for name, column in self.history.items()}
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]  # only arrays are in it
        with atomic_write(folder / ARRAYS, "wb") as out:
            out.write(packed.getbuffer())
        texts = {k: v for k, v in values.items() if k not in arrays and v is not None}
        texts |= {"schema": SCHEMA, "sha256": hashlib.sha256(packed.getbuffer()).hexdigest()}
        with atomic_write(folder / TEXTS) as out:
            json.dump(texts, out, indent=1, sort_keys=True)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: the folder holds no bundle.
            ValueError: its files are of another schema, or do not belong together.
        """
        texts = json.loads((folder / TEXTS).read_text("utf-8"))
        packed = (folder / ARRAYS).read_bytes()
        if texts.pop("schema", None) != SCHEMA:
            raise ValueError(f"{folder / TEXTS}: 'schema' must be {SCHEMA}")
        if texts.pop("sha256", None) != hashlib.sha256(packed).hexdigest():
            raise ValueError(f"{folder / ARRAYS} is not the file that {TEXTS} was written with")
        with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        history = {k.partition("/")[2]: arrays.pop(k) for k in list(arrays) if "/" in k}
        for name in ("names", "label_names", "column_names", "notes"):
            texts[name] = tuple(texts[name])
        moves = tuple(Move(*move) for move in texts.pop("moves"))
        return cls(**texts, **arrays, history=history, moves=moves)


def _length(values: Num[np.ndarray, "..."] | None) -> int:
    return 0 if values is None else len(values)


def _width(values: Num[np.ndarray, "n p"] | None) -> int:
    return 0 if values is None else values.shape[1]
