"""Rows from anywhere, in blocks: the same rows whatever holds them, one clear error if not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimix.mixture.inference.blocks import BlockSource, blocks_of, stream_moments

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = np.random.default_rng(0).normal(size=(23, 3))


def as_npy(path: Path, rows: np.ndarray) -> Path:
    np.save(path / "rows.npy", rows)
    return path / "rows.npy"


def as_map(path: Path, rows: np.ndarray) -> np.ndarray:
    mapped: np.ndarray = np.load(as_npy(path, rows), mmap_mode="r")
    return mapped


def as_parquet(path: Path, rows: np.ndarray) -> Path:
    table = pyarrow.table({f"x{d}": column for d, column in enumerate(rows.T)})
    parquet.write_table(table, path / "rows.parquet", row_group_size=7)
    return path / "rows.parquet"


def as_callable(path: Path, rows: np.ndarray) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: iter([rows[:4], rows[4:4], rows[4:]])


SOURCES = [lambda path, rows: rows, as_npy, as_map, as_parquet, as_callable]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_every_pass_yields_all_rows_in_order(
    tmp_path: Path, source: Callable[[Path, np.ndarray], BlockSource], dtype: type
) -> None:
    rows = (10 * ROWS).astype(dtype)
    blocks = blocks_of(source(tmp_path, rows), rows_per_block=5)
    for _ in range(2):
        parts = list(blocks)
        assert all(
            part.dtype == (np.float32 if dtype is np.float32 else np.float64) for part in parts
        )
        np.testing.assert_array_equal(np.concatenate(parts), rows)
        assert all(len(part) > 0 for part in parts)
    if source is not as_callable:
        assert max(len(part) for part in parts) == 5


def test_part_of_a_map_and_columns_first_are_maps_too(tmp_path: Path) -> None:
    mapped = as_map(tmp_path, np.asfortranarray(ROWS))
    np.testing.assert_array_equal(np.concatenate(list(blocks_of(mapped[3:], 4))), ROWS[3:])
    from_file = blocks_of(tmp_path / "rows.npy", 4)
    np.testing.assert_array_equal(np.concatenate(list(from_file)), ROWS)


def test_blocks_are_taken_as_they_are() -> None:
    blocks = blocks_of(ROWS)
    assert blocks_of(blocks) is blocks


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 23))
def test_moments_do_not_depend_on_the_blocks(seed: int, cut: int) -> None:
    far = 1e6 * np.random.default_rng(seed).normal(size=3)
    moments = stream_moments(blocks_of(ROWS + far, cut))
    assert moments.count == 23
    np.testing.assert_allclose(moments.mean, (ROWS + far).mean(0), rtol=1e-14)
    np.testing.assert_allclose(moments.covariance, np.cov((ROWS + far).T), atol=1e-8)


def test_moments_of_far_float32_rows_are_those_of_the_rows_given() -> None:
    rows = (ROWS + 1e6).astype(np.float32)
    moments = stream_moments(blocks_of(rows, 4))
    np.testing.assert_allclose(moments.covariance, np.cov(rows.astype(float).T), atol=1e-8)


def test_one_row_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="needs two rows or more, got 1"):
        stream_moments(blocks_of(ROWS[:1]))


def with_entry(value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[17, 1] = value
    return rows


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_late_block_that_is_not_finite_is_named(value: float) -> None:
    message = rf"block 3 of the array must be finite, got {value} in its row 2, column 1"
    with pytest.raises(ValueError, match=message):
        list(blocks_of(with_entry(value), rows_per_block=5))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (ROWS[:, :2], "block 1 of the block source must have 3 columns, as block 0 has, got 2"),
        (ROWS[0], r"block 1 of the block source must be a matrix of numbers .* shape \(3,\)"),
        ([["a", "b", "c"]], r"block 1 of the block source must be a matrix of numbers .* <U1"),
    ],
)
def test_a_wrong_block_is_named(block: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(blocks_of(lambda: [ROWS, block]))


def test_columns_of_parquet_are_those_that_pandas_reads(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.parquet", np.arange(8.0).reshape(4, 2)
    for index in (None, pd.Index([7, 5, 3, 1]), pd.Index(list("wxyz"), name="a name")):
        pd.DataFrame(rows, columns=["x", "y"], index=index).to_parquet(path)
        blocks = blocks_of(path)
        assert blocks.columns == ("x", "y")
        np.testing.assert_array_equal(np.concatenate(list(blocks)), rows)


def test_dates_in_parquet_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"x": [1.0, 2.0], "when": pd.date_range("2020", periods=2)}).to_parquet(path)
    with pytest.raises(ValueError, match=r"must hold numbers; found timestamp.* column 'when'"):
        blocks_of(path)


def test_a_parquet_column_of_words_and_one_with_gaps_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"x": [1.0, 2.0], "y": ["a", "b"]}), path)
    with pytest.raises(ValueError, match=r"block 0 of .*rows\.parquet must be a matrix of numbers"):
        list(blocks_of(path))
    parquet.write_table(pyarrow.table({"x": [1.0, None]}), path)
    with pytest.raises(ValueError, match=r"block 0 of .*rows\.parquet must be finite, got nan"):
        list(blocks_of(path))


def test_an_iterator_and_an_exhausted_callable_are_errors() -> None:
    with pytest.raises(ValueError, match="a callable that returns a new iterator"):
        blocks_of(iter([ROWS]))
    once = iter([ROWS])
    blocks = blocks_of(lambda: once)
    assert len(list(blocks)) == 1
    with pytest.raises(ValueError, match="yielded no block"):
        list(blocks)


def test_a_file_shorter_than_its_header_says(tmp_path: Path) -> None:
    path = as_npy(tmp_path, ROWS)
    mapped = np.load(path, mmap_mode="r")
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - 8)
    message = rf"rows.npy must hold {whole} bytes for the shape \(23, 3\).* only {whole - 8}"
    with pytest.raises(ValueError, match=message):
        blocks_of(path)
    with pytest.raises(ValueError, match=rf"must hold {whole} bytes, but its file was cut"):
        list(blocks_of(mapped))


def test_a_parquet_file_cut_short(tmp_path: Path) -> None:
    path = as_parquet(tmp_path, ROWS)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ValueError, match=r"rows\.parquet cannot be read as a parquet file"):
        list(blocks_of(path))


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 3, 4)])
def test_an_array_must_be_a_matrix_with_rows(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the array must be a matrix"):
        blocks_of(np.zeros(shape))


def test_files_that_cannot_be_blocks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is none of that name"):
        blocks_of(tmp_path / "none.npy")
    for name, content in [("rows.csv", "1,2"), ("rows.npy", "1,2")]:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=r"rows\.csv must end in \.npy, \.parquet or \.pq"):
        blocks_of(tmp_path / "rows.csv")
    with pytest.raises(ValueError, match=r"rows\.npy is not an \.npy file of numbers"):
        blocks_of(tmp_path / "rows.npy")
    np.save(tmp_path / "rows.npy", np.array([[None]]))
    with pytest.raises(ValueError, match=r"rows\.npy must hold a matrix of numbers.*object"):
        blocks_of(str(tmp_path / "rows.npy"))


def test_without_pyarrow_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = as_parquet(tmp_path, ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"dimix\[io\]"):
        blocks_of(path)
