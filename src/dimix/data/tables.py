"""Tables with named columns, .csv and .parquet, read a block of rows at a time.

A column is data unless it is known to be something else: the first or the last (where pandas
writes an index to parquet) holds the rows' names if it is called id, name or index, or nothing; a
column called label or labels holds labels. Capitals make no difference.
"""

import csv
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from dimix.data.base import Data, DataError, Selection
from dimix.data.checks import check_content, check_rows, needed, opening

NAME_COLUMNS = ("", "id", "name", "index", "unnamed: 0", "__index_level_0__")
LABEL_COLUMNS = ("label", "labels")
SEPARATORS = ",;\t"
UTF8 = "a text table in UTF-8"
BLANK = " \r\n"
"""What a line of a text table that pandas passes over consists of."""
MOST_ROWS = 2**31 - 1
BUFFER_BYTES = 2**20
"""Of a parquet file, so that a row group is not read whole."""


class Roles(NamedTuple):
    """What each column of a table is for."""

    data: tuple[str, ...]
    name: str | None
    label: str | None


def csv_blocks(path: Path, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    """Blocks of a text table; its columns have no names if its first line is a row."""
    first, below, separator = first_lines(path)
    header = first if _is_header(first, below) else None
    names = header or [str(i) for i in range(len(first))]
    roles = _with_data(roles_of(names, wanted, path), names, path)
    if len(first) == 1 and not wanted.missing:
        check_gaps(path, "a number everywhere, found a missing value", named=header is not None)
    start = 0
    step = _n_rows(n_bytes, len(first))
    for frame in _csv_frames(path, separator, first, step, named=header is not None):
        frame.columns = names
        yield _data(frame, roles, path, start, named=header is not None, missing=wanted.missing)
        start += len(frame)
    _check_any(path, start)


def _csv_frames(
    path: Path, separator: str, first: list[str], n_rows: int, *, named: bool
) -> Iterator[Any]:
    pandas = needed("pandas", path)
    with (
        reading(path, first),
        pandas.read_csv(
            path,
            sep=separator,
            header=0 if named else None,
            index_col=False,
            low_memory=False,
            chunksize=n_rows,
        ) as frames,
    ):
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pandas.errors.ParserWarning)
                frame = next(frames, None)
            if frame is None:
                return
            yield frame


@contextmanager
def reading(path: Path, first: Sequence[str]) -> Iterator[None]:
    """Turn what pandas raises for a bad text table, whose first line is known, into a DataError."""
    errors = needed("pandas", path).errors
    with opening(path, UTF8):
        try:
            yield
        except (errors.ParserError, errors.ParserWarning) as error:  # more fields than names
            raise DataError(
                f"{path}: expected lines of {len(first)} fields, as the first one has "
                f"({', '.join(map(repr, first))[:200]}), found: {str(error).strip()}"
            ) from error


