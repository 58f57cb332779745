"""Hostile input through the estimator: each has its one clear error, or its right answer.

What tests/mixture/estimator holds already is not repeated here.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import sparse

from dimix.metrics import clustering_scores
from dimix.mixture import DirichletProcessGaussianMixture

LABELS = np.repeat([0, 1], [60, 40])
ROWS = 12.0 * LABELS[:, None] + np.random.default_rng(0).normal(size=(100, 2))
TYPES = ["full", "tied", "diag", "spherical"]
types = pytest.mark.parametrize("covariance_type", TYPES)


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand the estimator what its annotations rule out: that it must answer for itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def fitted(rows: Any, sample_weight: Any = None, **options: Any) -> DirichletProcessGaussianMixture:
    mixture = DirichletProcessGaussianMixture(6, random_state=0, **options)
    return mixture.fit(rows, sample_weight=sample_weight)


def assert_as_plain_rows(mixture: DirichletProcessGaussianMixture, rtol: float = 1e-9) -> None:
    """The answer for the same numbers in a plain array of float64."""
    assert mixture.n_clusters_ == 2
    np.testing.assert_array_equal(mixture.predict(ROWS), LABELS)
    np.testing.assert_allclose(mixture.means_[:2], fitted(ROWS).means_[:2], rtol=rtol)


# --- other kinds of numbers


@pytest.mark.parametrize("dtype", [object, ">f8", np.longdouble])
def test_numbers_of_another_kind_are_taken_as_numbers(dtype: Any) -> None:
    assert_as_plain_rows(fitted(ROWS.astype(dtype)))


@pytest.mark.parametrize("dtype", [np.float16, ">f4"])
def test_numbers_of_fewer_digits_are_taken_as_numbers(dtype: Any) -> None:
    assert_as_plain_rows(fitted(ROWS.astype(dtype)), rtol=2e-2)


def test_tensors_are_taken_as_arrays() -> None:
    assert_as_plain_rows(fitted(torch.from_numpy(ROWS)))


def test_truth_values_are_taken_as_zero_and_one() -> None:
    mixture = fitted(ROWS > 6)
    np.testing.assert_allclose(mixture.means_[:2], [[0, 0], [1, 1]], atol=0.03)


def with_entry(value: Any) -> np.ndarray:
    rows = ROWS.astype(object)
    rows[3, 1] = value
    return rows


DATES = np.arange(40).reshape(20, 2).astype("datetime64[D]")


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (with_entry("a"), ValueError, "could not convert string to float: 'a'"),
        (with_entry(None), ValueError, "Input X contains NaN"),
        (np.array([["a", "b"]] * 5), ValueError, "could not convert string to float"),
        (ROWS + 1j, ValueError, "Complex data not supported"),
        (sparse.csr_matrix(ROWS), TypeError, "Sparse data was passed for X"),
        (ROWS[None], ValueError, "Found array with dim 3"),
        (DATES, ValueError, r"X must hold numbers; found datetime64\[D\]"),
        (DATES - DATES[0], ValueError, r"X must hold numbers; found timedelta64\[D\]"),
        (pd.DataFrame(DATES), ValueError, r"X must hold numbers; found datetime64\["),
        (pd.DataFrame(DATES).astype(object), ValueError, "X must hold numbers; found Timestamp"),
        (DATES.tolist(), ValueError, "X must hold numbers; found date:"),
        (pa.table({"a": DATES[:, 0]}), ValueError, r"X must hold numbers; found date32\[day\]"),
    ],
    ids=[
        *("word", "none", "words", "complex", "sparse", "cube", "dates", "days"),
        *("frame of dates", "frame of objects", "list of dates", "Arrow's dates"),
    ],
)
def test_what_are_not_rows_of_numbers(rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fitted(rows)


# --- files


def of_c_order(path: Path) -> None:
    np.save(path, ROWS)


def of_fortran_order(path: Path) -> None:
    np.save(path, np.asfortranarray(ROWS))


def of_the_other_byte_order(path: Path) -> None:
    np.save(path, ROWS.astype(">f8"))


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("write", [of_c_order, of_fortran_order, of_the_other_byte_order])
def test_a_file_is_read_as_its_array(
    write: Callable[[Path], None], mapped: bool, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npy"
    write(path)
    before = path.read_bytes()
    assert_as_plain_rows(fitted(np.load(path, mmap_mode="r") if mapped else path), rtol=1e-3)
    assert path.read_bytes() == before


def test_a_read_only_map_is_labelled(tmp_path: Path) -> None:
    of_c_order(tmp_path / "rows.npy")
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.testing.assert_array_equal(fitted(ROWS).predict(mapped), LABELS)


@pytest.mark.parametrize(
    "made", [lambda rows: rows.copy(), lambda rows: rows.astype(np.float32), np.flip]
)
def test_what_comes_of_a_map_has_its_answers(made: Any, tmp_path: Path) -> None:
    """Copies lie in memory though their type is a map's; a view is still in the file."""
    of_c_order(tmp_path / "rows.npy")
    rows = made(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    assert isinstance(rows, np.memmap)
    assert fitted(rows).n_clusters_ == 2
    np.testing.assert_array_equal(fitted(ROWS).predict(rows), fitted(ROWS).predict(np.array(rows)))


def test_a_map_with_gaps_is_answered_about(tmp_path: Path) -> None:
    with_a_gap(tmp_path / "rows.npy")
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    mixture = fitted(ROWS, allow_missing=True)
    np.testing.assert_array_equal(mixture.predict(mapped), mixture.predict(np.array(mapped)))


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::-2, :]])
def test_rows_in_any_order_of_memory_have_their_answers(view: Any) -> None:
    mixture = fitted(ROWS[view])
    np.testing.assert_array_equal(mixture.predict(ROWS[view]), mixture.predict(ROWS[view].copy()))
    assert np.isfinite(mixture.score_samples(ROWS[view])).all()


