"""A data set as a folder of four IDX files, images and labels of two splits."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from dimix.data import idx
from dimix.data.base import DataError, ImageData, Split


class Pair(NamedTuple):
    """The names of a split's two files, which may also end in `.gz`."""

    images: str
    labels: str


FILES: Mapping[Split, Pair] = MappingProxyType(
    {
        "train": Pair("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        "test": Pair("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    }
)
ANY_CONTENT: Mapping[str, str] = MappingProxyType({})


def read(folder: Path, split: Split, sha256: Mapping[str, str] = ANY_CONTENT) -> ImageData:
    """One split of the data set in a folder.

    Args:
        folder: holds all four files, each compressed (`.gz`) or not.
        split: "train" or "test".
        sha256: the checksum that a file's uncompressed content must have, by its name; a
            file without one may hold anything.

    Raises:
        DataError: a file is missing, is not what its name says, or disagrees with another.
    """
    paths = {name: _find(folder, name) for pair in FILES.values() for name in pair}
    images_path, labels_path = (paths[name] for name in FILES[split])
    images = _read_array(images_path, 3, sha256.get(FILES[split].images))
    labels = _read_array(labels_path, 1, sha256.get(FILES[split].labels))
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: expected {len(images)} labels, one for each image of "
            f"{images_path.name}, found {len(labels)}"
        )
    if images.size == 0:
        shape = " x ".join(map(str, images.shape))
        raise DataError(f"{images_path}: expected images with pixels, found {shape}")
    return ImageData(images, labels.astype(np.int64))


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise DataError(f"{folder / name}: expected this file, or the same with .gz, found neither")


def _read_array(path: Path, axes: int, sha256: str | None) -> np.ndarray:
    content = idx.read_bytes(path)
    array = idx.decode(content, axes, str(path))  # first: it tells more than a checksum
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise DataError(f"{path}: expected content with SHA-256 {sha256}, found {found}")
    return array
