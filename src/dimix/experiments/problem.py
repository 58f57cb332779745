"""The data of one run: training, validation and test images, the split drawn by the seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimix.data import load

VALIDATION_SHARE = 12  # one image in twelve: 5,000 of MNIST's 60,000


@dataclass(frozen=True, slots=True)
class Split:
    """images [N, H, W] bytes and labels [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A data set cut in three. Networks and mixtures see `train` alone; labels only score."""

    train: Split
    validation: Split
    test: Split


def load_problem(dataset: str, data_dir: Path | None, seed: int) -> Problem:
    """Load a registered data set and set a twelfth of its training images aside."""
    train, test = (load(dataset, split, data_dir=data_dir) for split in ("train", "test"))
    order = np.random.default_rng(seed).permutation(len(train.images))
    aside, kept = np.split(order, [round(len(order) / VALIDATION_SHARE)])
    return Problem(
        train=Split(train.images[kept], train.labels[kept]),
        validation=Split(train.images[aside], train.labels[aside]),
        test=Split(test.images, test.labels),
    )