@types
@pytest.mark.parametrize("far", [1e4, 1e5, 1e12, 1e20, 9.97e36, -3.4e38])
def test_rows_that_float32_cannot_square_have_their_answers(
    covariance_type: str, far: float
) -> None:
    mixture = fitted(ROWS.astype(np.float32), covariance_type=covariance_type)
    rows = np.array([[far, 0], [0, far]], dtype=np.float32)
    found = mixture.predict_proba(rows)
    np.testing.assert_allclose(found, mixture.predict_proba(rows.astype(np.float64)), atol=1e-6)


@pytest.mark.parametrize("covariance_prior", [None, "local", "empirical"])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_a_column_of_large_numbers_hides_no_clusters(
    covariance_type: str, covariance_prior: str | None
) -> None:
    rng = np.random.default_rng(1)
    others = np.column_stack([ROWS, rng.normal(size=(100, 2))])
    along = others.sum(1) if covariance_type == "full" else 0  # "diag" would see more clusters
    rows = np.column_stack([others, 1e8 * (along + rng.normal(size=100))])
    mixture = fitted(rows, covariance_type=covariance_type, covariance_prior=covariance_prior)
    assert clustering_scores(LABELS, mixture.predict(rows)).ari == 1


def test_a_constant_column_far_from_0_is_expected_to_be_one() -> None:
    rows = np.column_stack([ROWS, np.full(100, 1234567.1)])
    mixture = fitted(rows, covariance_type="diag", covariance_prior="empirical")
    assert float(mixture.posterior_.prior.components.scatter[0, 2]) >= 1e-6


def test_a_single_row_of_weight_is_one_cluster() -> None:
    assert fitted(ROWS[:3], sample_weight=[0, 0, 5]).n_clusters_ == 1


def cut_short(path: Path) -> None:
    of_c_order(path)
    path.write_bytes(path.read_bytes()[:-8])


def with_nothing(path: Path) -> None:
    path.write_bytes(b"")


def without_rows(path: Path) -> None:
    np.save(path, ROWS[:0])


def with_a_gap(path: Path) -> None:
    np.save(path, with_entry(np.nan).astype(float))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (cut_short, r"must hold 1728 bytes for the shape \(100, 2\) in its header, .* only 1720"),
        (with_nothing, "is not an .npy file of numbers: EOF"),
        (without_rows, r"must be a matrix \[rows, columns\] with rows, got \(0, 2\)"),
        (with_a_gap, "must be finite, got nan in its row 3, column 1"),
    ],
)
def test_an_unusable_file_is_named(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npy"
    write(path)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} .*{message}"):
        fitted(path)


def test_a_parquet_file_with_nothing_in_it_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with_nothing(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=r"rows\.parquet cannot be read as a parquet file"):
        fitted(tmp_path / "rows.parquet")


def test_a_callable_that_yields_nothing() -> None:
    with pytest.raises(ValueError, match="the block source yielded no block"):
        fitted(lambda: iter([]))


def test_a_file_of_one_row_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", ROWS[:1])
    with pytest.raises(ValueError, match=r"two rows or more, got 1 in .*one\.npy"):
        fitted(tmp_path / "one.npy")


def test_an_iterator_which_can_be_read_once_is_refused() -> None:
    with pytest.raises(ValueError, match="give a callable that returns a new iterator"):
        fitted(iter([ROWS]))


def test_blocks_without_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a matrix of numbers.*\(5, 0\)"):
        fitted(lambda: [np.ones((5, 0))])


# --- weights and variances


