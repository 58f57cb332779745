"""Standardising is scikit-learn's, travels as JSON to the bit, and refuses other data."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from dimix.data import Data, DataError, Preparation
from dimix.data.preparation import constant_columns

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1, 1e5, 1e-5] + [0, 7e6, 3]
FILE = Path("data.json")


def through_json(preparation: Preparation) -> Preparation:
    return Preparation.from_json(json.loads(json.dumps(preparation.to_json())), FILE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_table_is_standardised_as_scikit_learn_does(dtype: str) -> None:
    rows = X.astype(dtype)
    preparation = Preparation.of(Data(rows, ("a", "b", "c")))
    scaler = StandardScaler().fit(rows)
    again = through_json(preparation)
    assert again == preparation
    assert np.array_equal(again.apply(Data(rows), "x"), scaler.transform(rows))
    assert again.apply(Data(rows), "x").dtype == dtype
    assert np.allclose(again.undo(again.apply(Data(rows), "x")), rows, rtol=1e-6)
    # Data of another precision come out in that of the fit.
    assert again.apply(Data(X.astype("f8")), "x").dtype == dtype
    assert again.selection("test").columns == ("a", "b", "c")


def test_bytes_of_a_table_are_standardised_too() -> None:
    rows = RNG.integers(0, 256, (30, 4), dtype=np.uint8)
    preparation = Preparation.of(Data(rows))
    expected = StandardScaler().fit_transform(rows.astype(float))
    assert np.allclose(preparation.apply(Data(rows), "x"), expected)


@pytest.mark.parametrize("shape", [(3,), (4, 5), (4, 5, 3)])
def test_what_is_left_as_it_is(shape: tuple[int, ...]) -> None:
    data = Data(RNG.integers(0, 256, (6, *shape), dtype=np.uint8))
    preparation = through_json(Preparation.of(data, standardize=False))
    assert preparation.centre is None
    assert np.array_equal(preparation.apply(data, "x"), data.X)
    values = RNG.random((2, *shape))
    assert preparation.undo(values) is values
    with pytest.raises(DataError, match=r"new: expected values of type uint8.*found float64"):
        preparation.apply(Data(values), "new")


def test_images_are_never_standardised() -> None:
    data = Data(RNG.random((6, 4, 5)).astype("f4"))
    preparation = Preparation.of(data, resized=True)
    assert preparation.centre is None
    wanted = preparation.selection()
    assert (wanted.image_size, wanted.colour) == ((4, 5), False)


def test_another_shape_is_refused() -> None:
    preparation = Preparation.of(Data(X))
    with pytest.raises(DataError, match=r"new: expected table with samples of shape \[3\]"):
        preparation.apply(Data(X[:, :2]), "new")


def test_numbers_too_large_to_standardise_are_refused() -> None:
    data = Data(X * [1, 1, 1e305], ("a", "b", "c"))
    with pytest.raises(
        DataError, match=r"t\.csv: .* too large to standardise, found .* in column 'c'"
    ):
        Preparation.of(data, source="t.csv")
    assert Preparation.of(data, standardize=False).apply(data, "x") is data.X


@pytest.mark.parametrize(
    ("fitted", "new", "found"),
    [
        (X.astype("f4"), X * [1, 1e50, 1], "too large for float32, as in the fit.*column '2'"),
        (X * 1e-5, X * [1, 1, 1e307], "too large for float64 in the units.*column '3'"),
        (np.ones((2, 3, 4), "f4"), np.full((2, 3, 4), 1e50), "found 1e\\+50 to 1e\\+50: rescale"),
    ],
)
def test_new_numbers_that_the_model_cannot_hold_are_refused(
    fitted: np.ndarray, new: np.ndarray, found: str
) -> None:
    with pytest.raises(DataError, match=f"new: expected values .*{found}"):
        Preparation.of(Data(fitted)).apply(Data(new), "new")


def test_constant_columns_are_named_and_become_zero() -> None:
    rows = np.column_stack([X, np.full(len(X), 0.1)])
    data = Data(rows, ("a", "b", "c", "d"))
    assert constant_columns(data) == ["d"]
    assert constant_columns(Data(rows)) == ["4"]
    assert np.abs(Preparation.of(data).apply(data, "x")[:, 3]).max() < 1e-12


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("schema", 2),
        ("kind", "sound"),
        ("shape", [3.0]),
        ("shape", []),
        ("shape", [True]),
        ("dtype", "object"),
        ("columns", ["a"]),
        ("columns", [1, 2, 3]),
        ("centre", [0.0, 0.0, float("nan")]),
        ("centre", None),
        ("scale", [1.0, 1.0, -1.0]),
        ("scale", "111"),
        ("resized", 1),
        ("more", 1),
    ],
)
def test_json_that_says_what_cannot_be(entry: str, value: object) -> None:
    claims = Preparation.of(Data(X, ("a", "b", "c"))).to_json()
    with pytest.raises(DataError, match=r"data\.json: "):
        Preparation.from_json(json.loads(json.dumps(claims | {entry: value})), FILE)
