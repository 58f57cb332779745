"""Rows that do not fit in memory: passed over block after block, as often as asked.

``blocks_of`` turns whatever holds the rows (an array, a memory map, a file, a callable that
returns an iterator) into ``Blocks``, which check each block as it comes. Only one block is in
memory at a time.
"""

import importlib
import math
import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import ArrayLike, NDArray

from dimix.mixture.inference.distributed import over_ranks

BLOCK_BYTES = 8 * 2**20

BlockSource = ArrayLike | str | Path | Callable[[], Iterable[ArrayLike]]
"""An array or memory map, the path of a .npy or .parquet file, or what yields arrays [n, D]."""

LARGEST = float(np.finfo(np.float64).max)
"""Sums of squares beyond this are infinite."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows of one data set, in blocks [n, D]; every iteration is a pass from the beginning.

    Each block is checked when it is read, and comes as float32 or float64. The error for a block
    that is not a finite numeric matrix as wide as the first names the block and its fault.
    ``columns`` are the names of the columns, where they have any.
    """

    read: Callable[[], Iterable[ArrayLike]]
    name: str
    columns: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[Float[np.ndarray, "n D"]]:
        """The blocks of one pass."""
        width = None
        for index, block in enumerate(self.read()):
            checked = _checked(block, width, f"block {index} of {self.name}")
            width = checked.shape[1]
            if len(checked) > 0:
                yield checked
        if width is None:
            raise ValueError(
                f"{self.name} yielded no block: if this is not its first pass, the callable must "
                "return a new iterator each time it is called"
            )


def blocks_of(
    source: BlockSource | Blocks | Iterator[ArrayLike], rows_per_block: int | None = None
) -> Blocks:
    """``source`` as blocks, without loading it.

    ``rows_per_block`` is for arrays and files; None is as many as fill ``BLOCK_BYTES``. What a
    callable yields is taken as it comes.
    """
    if isinstance(source, Blocks):
        return source
    if isinstance(source, str | Path):
        return _of_file(Path(source), rows_per_block)
    if callable(source):
        return Blocks(source, "the block source")
    if isinstance(source, Iterator):
        raise ValueError(
            "a block source is passed over more than once, which an iterator cannot be: give a "
            "callable that returns a new iterator each time"
        )
    return _of_array(np.asanyarray(source), rows_per_block, "the array")


def frames_of(blocks: Blocks) -> Iterator[Any]:
    """The blocks of one pass, as data frames where the columns have names."""
    if blocks.columns is None:
        yield from blocks
        return
    pandas = importlib.import_module("pandas")
    for block in blocks:
        yield pandas.DataFrame(block, columns=list(blocks.columns))


def is_read_in_blocks(source: Any) -> bool:
    """Whether a fit is to read ``source`` block after block: it is no array in memory."""
    kinds = (str, Path, Blocks, Iterator)
    return isinstance(source, kinds) or callable(source) or _is_mapped(source)


def _is_mapped(source: Any) -> TypeGuard[np.memmap[Any, Any]]:
    """Whether it is an array in a file; copies of one keep its type, and lie in memory."""
    return isinstance(source, np.memmap) and getattr(source, "_mmap", None) is not None


