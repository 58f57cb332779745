"""Data sets by name: each is found, and what cannot be is said at once."""

from pathlib import Path

import pytest

from dimix.data import NAMES, DataError, load


@pytest.mark.parametrize(("split", "n"), [("train", 7), ("test", 3)])
def test_any_folder_by_idx(small_folder: Path, split: str, n: int) -> None:
    assert load(f"idx:{small_folder}", split).images.shape == (n, 4, 5)


def test_idx_of_no_folder_names_the_first_file_missed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere/train-images-idx3-ubyte: expected this file"):
        load(f"idx:{tmp_path}/nowhere", "train")


def test_packaged_data_sets_need_no_data_dir(tmp_path: Path) -> None:
    assert len(load("digits", "train", tmp_path / "nowhere")) == 1442


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(DataError) as caught:
        load("minst", "train")

    assert str(caught.value) == (
        "data set: expected one of digits, mnist-5k, mnist, idx:DIR, found 'minst'"
    )
    assert NAMES == ("digits", "mnist-5k", "mnist", "idx:DIR")


def test_unknown_split_lists_the_splits() -> None:
    with pytest.raises(DataError, match="split: expected one of train, test, found 'valid'"):
        load("digits", "valid")
