"""A folder of four IDX files: reads each split, and names the file that is wrong."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dimix.data import DataError, Split, folder, idx
from dimix.data.folder import FILES


@pytest.mark.parametrize(("split", "n"), [("train", 7), ("test", 3)])
def test_reads_the_files_of_each_split(
    small_folder: Path, suffix: str, split: Split, n: int
) -> None:
    data = folder.read(small_folder, split)

    assert len(data) == n
    images = idx.read_bytes(small_folder / f"{FILES[split].images}{suffix}")
    labels = idx.read_bytes(small_folder / f"{FILES[split].labels}{suffix}")
    assert data.images.tobytes() == images[16:]
    assert data.images.shape == (n, 4, 5)
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == list(labels[8:])


@pytest.mark.parametrize("name", [name for pair in FILES.values() for name in pair])
def test_every_one_of_the_four_files_must_be_there(
    small_folder: Path, suffix: str, name: str
) -> None:
    (small_folder / f"{name}{suffix}").unlink()

    with pytest.raises(DataError, match=rf"{name}: expected this file, .* found neither"):
        folder.read(small_folder, "train")


def test_counts_that_disagree_name_both_files(small_folder: Path, suffix: str) -> None:
    idx.write(small_folder / f"{FILES['train'].labels}{suffix}", np.zeros(6, np.uint8))

    message = r"train-labels-idx1-ubyte.*: expected 7 labels, .* train-images-idx3.*, found 6"
    with pytest.raises(DataError, match=message):
        folder.read(small_folder, "train")


def test_swapped_files_are_an_error(small_folder: Path, suffix: str) -> None:
    images, labels = (small_folder / f"{name}{suffix}" for name in FILES["test"])
    labels.write_bytes(images.read_bytes())

    message = "t10k-labels-idx1-ubyte.*: expected .* with 1 axes, found .* with 3 axes"
    with pytest.raises(DataError, match=message):
        folder.read(small_folder, "test")


@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5)])
def test_no_pixels_is_an_error(
    small_folder: Path, suffix: str, shape: tuple[int, int, int]
) -> None:
    images, labels = (small_folder / f"{name}{suffix}" for name in FILES["test"])
    idx.write(images, np.zeros(shape, np.uint8))
    idx.write(labels, np.zeros(shape[0], np.uint8))

    with pytest.raises(DataError, match=r"t10k-images.*: expected images with pixels, found"):
        folder.read(small_folder, "test")


def test_checksum_is_of_the_uncompressed_content(small_folder: Path, suffix: str) -> None:
    name = FILES["train"].images
    content = idx.read_bytes(small_folder / f"{name}{suffix}")
    right = hashlib.sha256(content).hexdigest()
    wrong = hashlib.sha256(content + b"?").hexdigest()

    assert len(folder.read(small_folder, "train", {name: right})) == 7
    message = rf"{name}.*: expected content with SHA-256 {wrong}, found {right}"
    with pytest.raises(DataError, match=message):
        folder.read(small_folder, "train", {name: wrong})
