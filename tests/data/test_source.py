"""Own data from files: every form gives the same numbers, whole or in blocks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimix.data import DataError, Selection, blocks, load, read

X = np.random.default_rng(0).normal(size=(23, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


def semicolons(file: Path) -> None:
    FRAME.to_csv(file, sep=";", index=False)


WRITERS: dict[str, Callable[[Path], object]] = {
    "x.npy": lambda file: np.save(file, X),
    "fortran.npy": lambda file: np.save(file, np.asfortranarray(X)),
    "one.npz": lambda file: np.savez(file, anything=X),
    "named.npz": lambda file: np.savez_compressed(file, X=X, y=np.arange(23)),
    "plain.csv": lambda file: np.savetxt(file, X, delimiter=","),
    "named.csv": lambda file: FRAME.to_csv(file, index=False),
    "index.csv": lambda file: FRAME.to_csv(file),
    "semicolons.csv": semicolons,
    "tabs.tsv": lambda file: FRAME.to_csv(file, sep="\t", index=False),
    "bom.csv": lambda file: FRAME.to_csv(file, index=False, encoding="utf-8-sig"),
    "x.parquet": lambda file: FRAME.to_parquet(file, row_group_size=5),
    "index.parquet": lambda file: FRAME.set_index(FRAME.index.astype(str)).to_parquet(file),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("n_bytes", [2**40, 7 * 3 * 8, 1])
def test_every_form_gives_the_same_numbers(name: str, n_bytes: int, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    parts = list(blocks(tmp_path / name, n_bytes=n_bytes))
    assert np.allclose(np.concatenate([part.X for part in parts]), X, rtol=1e-12)
    assert all(part.X.dtype == np.float64 for part in parts)
    assert max(part.X.nbytes for part in parts) <= max(n_bytes, 3 * 8)
    whole = read(tmp_path / name)
    assert np.allclose(whole.X, X, rtol=1e-12)
    named = not name.startswith(("x.npy", "fortran", "one", "named.npz", "plain"))
    assert whole.columns == (("a", "b", "c") if named else None)
    assert whole.kind == "table"
    assert (whole.names is not None) == name.startswith("index")


def test_names_labels_and_columns_have_their_roles(tmp_path: Path) -> None:
    frame = FRAME.assign(label=["x", "y"] * 11 + ["z"])
    frame.insert(0, "ID", [f"r{i}" for i in range(23)])
    frame.insert(2, "city", "Rome")
    for name in ("t.csv", "t.parquet"):
        frame.to_csv(tmp_path / name, index=False) if "csv" in name else frame.to_parquet(
            tmp_path / name
        )
        data = read(tmp_path / name, Selection(drop=("city",)))
        assert np.allclose(data.X, X)
        assert data.names == tuple(frame["ID"])
        assert data.labels is not None
        assert list(data.labels) == list(frame["label"])
        some = read(tmp_path / name, Selection(columns=("c", "a"), label_column="city"))
        assert some.columns == ("c", "a")
        assert np.allclose(some.X, X[:, [2, 0]])
        assert set(some.labels if some.labels is not None else ()) == {"Rome"}


@pytest.mark.parametrize(
    ("stored", "read_as"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i8", "f8"), ("?", "f8"), ("u1", "f4")],
)
def test_numbers_become_floats_and_bytes_of_images_stay(
    stored: str, read_as: str, tmp_path: Path
) -> None:
    array = (np.arange(6).reshape(3, 2) % 2).astype(stored)
    np.save(tmp_path / "t.npy", array)
    assert read(tmp_path / "t.npy").X.dtype == np.dtype(read_as)
    np.save(tmp_path / "i.npy", np.zeros((2, 3, 4), stored))
    assert read(tmp_path / "i.npy").X.dtype == np.dtype("u1" if stored == "u1" else read_as)
    if stored not in ("f2", "u1", "?"):
        pd.DataFrame(array, columns=["a", "b"]).to_parquet(tmp_path / "t.parquet")
        assert read(tmp_path / "t.parquet").X.dtype == np.dtype(read_as)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "Timestamp"),
        (pd.Categorical(["red", "blue"]), "'red'"),
        ([[1.0, 2.0], [3.0]], "array"),
        ([1.0, None], "a missing value in row 2, column 'b'"),
    ],
)
def test_columns_of_parquet_that_are_no_numbers(values: object, found: str, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "b": values}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="'b'") as caught:
        read(tmp_path / "t.parquet")
    assert found in str(caught.value)


def test_the_row_of_an_error_counts_from_the_files_beginning(tmp_path: Path) -> None:
    lines = ["a,b", *("1,2" for _ in range(50)), "1,two"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="column 'b' must hold numbers, found 'two' in row 51"):
        list(blocks(tmp_path / "t.csv", n_bytes=16 * 10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n1\n\n3\n", "expected a number everywhere, found a missing value in row 2"),
        ("\n1\n2\n", "expected a number everywhere, found a missing value in row 1"),
        ("\n\n", "expected a line with names or numbers, found blank ones alone"),
        ("# made by hand\na,b\n1,2\n", r"lines of 1 fields, as the first one has \('# made by"),
        ('a,b\n1,"2\n', r"expected lines of 2 fields, as the first one has \('a', 'b'\)"),
        (f"a,b\n1,2\n{10**400},2\n", "found an infinite value in row 2, column 'a'"),
        (f"a,b\n1,2\n{-(10**400)},2\n", "found an infinite value in row 2, column 'a'"),
        ("a;b\n1;2\n5,1;2\n", "found '5,1' in row 2 .* or write a point for the decimal comma"),
        ("a,b\n1,2\n2020_01,2\n", "column 'a' must hold numbers, found '2020_01' in row 2"),
        (f"a,b\n1,2\n{'x' * 400},2\n", "column 'a' must hold numbers, found 'x{79} in row 2"),
    ],
)
def test_text_that_is_no_table(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("0,1,2\n4,5,6\n", ("0", "1", "2")),
        ("0,1\n4.5,6\n-3,2.5\n", None),
        ("0,1\n4.5,6.5\n-3,2.5\n", ("0", "1")),
        ("0,1\n1,1\n", None),
        ("0\n1.5\n", None),
        ("2019,2020,2021\n4,5,6\n", None),
        ("1_1,1_2\n4,5\n", ("1_1", "1_2")),
    ],
)
def test_the_numbers_that_pandas_writes_for_names_are_names(
    content: str, columns: tuple[str, ...] | None, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text(content)
    data = read(tmp_path / "x.csv")
    assert data.columns == columns
    assert len(data) == content.count("\n") - (columns is not None)


@pytest.mark.parametrize("name", ["label", "Labels", " LABEL"])
def test_a_label_column_may_have_capitals(name: str, tmp_path: Path) -> None:
    FRAME.assign(**{name: 3}).to_csv(tmp_path / "x.csv", index=False)
    data = read(tmp_path / "x.csv")
    assert data.columns == ("a", "b", "c")
    assert set(data.labels if data.labels is not None else ()) == {3}


@pytest.mark.parametrize("content", ["\n \na\n1\n2\n", "a\n1\n2\n\n\n"])
def test_blank_lines_around_a_table_are_no_rows(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    data = read(tmp_path / "t.csv")
    assert (data.columns, data.X.tolist()) == (("a",), [[1.0], [2.0]])


def test_images_come_from_arrays_and_idx(small_folder: Path, tmp_path: Path) -> None:
    images = np.zeros((4, 5, 6, 3), np.uint8)
    np.save(tmp_path / "i.npy", images)
    assert read(tmp_path / "i.npy").kind == "images"
    data = read(small_folder, Selection(split="test"))
    expected = load(f"idx:{small_folder}", "test")
    assert np.array_equal(data.X, expected.images)
    assert np.array_equal(data.labels, expected.labels)
    assert len(read("digits")) == 1442
    assert sum(len(part) for part in blocks("digits", n_bytes=64 * 100)) == 1442


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "went off",))

    hostile = np.array([Bomb(), 1], dtype=object)
    np.save(tmp_path / "t.npy", hostile, allow_pickle=True)
    np.savez(tmp_path / "t.npz", X=hostile, allow_pickle=True)
    for name in ("t.npy", "t.npz"):
        with pytest.raises(DataError, match=r"numbers|numeric"):
            read(tmp_path / name)
    assert not (tmp_path / "went off").exists()
