"""Results as files, a block at a time: beside the file first, so that it appears whole or not.

.csv, .parquet   named columns
.npy             one array, the rows of all blocks

Memory does not grow with the number of blocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from jaxtyping import Shaped

from dimix.records import atomic_write

Columns = Mapping[str, Shaped[np.ndarray, "..."] | Sequence[str]]
"""Values by name, one a row."""


def free(name: str, taken: Columns) -> str:
    """A name for a column of ours that no column of the data has."""
    while name in taken:
        name += "_"
    return name


class Sink(Protocol):
    """What takes blocks of rows."""

    def write(self, block: Columns) -> None:
        """Add rows; every block has the same columns."""

    def close(self) -> None:
        """Write what comes at the end."""


class CsvSink:
    """A text table; what is not a number is empty."""

    def __init__(self, out: IO[Any]) -> None:
        self.out, self.header = out, True

    def write(self, block: Columns) -> None:
        """Add rows."""
        import pandas

        pandas.DataFrame(dict(block)).to_csv(
            self.out, index=False, header=self.header, lineterminator="\n", mode="wb"
        )
        self.header = False

    def close(self) -> None:
        """Nothing comes at the end."""


class ParquetSink:
    """A parquet table, a row group a block."""

    def __init__(self, out: IO[Any]) -> None:
        self.out = out
        self.writer: Any = None

    def write(self, block: Columns) -> None:
        """Add rows."""
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        table = arrow.table({k: arrow.array(v, from_pandas=True) for k, v in block.items()})
        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.out, table.schema)
        self.writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        if self.writer is not None:
            self.writer.close()


class NpySink:
    """One array, the only column; the header is written again when the rows are counted."""

    def __init__(self, out: IO[Any]) -> None:
        self.out, self.n_rows = out, 0
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.float32)

    def write(self, block: Columns) -> None:
        """Add rows."""
        rows = np.ascontiguousarray(next(iter(block.values())))
        if self.n_rows == 0:
            self.shape, self.dtype = rows.shape[1:], rows.dtype
            self._header()
        self.n_rows += len(rows)
        self.out.write(rows.data)

    def close(self) -> None:
        """Write the header with the number of rows; NumPy leaves room for it to grow."""
        self.out.seek(0)
        self._header()

    def _header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self.dtype)
        about = {"descr": descr, "fortran_order": False, "shape": (self.n_rows, *self.shape)}
        np.lib.format.write_array_header_1_0(self.out, about)


Make = Callable[[IO[Any]], Sink]
TABLES: Mapping[str, Make] = {".csv": CsvSink, ".parquet": ParquetSink}
ARRAYS: Mapping[str, Make] = {".npy": NpySink}
PACKAGES = {".csv": "pandas", ".parquet": "pyarrow"}


def check_out(file: Path, allowed: Sequence[str], source: str | None = None) -> None:
    """Raise unless a result may be written there, in this form.

    Raises:
        ValueError: another ending than is allowed, a folder, or the file that is read.
    """
    if file.suffix.lower() not in allowed:
        raise ValueError(f"--out must end in {', '.join(allowed)}; found {file.name!r}")
    if file.is_dir():
        raise ValueError(f"--out must be a file; {file} is a folder")
    if source is not None and file.exists() and file.resolve() == Path(source).resolve():
        raise ValueError(f"--out must not be the data, which are read from {file}")
    if file.suffix.lower() in PACKAGES:
        from dimix.data.checks import needed

        needed(PACKAGES[file.suffix.lower()], file)


@contextmanager
def writing(file: Path) -> Iterator[Sink]:
    """A sink for the file's ending."""
    make = {**TABLES, **ARRAYS}[file.suffix.lower()]
    with atomic_write(file, "wb") as out, closing(make(out)) as sink:
        yield sink
