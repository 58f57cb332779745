"""What every data source gives: rows or images with what is known of them, or one clear error."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

Split = Literal["train", "test"]
Kind = Literal["table", "images"]


class DataError(ValueError):
    """A data set cannot be had: the message names the file, what was expected and found."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Grey images, one byte a pixel (0 black, 255 white), and the label of each."""

    images: UInt8[np.ndarray, "N H W"]
    labels: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows of a table [N, P] or images [N, H, W(, C)], as they were found.

    columns: names of the table's columns; names: of the rows, or the images' files; labels: what
    each is known to be. Each is None where the source has none.
    """

    X: Shaped[np.ndarray, "N *shape"]
    columns: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    labels: Shaped[np.ndarray, " N"] | None = None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def kind(self) -> Kind:
        """What the rows of X are."""
        return "table" if self.X.ndim == 2 else "images"

    def __getitem__(self, rows: slice) -> "Data":
        """Some of the rows."""
        names = None if self.names is None else self.names[rows]
        labels = None if self.labels is None else self.labels[rows]
        return Data(self.X[rows], self.columns, names, labels)


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a source is wanted, and in what form.

    columns: of a table, these as data, in this order; None takes all that `drop` does not name.
    label_column: the column with labels, "label" or "labels" unless it is named here.
    image_size: height and width that images are resized to; None takes them as they are.
    colour: True gives three channels, False one; None takes colour if any image has it.
    split: which part of a registered data set or of a folder of IDX files.
    missing: of a table, whether missing values stay, as NaN; otherwise they are refused.
    """

    columns: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    label_column: str | None = None
    image_size: tuple[int, int] | None = None
    colour: bool | None = None
    split: Split = "train"
    missing: bool = False


EVERYTHING = Selection()
