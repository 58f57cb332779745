"""Blocks of results become one file, which appears whole or not at all."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimix.cli.writing import check_out, writing
from dimix.data import blocks

BLOCKS = [np.arange(6.0).reshape(3, 2) + 10 * i for i in range(4)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_an_array_is_as_if_it_was_saved_whole(dtype: str, tmp_path: Path) -> None:
    with writing(tmp_path / "x.npy") as sink:
        for block in BLOCKS:
            sink.write({"X": block.astype(dtype)})
    np.save(tmp_path / "whole.npy", np.concatenate(BLOCKS).astype(dtype))
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_has_its_names_once_and_gaps_where_nothing_is_known(
    name: str, tmp_path: Path
) -> None:
    with writing(tmp_path / name) as sink:
        for i, block in enumerate(BLOCKS):
            sink.write({"name": [f"{i}{j}" for j in "abc"], "x": block[:, 0], "y": [np.nan] * 3})
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    found = read(tmp_path / name)
    assert list(found["name"]) == [f"{i}{j}" for i in range(4) for j in "abc"]
    assert np.array_equal(found["x"], np.concatenate(BLOCKS)[:, 0])
    assert found["y"].isna().all()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.npy"])
def test_a_failure_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("before")

    def write() -> None:
        with writing(tmp_path / name) as sink:
            sink.write({"x": BLOCKS[0][:, 0]})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [(name, "before")]


def test_memory_does_not_grow_with_the_blocks(tmp_path: Path) -> None:
    size, n_blocks = 160_000, 20
    np.save(tmp_path / "in.npy", np.zeros((n_blocks * size // 16, 2)))
    tracemalloc.start()
    with writing(tmp_path / "out.npy") as sink:
        for block in blocks(tmp_path / "in.npy", n_bytes=size):
            sink.write({"x": block.X})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "in.npy").read_bytes()
    assert peak < 4 * size


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ValueError, match=r"--out must end in \.csv; found 't\.txt'"):
        check_out(tmp_path / "t.txt", [".csv"])
    with pytest.raises(ValueError, match="is a folder"):
        check_out(tmp_path / "t.csv", [".csv"])
