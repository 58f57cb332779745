"""A file of labels: the same forms as data, one a row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimix.data import DataError, read_labels


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


def test_a_table_with_names_of_the_rows_or_a_column_called_label(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id,kind\nr1,7\nr2,8\n")
    (tmp_path / "more.csv").write_text("a,label,b\n1,x,2\n3,y,4\n")
    assert read_labels(tmp_path / "ids.csv", 2).tolist() == [7, 8]
    assert read_labels(tmp_path / "more.csv", 2).tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", "1\n2\n", "expected labels in .npy, .npz, .csv, .tsv, .parquet, found '.txt'"),
        ("l.csv", "kind\n1\n2\n3\n4\n", "expected 2 labels, one a row, found more: 4"),
        ("l.csv", "1\n", "expected 2 labels, one a row, found fewer: 1"),
        ("l.csv", 'kind\n1\n""\n', "expected a label in every row, found none in row 2"),
        ("l.parquet", "xx", "expected a parquet table"),
    ],
)
def test_what_is_no_label_a_row(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_labels(tmp_path / name, 2)
    assert message in str(caught.value)
