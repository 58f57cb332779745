"""What is wrong with data, said in one sentence that names the file, what was found and allowed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dimix.data.base import DataError

PACKAGES = {"pandas": "pandas", "pyarrow": "pyarrow", "PIL": "pillow"}


def needed(module: str, path: Path) -> Any:
    """A module of the extra `io`.

    Raises:
        DataError: it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = PACKAGES[module.partition(".")[0]]
        raise DataError(
            f"{path}: needs the package {package}, which is not installed; "
            "`pip install dimix[io]` brings it"
        ) from error


@contextmanager
def opening(path: Path, expected: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a library raises for a bad file into one DataError; ``errors`` are its own."""
    handled: tuple[type[Exception], ...] = (OSError, ValueError, EOFError, *errors)
    try:
        yield
    except DataError:
        raise
    except handled as error:
        found = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: expected {expected}, found: {_first_line(found)}") from error


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]


def check_content(path: Path, magic: bytes = b"") -> None:
    """Raise unless the path is a file with something in it, beginning with ``magic``."""
    with opening(path, "a readable file"), path.open("rb") as file:
        begin = file.read(max(1, len(magic)))
    if not begin:
        raise DataError(f"{path}: expected a file with data, found an empty one")
    if not begin.startswith(magic):
        raise DataError(
            f"{path}: expected a {path.suffix} file, found one that begins with {begin!r}"
        )


def check_rows(
    X: Shaped[np.ndarray, "N *shape"],
    path: Path,
    columns: Sequence[str] | None = None,
    first_row: int = 0,
    *,
    missing: bool = False,
) -> None:
    """Raise if there are no rows or columns, or a number is infinite or, unless it may, missing."""
    if X.size == 0:
        shape = " x ".join(map(str, X.shape))
        raise DataError(f"{path}: expected rows with at least one number each, found {shape}")
    if X.dtype.kind != "f":
        return
    bad = np.argwhere(np.isinf(X) if missing and X.ndim == 2 else ~np.isfinite(X))
    if not len(bad):
        return
    row, *place = (int(i) for i in bad[0])
    where = f"row {first_row + row + 1}"
    if X.ndim == 2:
        where += f", column {columns[place[0]] if columns else place[0] + 1!r}"
    is_missing = bool(np.isnan(X[tuple(bad[0])]))
    what = "a missing value" if is_missing else "an infinite value"
    gaps = ", or fit the mixture, with allow_missing (--model mixture --set allow_missing=true)"
    taken = gaps if is_missing and X.ndim == 2 else ""
    raise DataError(
        f"{path}: expected a number everywhere, found {what} in {where} (counted from 1); "
        f"{len(bad)} such in all: fill them in, or leave the rows or columns out{taken}"
    )


def check_labels(labels: Shaped[np.ndarray, "..."], path: Path) -> Shaped[np.ndarray, " N"]:
    """An array of labels as whole numbers or texts; raise if it holds anything else.

    A single column counts as one axis, bytes as text in UTF-8.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    kind = labels.dtype.kind
    whole = kind in "buiUS" or (
        kind == "f" and bool(np.all((labels == np.floor(labels)) & (np.abs(labels) < 2**63)))
    )
    if labels.ndim != 1 or not whole:
        raise DataError(
            f"{path}: expected one whole number or text a row, found an array of shape "
            f"{list(labels.shape)} and type {labels.dtype}"
        )
    if kind == "S":
        with opening(path, "labels in UTF-8"):
            return np.char.decode(labels, "utf-8")
    return labels if kind == "U" else labels.astype(np.int64)
