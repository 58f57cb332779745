"""Data as a model takes them: tables standardised by scikit-learn, and kept as JSON to do it again.

A `Preparation` is all that new data must have, and what becomes of them. It travels as JSON, of
which every entry is checked when it is read.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.preprocessing import StandardScaler

from dimix.data.base import Data, DataError, Kind, Selection, Split

SCHEMA = 1
DTYPES = ("uint8", "float32", "float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is known of the data that a model was fitted to.

    centre, scale: of each column, in the data's units; None leaves values as they are.
    resized: images were brought to the shape of a sample.
    missing: values of a table may be missing, and are NaN then.
    """

    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] | None = None
    centre: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    resized: bool = False
    missing: bool = False

    @classmethod
    def of(
        cls,
        data: Data,
        *,
        standardize: bool = True,
        resized: bool = False,
        missing: bool = False,
        source: str | Path = "the data",
    ) -> Self:
        """Learn it from data; images are never standardised.

        Raises:
            DataError: a column has no value, or numbers that are too large for its mean or
                variance to be a float; ``source`` is where they were read.
        """
        centre = scale = None
        if missing and data.kind == "table":
            _check_observed(data, source)
        if standardize and data.kind == "table":
            with np.errstate(over="ignore", invalid="ignore"):
                scaler = StandardScaler().fit(data.X)
            _check_held(np.stack([scaler.mean_, scaler.var_]), data, source, "to standardise")
            centre, scale = (tuple(map(float, v)) for v in (scaler.mean_, scaler.scale_))
        return cls(
            kind=data.kind,
            shape=data.X.shape[1:],
            dtype=str(data.X.dtype),
            columns=data.columns,
            centre=centre,
            scale=scale,
            resized=resized,
            missing=missing,
        )

    def selection(self, split: Split = "train") -> Selection:
        """How new data are to be read."""
        return Selection(
            columns=self.columns,
            image_size=(self.shape[0], self.shape[1]) if self.resized else None,
            colour=len(self.shape) == 3 if self.kind == "images" else None,
            split=split,
            missing=self.missing,
        )

    def apply(self, data: Data, source: str | Path) -> Shaped[np.ndarray, "N *shape"]:
        """New data in the model's units.

        Raises:
            DataError: they are not of the kind, shape or type that the model was fitted to, or
                hold numbers that are infinite in its units.
        """
        if data.X.shape[1:] != self.shape:
            raise DataError(
                f"{source}: expected {self.kind} with samples of shape {list(self.shape)}, as in "
                f"the fit, found {list(data.X.shape[1:])}"
            )
        if self.centre is not None:
            return self._standardised(data, source)
        if (data.X.dtype == np.uint8) != (self.dtype == "uint8"):
            raise DataError(
                f"{source}: expected values of type {self.dtype}, as in the fit, found "
                f"{data.X.dtype}: bytes are divided by 255, other numbers are not"
            )
        return _cast(data, self.dtype, source)

    def _standardised(self, data: Data, source: str | Path) -> Float[np.ndarray, "N P"]:
        rows = _cast(data, "float32" if self.dtype == "float32" else "float64", source)
        with np.errstate(over="ignore"):
            scaled: Float[np.ndarray, "N P"] = self._scaler().transform(rows)
        _check_held(scaled, data, source, f"for {scaled.dtype} in the units of the fit")
        return scaled

    def undo(self, X: Float[np.ndarray, "N *shape"]) -> Float[np.ndarray, "N *shape"]:
        """What comes out of a model in the units of the data."""
        if self.centre is None:
            return X
        back: Float[np.ndarray, "N P"] = self._scaler().inverse_transform(X.astype(np.float64))
        return back

    def _scaler(self) -> StandardScaler:
        """scikit-learn's scaler as it was fitted."""
        scaler = StandardScaler()
        scaler.mean_, scaler.scale_ = np.array(self.centre), np.array(self.scale)
        scaler.n_features_in_ = len(scaler.mean_)
        return scaler

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {"schema": SCHEMA} | asdict(self)

    @classmethod
    def from_json(cls, claims: Mapping[str, Any], file: Path) -> Self:
        """What `to_json` gave; ``file`` is where it was read, for an error.

        Raises:
            DataError: an entry is missing, unknown, or not what it can be.
        """
        claims = {"missing": False} | dict(claims)  # which older files do not say
        expected = {field.name for field in fields(cls)} | {"schema"}
        if set(claims) != expected or claims["schema"] != SCHEMA:
            raise DataError(
                f"{file}: expected schema {SCHEMA} and the entries {', '.join(sorted(expected))}, "
                f"found {', '.join(sorted(claims)) or 'none'}"
            )
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in claims.items()
        }
        del values["schema"]
        for name, is_good in _CHECKS.items():
            if not is_good(values):
                raise DataError(f"{file}: '{name}' cannot be {claims[name]!r}"[:300])
        return cls(**values)


