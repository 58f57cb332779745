"""A file of labels, one a row: .npy, .npz, .csv or .parquet. Labels only ever score."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dimix.data.arrays import LABEL_NAMES, read_npy, read_npz
from dimix.data.base import DataError, Selection
from dimix.data.checks import check_content, check_labels, needed, opening
from dimix.data.tables import (
    LABEL_COLUMNS,
    NAME_COLUMNS,
    check_gaps,
    first_lines,
    is_number,
    labels_of,
    reading,
    roles_of,
)

TEXTS = (".csv", ".tsv")
SUFFIXES = (".npy", ".npz", *TEXTS, ".parquet")


def read_labels(file: str | Path, n_rows: int) -> Shaped[np.ndarray, " N"]:
    """The labels of ``n_rows`` rows: whole numbers or texts, in the order of the rows.

    A table may have a column of names besides, or any other columns if one is called label. The
    first line of a text table names its columns if one is called label, id or the like, or if it
    holds what is neither a number nor found below it.

    Raises:
        DataError: the file cannot be read, holds anything but one label a row, or holds more or
            fewer than there are rows.
    """
    path = Path(file).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: expected labels in {', '.join(SUFFIXES)}, found {suffix!r}")
    labels, names = _from_array(path, suffix) if suffix in SUFFIXES[:2] else _from_table(path)
    if len(labels) != n_rows:
        more = "more" if len(labels) > n_rows else "fewer"
        read_as = f", below the line of names {', '.join(map(repr, names))}" if names else ""
        if not names and len(labels) == n_rows + 1 and suffix in TEXTS:
            read_as = "; if the first line names the column, call it label"
        raise DataError(
            f"{path}: expected {n_rows} labels, one a row, found {more}: {len(labels)}{read_as}"
        )
    return labels


def _from_array(path: Path, suffix: str) -> tuple[Shaped[np.ndarray, " N"], Sequence[str]]:
    if suffix == ".npz":
        stored = read_npz(path)
        name = next((n for n in LABEL_NAMES if n in stored), next(iter(stored), ""))
        array = stored.get(name, np.empty((0, 0)))
    else:
        array = read_npy(path)
    return check_labels(array, path), ()


def _from_table(path: Path) -> tuple[Shaped[np.ndarray, " N"], Sequence[str]]:
    """The labels of a table, and the names in its first line."""
    check_content(path)
    frame, names = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    roles = roles_of(list(frame.columns), Selection(), path)
    if roles.label is None and len(roles.data) != 1:
        raise DataError(
            f"{path}: expected one column of labels, or one called label, found the columns "
            f"{', '.join(map(repr, frame.columns))}"
        )
    return _whole(labels_of(frame[roles.label or roles.data[0]], path)), names


def _parquet(path: Path) -> tuple[Any, Sequence[str]]:
    needed("pyarrow", path)
    with opening(path, "a parquet table"):
        frame = needed("pandas", path).read_parquet(path)
    frame.columns = frame.columns.astype(str)
    return frame, ()


def _text(path: Path) -> tuple[Any, Sequence[str]]:
    pandas = needed("pandas", path)
    first, _, separator = first_lines(path)
    with reading(path, first):
        frame = pandas.read_csv(path, sep=separator, header=None, dtype=str)
    names = first if _are_names(first, frame.iloc[1:]) else []
    if len(first) == 1:
        check_gaps(path, "a label in every row, found none", named=bool(names))
    frame = frame.iloc[1 if names else 0 :].reset_index(drop=True)
    frame.columns = pandas.Index(names or map(str, frame.columns))
    return frame, names


def _are_names(first: Sequence[str], below: Any) -> bool:
    """Whether a line names columns: one is called label, id or the like, or all are no labels.

    What is a label occurs in its column again, or is a number.
    """
    known = NAME_COLUMNS + LABEL_COLUMNS
    if len(first) > 1 and any(name.strip().lower() in known for name in first):
        return True
    return not any(
        is_number(name) or (below[column] == name).any() for column, name in enumerate(first)
    )


def _whole(labels: Shaped[np.ndarray, " N"]) -> Shaped[np.ndarray, " N"]:
    """Texts that are all whole numbers as such."""
    try:
        return labels.astype(np.int64)
    except (ValueError, OverflowError):
        return labels
