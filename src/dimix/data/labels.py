"""A file of labels, one a row: .npy, .npz, .csv or .parquet. Labels only ever score."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dimix.data.arrays import LABEL_NAMES, read_npy, read_npz
from dimix.data.base import DataError, Selection
from dimix.data.checks import check_content, check_labels, needed, opening
from dimix.data.tables import first_line, labels_of, roles_of

SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".parquet")


def read_labels(file: str | Path, n_rows: int) -> Shaped[np.ndarray, " N"]:
    """The labels of ``n_rows`` rows: whole numbers or texts, in the order of the rows.

    A table may have a column of names besides, or any other columns if one is called label.

    Raises:
        DataError: the file cannot be read, holds anything but one label a row, or holds more or
            fewer than there are rows.
    """
    path = Path(file).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: expected labels in {', '.join(SUFFIXES)}, found {suffix!r}")
    labels = _from_array(path, suffix) if suffix in SUFFIXES[:2] else _from_table(path, n_rows)
    if len(labels) != n_rows:
        more = "more" if len(labels) > n_rows else "fewer"
        raise DataError(f"{path}: expected {n_rows} labels, one a row, found {more}: {len(labels)}")
    return labels


def _from_array(path: Path, suffix: str) -> Shaped[np.ndarray, " N"]:
    if suffix == ".npz":
        stored = read_npz(path)
        name = next((n for n in LABEL_NAMES if n in stored), next(iter(stored), ""))
        array = stored.get(name, np.empty((0, 0)))
    else:
        array = read_npy(path)
    return check_labels(array, path)


def _from_table(path: Path, n_rows: int) -> Shaped[np.ndarray, " N"]:
    pandas = needed("pandas", path)
    check_content(path)
    if path.suffix.lower() == ".parquet":
        needed("pyarrow", path)
        with opening(path, "a parquet table"):
            frame = pandas.read_parquet(path)
    else:
        first, separator = first_line(path)
        with opening(path, "a text table in UTF-8"):
            frame = pandas.read_csv(path, sep=separator, header=None, dtype=str)
        if len(frame) > n_rows:  # a line of names stands above the labels
            frame, frame.columns = frame.iloc[1:].reset_index(drop=True), pandas.Index(first)
        frame.columns = frame.columns.astype(str)
    roles = roles_of(list(frame.columns), Selection(), path)
    if roles.label is None and len(roles.data) != 1:
        raise DataError(
            f"{path}: expected one column of labels, or one called label, found the columns "
            f"{', '.join(map(repr, frame.columns))}"
        )
    return _whole(labels_of(frame[roles.label or roles.data[0]], path))


def _whole(labels: Shaped[np.ndarray, " N"]) -> Shaped[np.ndarray, " N"]:
    """Texts that are all whole numbers as such."""
    try:
        return labels.astype(np.int64)
    except ValueError:
        return labels
