"""From what a user has to rows and images: files, folders and data sets by name.

| source                               | gives                                            |
| ------------------------------------ | ------------------------------------------------ |
| `.npy`, `.npz`                       | rows [N, P] or images [N, H, W(, C)]             |
| `.csv`, `.tsv`, `.parquet`           | rows, with the names of columns and rows         |
| a folder of images                   | images of bytes, with the names of the files     |
| a folder of IDX files named as MNIST | images of bytes, with labels                     |
| `digits`, `mnist-5k`, `mnist`        | the same; a file of that name is ./digits        |
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from dimix.data import arrays, pictures, tables
from dimix.data.base import EVERYTHING, Data, DataError, Selection
from dimix.data.folder import FILES
from dimix.data.registry import FOLDER, SOURCES, load

BLOCK_BYTES = 8 * 2**20
WHOLE = 2**62
Reader = Callable[[Path, Selection, int], Iterator[Data]]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        ".npy": arrays.npy_blocks,
        ".npz": arrays.npz_blocks,
        ".csv": tables.csv_blocks,
        ".tsv": tables.csv_blocks,
        ".parquet": tables.parquet_blocks,
    }
)


def read(source: str | Path, wanted: Selection = EVERYTHING) -> Data:
    """All of a source, in memory.

    Args:
        source: a file, a folder, or the name of a data set.
        wanted: which columns, what size of images, which split; all as it is by default.

    Raises:
        DataError: the source cannot be had; the message names the file, what was found in it
            and what is allowed.
    """
    return joined(list(blocks(source, wanted, WHOLE)))


def blocks(
    source: str | Path, wanted: Selection = EVERYTHING, n_bytes: int | None = None
) -> Iterator[Data]:
    """A source in blocks of about ``n_bytes``, 8 MB by default, read one after another.

    Of a .npy, .csv or .parquet file and of a folder of images no more than a block is in memory.

    Raises:
        DataError: as `read` does; from the block on that holds what is wrong.
    """
    name, path = str(source), Path(source).expanduser()
    n_bytes = BLOCK_BYTES if n_bytes is None else n_bytes
    if name in SOURCES or name.startswith(FOLDER):
        return _registered(name, wanted, n_bytes)
    if path.is_dir():
        if any(file.name.removesuffix(".gz") in _idx_names() for file in path.iterdir()):
            return _registered(f"{FOLDER}{path}", wanted, n_bytes)
        return pictures.blocks(path, wanted, n_bytes)
    return _reader(path)(path, wanted, n_bytes)


def _reader(path: Path) -> Reader:
    if path.suffix.lower() in READERS and path.exists():
        return READERS[path.suffix.lower()]
    found = f"a file that ends in {path.suffix!r}" if path.exists() else "no such file or folder"
    raise DataError(
        f"{path}: expected {', '.join(READERS)}, a folder of images or of IDX files, or one of "
        f"the data sets {', '.join(SOURCES)}; found {found}"
    )


def _idx_names() -> set[str]:
    return {name for pair in FILES.values() for name in pair}


def _registered(name: str, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    found = load(name, wanted.split)
    data = Data(found.images, labels=found.labels)
    step = max(1, n_bytes // data.X[:1].nbytes)
    for start in range(0, len(data), step):
        yield data[start : start + step]


def joined(parts: list[Data]) -> Data:
    """Blocks of one source as one."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    names = None if first.names is None else tuple(n for part in parts for n in part.names or ())
    labels = None if first.labels is None else np.concatenate([_known(p.labels) for p in parts])
    return Data(np.concatenate([part.X for part in parts]), first.columns, names, labels)


def _known(labels: Shaped[np.ndarray, " n"] | None) -> Shaped[np.ndarray, " n"]:
    assert labels is not None  # all blocks of a source have them, or none
    return labels