@pytest.mark.parametrize("name", ["sample_weight", "var"])
@pytest.mark.parametrize("source", ["path", "map", "callable"])
def test_what_rows_in_blocks_cannot_have_is_named(name: str, source: str, tmp_path: Path) -> None:
    of_c_order(tmp_path / "rows.npy")
    rows = {
        "path": str(tmp_path / "rows.npy"),
        "map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "callable": lambda: [ROWS],
    }[source]
    given = {name: np.ones(100 if name == "sample_weight" else ROWS.shape)}
    with pytest.raises(ValueError, match=f"{name} must be None where X is .* as an array"):
        DirichletProcessGaussianMixture(6).fit(rows, **given)


def one_of_a_hundred(value: float) -> np.ndarray:
    weights = np.ones(100)
    weights[3] = value
    return weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(5), r"sample_weight\.shape == \(5,\), expected \(100,\)"),
        (np.ones((100, 2)), "Sample weights must be 1D"),
        (one_of_a_hundred(np.nan), "sample_weight contains NaN"),
        (one_of_a_hundred(np.inf), "sample_weight contains infinity"),
        (one_of_a_hundred(-1), "Negative values in data passed to `sample_weight`"),
        (np.zeros(100), "must contain at least one non-zero"),
        # What sums to one row or less has no covariance to take a prior from.
        (np.eye(100)[3], "sample_weight .* must sum to more than 1, got 1"),
        (np.full(100, 0.005), "sample_weight .* must sum to more than 1, got 0.5"),
        (np.full(100, 1e-300), "sample_weight .* must sum to more than 1, got 1e-298"),
    ],
)
def test_unusable_weights_are_named(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DirichletProcessGaussianMixture(6).fit(ROWS, sample_weight=weights)


def test_variances_of_rows_without_weight_are_left_out_with_them() -> None:
    weights, var = np.ones(100), np.full(ROWS.shape, 0.1)
    weights[:10] = 0
    ours, other = (DirichletProcessGaussianMixture(6, random_state=0) for _ in range(2))
    ours.fit(ROWS, sample_weight=weights, var=var)
    other.fit(ROWS[10:], var=var[10:])
    assert ours.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-9)


def test_variances_that_are_not_finite_are_named() -> None:
    with pytest.raises(ValueError, match="var must be finite"):
        DirichletProcessGaussianMixture(6).fit(ROWS, var=np.full(ROWS.shape, np.nan))


# --- extreme values


@types
@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_units_that_are_all_but_out_of_range(covariance_type: str, scale: float) -> None:
    """Under z → s z the bound falls by N D log s, and nothing else changes."""
    options = {"covariance_type": covariance_type, "reg_covar": 0}
    plain, scaled = fitted(ROWS, **options), fitted(scale * ROWS, **options)
    np.testing.assert_array_equal(scaled.predict(scale * ROWS), plain.predict(ROWS))
    np.testing.assert_allclose(scaled.means_[:2] / scale, plain.means_[:2], rtol=1e-6)
    expected = plain.lower_bound_ - ROWS.size * np.log(scale)
    assert scaled.lower_bound_ == pytest.approx(expected, rel=1e-9)


@types
@pytest.mark.parametrize("from_file", [False, True])
def test_squares_that_overflow_are_named(
    covariance_type: str, from_file: bool, tmp_path: Path
) -> None:
    rows = ROWS * (1e160 / np.abs(ROWS).max())
    np.save(tmp_path / "rows.npy", rows)
    message = "largest absolute value in .* must be below .*, got 1e.160: rescale"
    with pytest.raises(ValueError, match=message):
        fitted(tmp_path / "rows.npy" if from_file else rows, covariance_type=covariance_type)
    with pytest.raises(ValueError, match=message):
        fitted(ROWS, covariance_type=covariance_type).predict(rows)