def parquet_blocks(path: Path, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    """Blocks of a parquet table; columns that are not wanted are not read."""
    check_content(path)
    parquet = needed("pyarrow.parquet", path)
    needed("pandas", path)
    with (
        opening(path, "a parquet table"),
        parquet.ParquetFile(path, buffer_size=BUFFER_BYTES) as file,
    ):
        names = file.schema_arrow.names
        roles = _with_data(roles_of(names, wanted, path), names, path)
        read = [*roles.data, *filter(None, roles[1:])]
        start, step = 0, _n_rows(n_bytes, len(read))
        for group in range(file.num_row_groups):  # each reader keeps what it has read of the file
            for batch in file.iter_batches(step, [group], read):
                frame = batch.to_pandas(ignore_metadata=True)
                yield _data(frame, roles, path, start, named=True, missing=wanted.missing)
                start += len(frame)
    _check_any(path, start)


def first_lines(path: Path) -> tuple[list[str], list[str], str]:
    """The fields of a text table's first two lines that are not blank, and what separates them."""
    check_content(path)
    with opening(path, UTF8), path.open(encoding="utf-8-sig", newline="") as f:
        begin, line = 0, f.readline()
        while line and not line.strip(BLANK):
            begin, line = f.tell(), f.readline()
        separator = max(SEPARATORS, key=line.count)
        f.seek(begin)
        lines = filter(None, csv.reader(f, delimiter=separator))
        first, below = next(lines, []), next(lines, [])
    if not first:
        raise DataError(f"{path}: expected a line with names or numbers, found blank ones alone")
    return first, below, separator


def _is_header(first: list[str], below: list[str]) -> bool:
    """Whether a first line holds names: no numbers alone, or 0 to P - 1, pandas' own for columns.

    0 and 1 are a row, unless no whole numbers are below; so is 0.
    """
    if not all(map(is_number, first)):
        return True
    counted = first == [str(i) for i in range(len(first))]
    whole = any(field.strip().removeprefix("-").isdigit() for field in below)
    return counted and (len(first) > 2 or (len(first) == 2 and not whole))


def check_gaps(path: Path, expected: str, *, named: bool) -> None:
    """Raise at a blank line among the rows of one column, where a value is missing.

    Blank lines above the column's name and below the last row are none.
    """
    n_rows, blank = -1 if named else 0, False
    with opening(path, UTF8), path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            if line.strip(BLANK) and blank and n_rows >= 0:
                raise DataError(f"{path}: expected {expected} in row {n_rows + 1} (counted from 1)")
            blank = not line.strip(BLANK)
            n_rows += not blank


def roles_of(header: Sequence[str], wanted: Selection, path: Path) -> Roles:
    """Which columns are data, names and labels.

    Raises:
        DataError: a column that is asked for is not there, or one is there twice.
    """
    twice = [name for i, name in enumerate(header) if name in header[:i]]
    asked = {*(wanted.columns or ()), *wanted.drop, *filter(None, [wanted.label_column])}
    absent = [name for name in sorted(asked) if name not in header]
    if twice or absent:
        wrong = f"{twice[0]!r} twice" if twice else f"no {', '.join(map(repr, absent))}"
        raise DataError(f"{path}: expected each column once, found {wrong}: {_listed(header)}")
    taken = wanted.columns or ()
    name = next((c for c in (*header[:1], *header[-1:]) if c.strip().lower() in NAME_COLUMNS), None)
    called = [c for c in header if c.strip().lower() in LABEL_COLUMNS]
    labels = [wanted.label_column] if wanted.label_column else called
    label = next((c for c in labels if c not in taken), None)
    name = None if name in taken or name in wanted.drop else name
    data = taken or tuple(c for c in header if c not in (name, label, *wanted.drop))
    return Roles(data, name, label)


def _with_data(roles: Roles, header: Sequence[str], path: Path) -> Roles:
    if not roles.data:
        raise DataError(f"{path}: expected at least one column of data, found {_listed(header)}")
    return roles


def _listed(header: Sequence[str]) -> str:
    more = ", …" if len(header) > 20 else ""
    return f"the columns {', '.join(map(repr, header[:20]))}{more}"


def is_number(field: str) -> bool:
    """Whether a text is a number; 1_0, which is ten in Python alone, is none."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


def _n_rows(n_bytes: int, n_columns: int) -> int:
    return min(max(1, n_bytes // (8 * max(1, n_columns))), MOST_ROWS)


def _check_any(path: Path, n_rows: int) -> None:
    if n_rows == 0:
        raise DataError(f"{path}: expected rows below the names of the columns, found none")


def _data(frame: Any, roles: Roles, path: Path, start: int, *, named: bool, missing: bool) -> Data:
    columns = [_numbers(frame[name], path, start) for name in roles.data]
    single = all(column.dtype.kind == "f" and column.dtype.itemsize <= 4 for column in columns)
    X = np.stack(columns, axis=1).astype("f4" if single else "f8")
    check_rows(X, path, roles.data if named else None, start, missing=missing)
    names = tuple(map(str, frame[roles.name])) if roles.name is not None else None
    labels = None if roles.label is None else labels_of(frame[roles.label], path, start)
    return Data(X, roles.data if named else None, names, labels)


def _numbers(column: Any, path: Path, start: int) -> Shaped[np.ndarray, " n"]:
    """A column's numbers, NaN where one is missing."""
    types = needed("pandas", path).api.types
    if types.is_numeric_dtype(column.dtype) and column.dtype.kind in "buif":
        filled: Float[np.ndarray, " n"] = column.to_numpy(
            dtype=column.dtype.type if isinstance(column.dtype, np.dtype) else np.float64,
            na_value=np.nan,
        )
        return filled
    text = column.astype(object)
    values = [_number(value) for value in text]
    bad = next((i for i, value in enumerate(values) if value is None), None)
    if bad is not None:
        found = text.iloc[bad]
        has_comma = _number(str(found).replace(",", ".", 1)) is not None
        remedy = "a point for the decimal comma" if has_comma else "numbers"
        raise DataError(
            f"{path}: column {column.name!r} must hold numbers, found {found!r:.80} in "
            f"row {start + bad + 1} (counted from 1): drop the column (--drop), or write {remedy}"
        )
    return np.array(values, dtype=np.float64)


def _number(value: Any) -> float | None:
    """A number, NaN for what is missing, None for anything else; dates are not numbers.

    A whole number that no float can hold is infinite.
    """
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return float("nan")
    if isinstance(value, str):
        return float(value) if is_number(value) else None
    try:
        return None if hasattr(value, "isoformat") else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return None


def labels_of(column: Any, path: Path, start: int = 0) -> Shaped[np.ndarray, " n"]:
    """A column of labels as whole numbers if all are, else as texts."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise DataError(
            f"{path}: expected a label in every row, found none in row {start + missing[0] + 1} "
            "(counted from 1)"
        )
    if column.dtype.kind in "bui":
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return np.array([str(value) for value in column])
