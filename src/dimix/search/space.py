"""The space of a search: which parameters are tried, and with what values.

As JSON, which `read_space` takes and `to_json` gives:

    {"latent_dim": {"low": 4, "high": 20},
     "learning_rate": {"low": 3e-4, "high": 3e-3, "log": true, "points": 5},
     "batch_size": [128, 256, 512]}
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, both among them; integers if both ends are.

    log: drawn uniformly in logs; points: how many of them a grid takes, evenly.
    """

    low: float
    high: float
    log: bool = False
    points: int = 3

    def __post_init__(self) -> None:
        _check(all(map(_is_number, self.ends)), "low and high must be finite numbers", self)
        _check(self.low < self.high, "low must be below high", self)
        _check(not self.log or self.low > 0, "low must be positive with log", self)
        _check(self.points >= 2, "points must be 2 or more", self)

    @property
    def integer(self) -> bool:
        """Whether only integers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The least and the greatest value."""
        return self.low, self.high

    def grid(self) -> list[Any]:
        """The values that a grid takes, in order."""
        spaced = np.geomspace if self.log else np.linspace
        values = spaced(self.low, self.high, self.points)[1:-1].tolist()
        inner = map(round, values) if self.integer else values
        return list(dict.fromkeys((self.low, *inner, self.high)))

    def suggest(self, trial: Any, name: str) -> float:
        """The value of this parameter in an Optuna trial."""
        suggest = trial.suggest_int if self.integer else trial.suggest_float
        value: float = suggest(name, self.low, self.high, log=self.log)
        return value

    def value(self, stored: Any) -> Any:
        """What Optuna's storage holds as a value of this parameter."""
        return stored

    def to_json(self) -> Any:
        """As it stands in a file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values: numbers, texts, or tuples of these, as an `architecture` may be."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        _check(len(self.options) > 0, "no options", self)
        _check(all(map(is_option, self.options)), "options are numbers, texts or tuples", self)

    @property
    def ends(self) -> tuple[Any, ...]:
        """All options."""
        return self.options

    def grid(self) -> list[Any]:
        """The options by which Optuna knows them: what is no plain value, as JSON."""
        return list(self._by_key())

    def suggest(self, trial: Any, name: str) -> Any:
        """The value of this parameter in an Optuna trial."""
        return self.value(trial.suggest_categorical(name, self.grid()))

    def value(self, stored: Any) -> Any:
        """What Optuna's storage holds as a value of this parameter."""
        return self._by_key()[stored]

    def to_json(self) -> Any:
        """As it stands in a file."""
        return list(self.options)

    def _by_key(self) -> dict[Any, Any]:
        return {json.dumps(o) if isinstance(o, tuple) else o: o for o in self.options}


Space = Mapping[str, Range | Choice]
"""What is tried of each parameter, by its name."""


def read_space(file: str | Path) -> Space:
    """A space from a JSON file.

    Raises:
        ValueError: it holds no space; the message names the entry.
    """
    try:
        claims = json.loads(Path(file).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    if not isinstance(claims, dict) or not claims:
        raise ValueError(f"{file}: expected an object with an entry for each parameter")
    return {name: _entry(claim, f"{file}: {name}") for name, claim in claims.items()}


def _entry(claim: Any, where: str) -> Range | Choice:
    """One entry of a space."""
    try:
        if isinstance(claim, list):
            return Choice(tuple(tuple(o) if isinstance(o, list) else o for o in claim))
        return Range(**_range_claims(claim))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _range_claims(claim: Any) -> dict[str, Any]:
    """What `Range` takes, each of the type that it takes."""
    if not isinstance(claim, dict) or not {"low", "high"} <= claim.keys() <= _TYPES.keys():
        raise ValueError(
            "expected a list of values, or an object with low, high and perhaps log and points; "
            f"found {claim!r}"
        )
    for name, value in claim.items():
        _check(isinstance(value, _TYPES[name]), f"{name} must be {_NOUNS[name]}", value)
    return claim


_TYPES: Mapping[str, Any] = {"low": int | float, "high": int | float, "log": bool, "points": int}
_NOUNS = {"low": "a number", "high": "a number", "log": "true or false", "points": "an integer"}


def _check(good: bool, rule: str, entry: object) -> None:
    if not good:
        raise ValueError(f"{rule}; found {entry!r}")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def is_option(value: object) -> bool:
    """Whether it is a number, a text, or a tuple of these."""
    if isinstance(value, tuple):
        return all(map(is_option, value))
    return isinstance(value, str | bool) or _is_number(value)