def constant_columns(data: Data) -> list[str]:
    """The names, or numbers from 1, of a table's columns that hold one value alone."""
    names = _column_names(data)
    is_constant = np.nanmin(data.X, 0) == np.nanmax(data.X, 0)
    return [name for name, alone in zip(names, is_constant, strict=True) if alone]


def numbering_columns(data: Data) -> list[str]:
    """The names, or numbers from 1, of columns that hold N whole numbers in a row, in any order."""
    if len(data) < 3:
        return []
    steps, names = np.arange(len(data)), _column_names(data)
    candidates = np.flatnonzero(np.ptp(data.X, 0) == steps[-1])
    return [
        names[int(j)]
        for j in candidates
        if np.array_equal(np.sort(data.X[:, j]) - data.X[:, j].min(), steps)
    ]


def _check_observed(data: Data, source: str | Path) -> None:
    """Raise if all of a column's values are missing."""
    if (empty := np.isnan(data.X).all(0)).any():
        name = _column_names(data)[int(empty.argmax())]
        raise DataError(f"{source}: expected a value in every column, found none in {name!r}")


def _column_names(data: Data) -> Sequence[str]:
    return data.columns or [str(j + 1) for j in range(data.X.shape[1])]


def _cast(data: Data, dtype: str, source: str | Path) -> Shaped[np.ndarray, "N *shape"]:
    """The data in a type that is finite for all of them."""
    with np.errstate(over="ignore"):
        X = data.X.astype(dtype, copy=False)
    _check_held(X, data, source, f"for {dtype}, as in the fit")
    return X


def _check_held(
    X: Shaped[np.ndarray, "n *shape"], data: Data, source: str | Path, purpose: str
) -> None:
    """Raise if what became of the data is not finite: they are too large for the purpose."""
    lost = ~np.isfinite(X)
    if lost.any() and X.shape == data.X.shape:
        lost &= ~np.isnan(data.X)
    bad = np.argwhere(lost)
    if not len(bad):
        return
    of, where = data.X, ""
    if data.kind == "table":
        column = int(bad[0][1])
        of, where = data.X[:, column], f" in column {_column_names(data)[column]!r}"
    raise DataError(
        f"{source}: expected values that are not too large {purpose}, found {np.nanmin(of):.4g} "
        f"to {np.nanmax(of):.4g}{where}: rescale them"
    )


def _are(values: Any, kind: type, length: int | None = None) -> bool:
    """Whether these are so many values of a type; a truth value is no number."""
    return (
        isinstance(values, tuple)
        and (length is None or len(values) == length)
        and all(isinstance(value, kind) and not isinstance(value, bool) for value in values)
    )


def _is_shape(values: Mapping[str, Any]) -> bool:
    shape, axes = values["shape"], (1,) if values["kind"] == "table" else (2, 3)
    return _are(shape, int) and len(shape) in axes and min(shape) > 0


def _numbers(values: Mapping[str, Any], name: str, low: float) -> bool:
    """Whether centre or scale is there for each column, finite and above ``low``, or neither is."""
    if values[name] is None:
        return values["centre"] is None and values["scale"] is None
    return (
        values["kind"] == "table"
        and _are(values[name], float, values["shape"][0])
        and all(math.isfinite(value) and value > low for value in values[name])
    )


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "kind": lambda v: v["kind"] in get_args(Kind),
    "shape": _is_shape,
    "dtype": lambda v: v["dtype"] in DTYPES,
    "columns": lambda v: v["columns"] is None or _are(v["columns"], str, v["shape"][0]),
    "centre": lambda v: _numbers(v, "centre", -math.inf),
    "scale": lambda v: _numbers(v, "scale", 0.0),
    "resized": lambda v: isinstance(v["resized"], bool),
    "missing": lambda v: isinstance(v["missing"], bool),
}
"""Whether each entry may be what it is; an entry may rely on those before it."""
