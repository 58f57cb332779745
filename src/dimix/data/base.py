"""The two things that every data source gives: images with labels, or one clear error."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt8

Split = Literal["train", "test"]


class DataError(ValueError):
    """A data set cannot be had: the message names the file, what was expected and found."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Grey images, one byte a pixel (0 black, 255 white), and the label of each."""

    images: UInt8[np.ndarray, "N H W"]
    labels: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.labels)
