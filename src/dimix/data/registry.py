"""From a data set's name to its images."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from dimix.data import folder, packaged
from dimix.data.base import DataError, ImageData, Split
from dimix.data.mnist import mnist

SPLITS: tuple[Split, ...] = get_args(Split)
SOURCES: Mapping[str, Callable[[Split, Path | None], ImageData]] = MappingProxyType(
    {
        "digits": lambda split, _: packaged.digits(split),
        "mnist-5k": lambda split, _: packaged.mnist_5k(split),
        "mnist": mnist,
    }
)
FOLDER = "idx:"
NAMES = (*SOURCES, f"{FOLDER}DIR")


def load(name: str, split: str, data_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """One split of a data set, all of it in memory.

    Args:
        name: "digits", "mnist-5k", "mnist", or "idx:DIR" for a folder with four IDX files
            named as MNIST's.
        split: "train" or "test".
        data_dir: the folder that holds the folder `mnist`; the other data sets need none.

    Raises:
        DataError: there is no such data set or split, or a file is missing or wrong.

    >>> load("digits", "test").images.shape
    (355, 8, 8)
    """
    found = next((known for known in SPLITS if known == split), None)
    if found is None:
        raise DataError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    if name.startswith(FOLDER):
        return folder.read(Path(name.removeprefix(FOLDER)).expanduser(), found)
    if name not in SOURCES:
        raise DataError(f"data set: expected one of {', '.join(NAMES)}, found {name!r}")
    return SOURCES[name](found, None if data_dir is None else Path(data_dir).expanduser())
