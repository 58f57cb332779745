"""NumPy files: .npy, read block after block, and .npz. Nothing in them is ever unpickled."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dimix.data.base import Data, DataError, Selection
from dimix.data.checks import check_content, check_labels, check_rows, opening

X_NAMES, LABEL_NAMES = ("X", "x", "data", "images"), ("y", "labels")
CHANNELS = (1, 3, 4)


def npy_blocks(path: Path, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    """Blocks of a .npy file; each maps the file anew, so that no more than a block is held."""
    shape = _mapped(path).shape
    step = _check_shape(path, _mapped(path), n_bytes, wanted)
    for start in range(0, shape[0], step):
        yield Data(_numbers(path, _mapped(path)[start : start + step], start, wanted))


def npz_blocks(path: Path, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    """Blocks of a .npz file: its one array, or X of several; y or labels are labels."""
    stored = read_npz(path)
    found = [name for name in X_NAMES if name in stored] or [*stored][: len(stored) == 1]
    if not found:
        raise DataError(
            f"{path}: expected one array, or several of which one is named "
            f"{', '.join(X_NAMES)}, found {', '.join(stored) or 'none'}"
        )
    x = stored[found[0]]
    step = _check_shape(path, x, n_bytes, wanted)
    named = next((name for name in LABEL_NAMES if name in stored), None)
    labels = None if named is None else check_labels(stored[named], path)
    if labels is not None and len(labels) != len(x):
        raise DataError(f"{path}: expected {len(x)} labels, one a row, found {len(labels)}")
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        known = None if labels is None else labels[rows]
        yield Data(_numbers(path, x[rows], start, wanted), labels=known)


def read_npz(path: Path) -> Mapping[str, Shaped[np.ndarray, "..."]]:
    """Every array of a .npz file by name."""
    check_content(path, b"PK")
    with (
        opening(path, "a .npz file of numeric arrays", zipfile.BadZipFile, zlib.error, KeyError),
        np.load(path, allow_pickle=False) as stored,
    ):
        return {name: stored[name] for name in stored.files}


def read_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array of a .npy file, in memory."""
    return np.array(_mapped(path))


def _mapped(path: Path) -> Shaped[np.ndarray, "..."]:
    check_content(path, b"\x93NUMPY")
    with opening(path, "a .npy file of numbers"):
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _check_shape(path: Path, x: Shaped[np.ndarray, "..."], n_bytes: int, wanted: Selection) -> int:
    """Raise unless these are rows or images of numbers; how many of them fill ``n_bytes``."""
    if x.dtype.kind not in "buif":
        raise DataError(f"{path}: expected numbers, found an array of type {x.dtype}")
    if x.ndim not in (2, 3, 4) or (x.ndim == 4 and x.shape[3] not in CHANNELS):
        raise DataError(
            f"{path}: expected rows [N, P] or images [N, H, W] or [N, H, W, C] with C in "
            f"{CHANNELS}, found an array of shape {list(x.shape)}"
        )
    check_rows(x[:1], path, missing=wanted.missing)
    return max(1, n_bytes // max(1, x[:1].nbytes))


def _numbers(
    path: Path, x: Shaped[np.ndarray, "n *shape"], first_row: int, wanted: Selection
) -> Shaped[np.ndarray, "n *shape"]:
    """A copy in memory: bytes of images stay bytes, what single precision holds becomes single."""
    stay = x.dtype == np.uint8 and x.ndim > 2
    single = x.dtype == np.uint8 or (x.dtype.kind == "f" and x.dtype.itemsize <= 4)
    array = np.array(x, dtype=x.dtype if stay else "f4" if single else "f8")
    check_rows(array, path, first_row=first_row, missing=wanted.missing)
    return array