def check_range(rows: Float[np.ndarray, "n D"], n_rows: float, name: str) -> None:
    """Raise unless squares of numbers as large as those in ``rows``, over n_rows, can be summed."""
    largest = max(float(np.nanmax(rows)), -float(np.nanmin(rows)))
    allowed = math.sqrt(LARGEST / (max(n_rows, 1.0) * rows.shape[1]))
    if largest > allowed:
        raise ValueError(
            f"the largest absolute value in {name} must be below {allowed:.3g}, beyond which sums "
            f"of squares overflow, got {largest:.3g}: rescale the columns"
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and covariance (over N - 1) of the rows."""

    count: int
    mean: Float64[np.ndarray, " D"]
    covariance: Float64[np.ndarray, "D D"]


def stream_moments(blocks: Iterable[Float[np.ndarray, "_ D"]], name: str = "the blocks") -> Moments:
    """Moments of all rows (of all ranks) in one pass, stable however far the data lie from 0.

    ``name`` is what the error for too few rows calls them.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances (1979).
    """
    count, mean, scatter = 0, np.zeros(1), np.zeros((1, 1))
    for block in blocks:
        block_mean = block.mean(axis=0, dtype=np.float64)
        centred = block - block_mean
        shift = block_mean - mean
        total = count + len(block)
        scatter = scatter + centred.T @ centred
        scatter += count * len(block) / total * np.outer(shift, shift)
        count, mean = total, mean + len(block) / total * shift
    return _of_all_ranks(count, mean, scatter, name)


def _of_all_ranks(
    count: int, mean: Float64[np.ndarray, " D"], scatter: Float64[np.ndarray, "D D"], name: str
) -> Moments:
    total = int(over_ranks(np.array(float(count))))
    if total < 2:
        raise ValueError(f"a covariance needs two rows or more, got {total} in {name}")
    overall = over_ranks(count * mean) / total
    shift = mean - overall
    scatter = over_ranks(scatter + count * np.outer(shift, shift))
    return Moments(total, overall, scatter / (total - 1))


def _checked(block: ArrayLike, width: int | None, name: str) -> Float[np.ndarray, "n D"]:
    rows = np.asarray(block)
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be a matrix of numbers [rows, columns], "
            f"got shape {rows.shape} of dtype {rows.dtype}"
        )
    if width is not None and rows.shape[1] != width:
        raise ValueError(f"{name} must have {width} columns, as block 0 has, got {rows.shape[1]}")
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float64)
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
        found = rows[row, column]
        raise ValueError(f"{name} must be finite, got {found} in its row {row}, column {column}")
    return rows


def _of_array(array: NDArray[Any], rows_per_block: int | None, name: str) -> Blocks:
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be a matrix [rows, columns] with rows, got {array.shape}")
    step = rows_per_block or _rows_of(array.shape[1] * array.itemsize)

    def read() -> Iterator[NDArray[Any]]:
        for start in range(0, len(array), step):
            _check_length(array, name)
            yield array[start : start + step]
            _forget_pages(array)

    return Blocks(read, name)


def _rows_of(row_bytes: int) -> int:
    return max(1, BLOCK_BYTES // row_bytes)


def _mapping(array: np.memmap[Any, Any]) -> mmap.mmap:
    """The file mapping that a memory map, or the one it is a view of, lies in."""
    base: Any = array
    while not isinstance(base, mmap.mmap):
        base = base.base
    return base


def _check_length(array: NDArray[Any], name: str) -> None:
    """Raise if a mapped file has been cut short: to touch what is missing ends the process."""
    if not _is_mapped(array):
        return
    mapping = _mapping(array)
    start = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    needed, found = start + len(mapping), mapping.size()
    if found < needed:
        raise ValueError(f"{name} must hold {needed} bytes, but its file was cut to {found}")


def _forget_pages(array: NDArray[Any]) -> None:
    """Hand mapped pages back, which count as this process's memory once they are read."""
    if _is_mapped(array) and array.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        _mapping(array).madvise(mmap.MADV_DONTNEED)


def _of_file(path: Path, rows_per_block: int | None) -> Blocks:
    if not path.is_file():
        raise ValueError(f"{path} must be a file: there is none of that name")
    if path.suffix == ".npy":
        return _of_array(_mapped(path), rows_per_block, str(path))
    if path.suffix in (".parquet", ".pq"):
        return _of_parquet(path, rows_per_block)
    raise ValueError(f"{path} must end in .npy, .parquet or .pq")


def _mapped(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read_header(file)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} is not an .npy file of numbers: {error}") from error
        offset = file.tell()
    needed = offset + int(np.prod(shape)) * dtype.itemsize
    if path.stat().st_size < needed:
        raise ValueError(
            f"{path} must hold {needed} bytes for the shape {shape} in its header, "
            f"it has only {path.stat().st_size}"
        )
    if dtype.hasobject or len(shape) != 2:
        raise ValueError(f"{path} must hold a matrix of numbers, got shape {shape}, dtype {dtype}")
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _of_parquet(path: Path, rows_per_block: int | None) -> Blocks:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError('reading parquet files needs pyarrow: pip install "dimix[io]"') from error

    @contextmanager
    def opened() -> Iterator[Any]:
        try:
            with parquet.ParquetFile(path) as file:
                yield file
        except (arrow.ArrowException, OSError) as error:
            raise ValueError(f"{path} cannot be read as a parquet file: {error}") from error

    with opened() as file:
        names = _columns_of(file.schema_arrow)
        kinds = {name: file.schema_arrow.field(name).type for name in names}
    for name, kind in kinds.items():
        if arrow.types.is_temporal(kind):
            raise ValueError(f"{path} must hold numbers; found {kind} in its column {name!r}")

    def read() -> Iterator[NDArray[Any]]:
        with opened() as file:
            step = rows_per_block or _rows_of(8 * len(names))
            for batch in file.iter_batches(step, columns=names, use_threads=False):
                columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
                yield np.column_stack(columns)

    return Blocks(read, str(path), tuple(names))


def _columns_of(schema: Any) -> list[str]:
    """The names of the columns in a parquet file, but for an index that pandas wrote."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]
