"""All of MNIST: 60,000 training and 10,000 test digits of 28 x 28 pixels.

Read from a folder, or downloaded once into the user's cache. Wherever they come from, the
files' contents must be MNIST's, by checksum.
"""

import os
from pathlib import Path

import pooch

from dimix.data import folder
from dimix.data.base import DataError, ImageData, Split

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# SHA-256 of the four files as published, compressed.
DOWNLOADS = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}

# SHA-256 of what is inside them, since a copy may have been compressed anew.
CONTENTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def mnist(split: Split, data_dir: Path | None) -> ImageData:
    """One split of MNIST from `data_dir`/mnist, else $DIMIX_DATA/mnist, else a download.

    A `data_dir` that is given must hold the four files; $DIMIX_DATA is passed over when it
    has no folder `mnist`.

    Raises:
        DataError: a file is missing, damaged or not MNIST's, or cannot be downloaded.
    """
    place = _local(data_dir) or _download()
    return folder.read(place, split, CONTENTS)


def _local(data_dir: Path | None) -> Path | None:
    if data_dir is not None:
        return data_dir / "mnist"
    shared = os.environ.get("DIMIX_DATA")
    if shared and (Path(shared) / "mnist").is_dir():
        return Path(shared) / "mnist"
    return None


def _download() -> Path:
    """The folder of the cache with all four files, fetching those that it lacks."""
    cache = pooch.create(pooch.os_cache("dimix") / "mnist", URL, registry=DOWNLOADS)
    for name in DOWNLOADS:
        try:
            cache.fetch(name, progressbar=True)
        except (OSError, ValueError) as error:  # no connection; wrong checksum
            raise DataError(
                f"{URL}{name}: expected to download this file with SHA-256 {DOWNLOADS[name]}, "
                f"found: {error}. Without a network, put MNIST's four IDX files in DIR/mnist "
                "and give DIR as data_dir"
            ) from error
    return Path(cache.abspath)