@types
@pytest.mark.parametrize("scale", [1e-155, 1e-170])
@pytest.mark.parametrize("from_file", [False, True])
def test_squares_that_underflow_are_named(
    covariance_type: str, scale: float, from_file: bool, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", ROWS * scale)
    rows = tmp_path / "rows.npy" if from_file else ROWS * scale
    with pytest.raises(ValueError, match=r"the rows of X differ by .* underflows: rescale"):
        fitted(rows, covariance_type=covariance_type, reg_covar=0)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_scale_that_reg_covar_hides_is_warned_of(from_file: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS * 1e-5)
    rows = tmp_path / "rows.npy" if from_file else ROWS * 1e-5
    with pytest.warns(UserWarning, match=r"reg_covar=1e-06 is added .* no column of X has one"):
        DirichletProcessGaussianMixture(4, random_state=0).fit(rows)


@types
@pytest.mark.parametrize("scale", [1e30, 1e18, 1e-18, 1e-30])
def test_float32_whose_squares_leave_its_range(covariance_type: str, scale: float) -> None:
    rows = (scale * ROWS).astype(np.float32)
    mixture = fitted(rows, covariance_type=covariance_type, reg_covar=0)
    np.testing.assert_array_equal(mixture.predict(rows), LABELS)


@types
def test_columns_of_very_different_units(covariance_type: str) -> None:
    """To a spherical covariance the rows have one column: learned, it is too sure of its width."""
    options = {"covariance_type": covariance_type, "covariance_prior": "local"}
    mixture = fitted(ROWS * [1e-6, 1e6], **options, reg_covar=0)
    np.testing.assert_array_equal(mixture.predict(ROWS * [1e-6, 1e6]), LABELS)


@types
def test_rows_repeated_many_times_are_the_clusters(covariance_type: str) -> None:
    rows = np.repeat([[0.0, 0], [30, 5], [-7, 40]], [30, 20, 10], axis=0)
    mixture = fitted(rows, covariance_type=covariance_type)
    labels = mixture.predict(rows)
    assert [len(set(labels[part])) for part in (slice(30), slice(30, 50), slice(50, 60))] == [1] * 3
    assert np.isfinite(mixture.lower_bound_)


# --- more columns than rows


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_a_thousand_columns_of_five_hundred_rows(covariance_type: str) -> None:
    labels = np.repeat([0, 1], 250)
    rows = 10.0 * labels[:, None] + np.random.default_rng(0).normal(size=(500, 1000))
    mixture = fitted(rows, covariance_type=covariance_type)
    found = mixture.predict(rows)
    assert mixture.n_clusters_ == 2
    np.testing.assert_array_equal(found == found[0], labels == 0)


@pytest.mark.slow
def test_a_thousand_columns_of_five_hundred_rows_and_full_covariance() -> None:
    """Each component has half a million statistics, more than there are entries of X."""
    labels = np.repeat([0, 1], 250)
    rows = 10.0 * labels[:, None] + np.random.default_rng(0).normal(size=(500, 1000))
    mixture = DirichletProcessGaussianMixture(2, random_state=0, moves=False).fit(rows)
    found = mixture.predict(rows)
    np.testing.assert_array_equal(found == found[0], labels == 0)
    assert np.isfinite(mixture.lower_bound_)


def test_weights_and_variances_are_refused_for_rows_on_disk(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    np.save(tmp_path / "x.npy", X)
    for name, value in (("sample_weight", np.ones(60)), ("var", np.ones((60, 3)))):
        with pytest.raises(ValueError, match=f"^{name} must be None where X is a path"):
            DirichletProcessGaussianMixture(3).fit(tmp_path / "x.npy", **{name: value})


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_float32_clusters_far_narrower_than_the_data(covariance_type: str) -> None:
    rng, var = np.random.default_rng(0), 1e-7
    rows = rng.normal(size=(5, 2))[np.arange(500) % 5] + np.sqrt(var) * rng.normal(size=(500, 2))
    bounds = [
        DirichletProcessGaussianMixture(
            10,
            covariance_type=covariance_type,
            covariance_prior=var * np.eye(2),
            reg_covar=1e-3 * var,
            random_state=0,
        )
        .fit(rows.astype(np.float32).astype(dtype))
        .lower_bound_
        for dtype in (np.float32, np.float64)
    ]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_whose_squares_overflow_are_named(dtype: type) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    if dtype == np.float64:
        with pytest.raises(ValueError, match="X"):
            DirichletProcessGaussianMixture(3).fit(X * 1e160)
    else:
        fitted = DirichletProcessGaussianMixture(3, random_state=0).fit((X * 1e30).astype(dtype))
        assert np.isfinite(fitted.means_).all()


def test_spread_that_underflows_is_not_called_no_spread() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)) * 1e-170
    with pytest.raises(ValueError, match="underflows"):
        DirichletProcessGaussianMixture(3, reg_covar=0).fit(X)


def test_an_iterator_and_a_short_file_are_named(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    with pytest.raises((TypeError, ValueError), match="callable"):
        DirichletProcessGaussianMixture(3).fit(iter([X]))
    np.save(tmp_path / "one.npy", X[:1])
    with pytest.raises(ValueError, match=r"one\.npy"):
        DirichletProcessGaussianMixture(3).fit(tmp_path / "one.npy")


@pytest.mark.parametrize("n_rows", [-5, np.nan, 0, 0.1, "a"])
def test_how_many_rows_a_stream_has_is_checked(n_rows: Any) -> None:
    with pytest.raises(ValueError, match="n_rows must be a finite number >= 1, got"):
        DirichletProcessGaussianMixture(6).partial_fit(ROWS, n_rows=n_rows)


def test_a_source_without_rows_is_named() -> None:
    with pytest.raises(ValueError, match="the block source must hold rows, found none"):
        DirichletProcessGaussianMixture(6).fit(lambda: iter([ROWS[:0]]))
