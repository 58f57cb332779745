"""What a saved model's files say, each entry taken only with its type, shape and range.

Every error is a ValueError that names the file, the entry, what was found and what is allowed.
"""

import math
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from reprlib import repr as short
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import Tensor

LARGEST = 2**53
"""Beyond it a whole number is not one in every reader of JSON."""


class Claims:
    """An object of a JSON file."""

    def __init__(self, file: Path, entries: Mapping[str, Any], prefix: str = "") -> None:
        self.file, self.entries, self._prefix = file, entries, prefix

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def error(self, name: str, reason: str) -> ValueError:
        """The error of an entry."""
        return ValueError(f"{self.file}: {self._prefix + name!r} {reason}")

    def value(self, name: str, hint: Any) -> Any:
        """An entry of an annotated type; what is a tuple in Python is a list in JSON."""
        if name not in self.entries:
            raise self.error(name, "is missing")
        value = self.entries[name]
        value = tuple(value) if isinstance(value, list) else value
        if not matches(value, hint):
            raise self.error(name, f"must be {_spelled(hint)}, got {short(value)}")
        return value

    def whole(self, name: str, *, low: int, high: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        value: int = self.value(name, int)
        if value < low or (high is not None and value > high):
            top = "" if high is None else f" and <= {high}"
            raise self.error(name, f"must be >= {low}{top}, got {value}")
        return value

    def number(self, name: str, *, low: float = 0) -> float:
        """A finite number at or above ``low``."""
        value = float(self.value(name, float))
        if value < low:
            raise self.error(name, f"must be >= {low}, got {value}")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of some words."""
        value: str = self.value(name, str)
        if value not in allowed:
            names = ", ".join(map(repr, allowed))
            raise self.error(name, f"must be one of {names}, got {short(value)}")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value: bool = self.value(name, bool)
        return value

    def texts(self, name: str, length: int) -> tuple[str, ...] | None:
        """So many strings, or null."""
        value: tuple[str, ...] | None = self.value(name, tuple[str, ...] | None)
        if value is not None and len(value) != length:
            raise self.error(name, f"must have length {length}, got {len(value)}")
        return value

    def section(self, name: str) -> "Claims":
        """An object within this one."""
        return Claims(self.file, self.value(name, dict[str, Any]), f"{self._prefix}{name}.")

    def optional_section(self, name: str) -> "Claims | None":
        """An object within this one, or None for null."""
        return None if self.value(name, dict[str, Any] | None) is None else self.section(name)

    def sections(self, name: str) -> list["Claims"]:
        """A list of objects within this one."""
        found: tuple[dict[str, Any], ...] = self.value(name, tuple[dict[str, Any], ...])
        return [
            Claims(self.file, each, f"{self._prefix}{name}[{i}].") for i, each in enumerate(found)
        ]


class TensorClaims:
    """The tensors of a file, each of which must be taken once."""

    def __init__(self, file: Path, tensors: Mapping[str, Tensor]) -> None:
        self.file, self._left = file, dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def error(self, name: str, reason: str) -> ValueError:
        """The error of a tensor."""
        return ValueError(f"{self.file}: {name!r} {reason}")

    def n_axes(self, name: str) -> int:
        """How many axes a tensor has."""
        return self._found(name).ndim

    def length(self, name: str, allowed: Container[int]) -> int:
        """How many entries a tensor has along its first axis, where the file may choose."""
        shape = self._found(name).shape
        if not shape or shape[0] not in allowed:
            raise self.error(name, f"must have a length in {allowed}, got shape {tuple(shape)}")
        return shape[0]

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float64,
        low: float | None = None,
        closed: bool = False,
    ) -> Tensor:
        """A finite tensor, every entry of it at or, if not ``closed``, above ``low``."""
        tensor = self._found(name)
        if tensor.dtype != dtype or tensor.shape != shape:
            raise self.error(
                name,
                f"must be {_dtype(dtype)} of shape {shape}, "
                f"got {_dtype(tensor.dtype)} of shape {tuple(tensor.shape)}",
            )
        if not bool(tensor.isfinite().all()):
            raise self.error(name, "must be finite")
        if low is not None and tensor.numel():
            least = tensor.min().item()
            if least < low or (least == low and not closed):
                raise self.error(name, f"must be {'>=' if closed else '>'} {low}, got {least}")
        return self._left.pop(name)

    def check_positive_definite(self, name: str, matrices: Tensor) -> None:
        """Raise unless every matrix is symmetric and has a Cholesky factor."""
        size = matrices.abs().amax((-2, -1), keepdim=True)
        symmetric = bool(((matrices - matrices.mT).abs() <= 1e-9 * size).all())
        if not symmetric or bool(torch.linalg.cholesky_ex(matrices).info.any()):
            raise self.error(name, "must be symmetric and positive definite")

    def finish(self) -> None:
        """Raise if the file holds more than what was taken."""
        for name in self._left:
            raise self.error(name, "is not expected here")

    def _found(self, name: str) -> Tensor:
        if name not in self._left:
            raise self.error(name, "is missing")
        return self._left[name]


def matches(value: object, hint: Any) -> bool:
    """Whether a value is of an annotated type; an int is a float, a bool is no number."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(matches(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(value) == len(kinds) and all(map(matches, value, kinds))
    if hint is float and isinstance(value, float):
        return math.isfinite(value)
    if hint in (int, float):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    return isinstance(value, NoneType if hint is None else origin or hint)


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
