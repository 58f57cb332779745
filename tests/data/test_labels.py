"""A file of labels: the same forms as data, one a row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimix.data import DataError, read, read_labels


def write(file: Path, labels: list[object], *, header: bool = True) -> None:
    if file.suffix == ".npy":
        np.save(file, np.array(labels))
    elif file.suffix == ".npz":
        np.savez(file, labels=np.array(labels)[:, None])
    elif file.suffix == ".parquet":
        pd.DataFrame({"kind": labels}).to_parquet(file)
    else:
        pd.DataFrame({"kind": labels}).to_csv(file, index=False, header=header)


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("labels", [[2, 0, 1], ["x", "y", "x"]], ids=["numbers", "texts"])
def test_every_form(ending: str, labels: list[object], tmp_path: Path) -> None:
    write(tmp_path / f"l.{ending}", labels)
    assert read_labels(tmp_path / f"l.{ending}", 3).tolist() == labels


@pytest.mark.parametrize("labels", [[2, 0, 1], ["x", "y", "x"]], ids=["numbers", "texts"])
def test_text_without_a_line_of_names(labels: list[object], tmp_path: Path) -> None:
    write(tmp_path / "l.csv", labels, header=False)
    assert read_labels(tmp_path / "l.csv", 3).tolist() == labels


@pytest.mark.parametrize(
    ("stored", "labels"),
    [
        (np.array([0.0, 1, 1]), [0, 1, 1]),
        (np.array([True, False, True]), [1, 0, 1]),
        (np.array(["å", "b", "b"]), ["å", "b", "b"]),
        (np.char.encode(["å", "b", "b"], "utf-8"), ["å", "b", "b"]),
    ],
)
def test_labels_beside_the_data_are_as_those_of_a_file(
    stored: np.ndarray, labels: list[object], tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", X=np.eye(3), y=stored)
    found = read(tmp_path / "t.npz").labels
    assert found is not None
    assert found.tolist() == labels
    assert found.dtype.kind in "iU"
    assert read_labels(tmp_path / "t.npz", 3).tolist() == labels


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.array([0.5, 1, 1]), "expected one whole number or text a row"),
        (np.array([np.nan, 1, 1]), "expected one whole number or text a row"),
        (np.array([np.inf, 1, 1]), "expected one whole number or text a row"),
        (np.eye(3), r"found an array of shape \[3, 3\]"),
        (np.array([b"\xff", b"b", b"b"]), "expected labels in UTF-8"),
        (np.arange(4), "expected 3 labels, one a row, found 4"),
    ],
)
def test_labels_beside_the_data_that_cannot_score(
    stored: np.ndarray, message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", X=np.eye(3), y=stored)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.npz")


def test_whole_numbers_too_large_to_count_are_texts(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"{10**30}\n2\n")
    assert read_labels(tmp_path / "l.csv", 2).tolist() == [str(10**30), "2"]


def test_a_table_with_names_of_the_rows_or_a_column_called_label(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id,kind\nr1,7\nr2,8\n")
    (tmp_path / "more.csv").write_text("a,label,b\n1,x,2\n3,y,4\n")
    assert read_labels(tmp_path / "ids.csv", 2).tolist() == [7, 8]
    assert read_labels(tmp_path / "more.csv", 2).tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", "1\n2\n", "expected labels in .npy, .npz, .csv, .tsv, .parquet, found '.txt'"),
        (
            "l.csv",
            "kind\n1\n2\n3\n",
            "expected 2 labels, one a row, found more: 3, below the line of",
        ),
        ("l.csv", "1\n", "expected 2 labels, one a row, found fewer: 1"),
        ("l.csv", "kind\n1\n", "found fewer: 1, below the line of names 'kind'"),
        ("l.csv", "kind\nx\n", "found fewer: 1, below the line of names 'kind'"),
        ("l.csv", ",kind\n0,x\n", "found fewer: 1, below the line of names '', 'kind'"),
        ("l.csv", "1\n2\n1\n", "found more: 3; if the first line names the column, call it label"),
        ("l.csv", "x\ny\nx\n", "expected 2 labels, one a row, found more: 3"),
        ("l.csv", "1\n\n2\n", "expected a label in every row, found none in row 2"),
        ("l.csv", "kind\n\n2\n", "expected a label in every row, found none in row 1"),
        ("l.csv", "1\n2,3\n", "expected lines of 1 fields, as the first one has ('1')"),
        ("l.csv", 'kind\n1\n""\n', "expected a label in every row, found none in row 2"),
        ("l.parquet", "xx", "expected a parquet table"),
    ],
)
def test_what_is_no_label_a_row(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_labels(tmp_path / name, 2)
    assert message in str(caught.value)


@pytest.mark.parametrize("lines", ["label\n2\n0\n1\n", "id,label\na,2\nb,0\nc,1\n"])
def test_a_column_called_label_needs_none_beside_it(lines: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(lines)
    assert read_labels(tmp_path / "l.csv", 3).tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="expected at least one column of data"):
        read(tmp_path / "l.csv")
