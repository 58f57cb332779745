"""A fit's folder: what was asked for, what the data must be, checkpoints, model, report, result.

fit.json        the request, written first: with it alone a fit can be resumed
data.json       what new data must have, and how they are standardised
training/       checkpoints and curves after every epoch
model/          the saved model
report/         the page and what it is made from
result.json     clusters and scores, written last: the fit is complete

Whatever of these is there is whole; a fit stopped at any moment can be resumed, or is complete.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Shaped

from dimix.cli.models import CLASSES
from dimix.cli.options import takes_gaps
from dimix.records import atomic_write

if TYPE_CHECKING:  # scikit-learn takes a second that help does not need
    from dimix.data import Preparation, Selection

REQUEST, DATA, TRAINING, MODEL = "fit.json", "data.json", "training", "model"
REPORT, RESULT = "report", "result.json"
PART = ".part"
"""What the name of a file that is not whole yet ends in; a killed fit may leave one behind."""
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A fit as it was asked for. `sha256` is of the data's numbers; labels only score."""

    source: str
    sha256: str
    model: str
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    standardize: bool = True
    columns: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    label_column: str | None = None
    image_size: tuple[int, int] | None = None
    split: str = "train"
    labels: str | None = None

    def selection(self) -> "Selection":
        """What of the source is wanted."""
        from dimix.data import Selection

        names = {f.name for f in fields(Selection)} & {f.name for f in fields(self)}
        given = {name: getattr(self, name) for name in names}
        return Selection(**given, missing=takes_gaps(self.parameters))

    def differences(self, other: Self) -> list[str]:
        """What would make another model of it; where the data lie is no such thing."""
        names = ("sha256", "model", "seed", "parameters", "standardize", "columns")
        mine, theirs = json.loads(_text(self)), json.loads(_text(other))
        return [
            "the data" if name == "sha256" else f"{name} {theirs[name]!r}, not {mine[name]!r}"
            for name in names
            if mine[name] != theirs[name]
        ]


def digest(X: Shaped[np.ndarray, "..."]) -> str:
    """The SHA-256 of an array's type, shape and numbers."""
    about = hashlib.sha256(f"{X.dtype.str} {X.shape}".encode())
    about.update(np.ascontiguousarray(X).data)
    return about.hexdigest()


def check_free(out: Path, request: Request) -> None:
    """Raise unless a folder is free for this fit, or holds the same one.

    A request from which nothing has been trained yet gives way to another.

    Raises:
        FileExistsError: it is a file, holds another fit, or something else.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out}: expected a folder for the fit, found a file")
    if not (out / REQUEST).exists():
        if out.is_dir() and any(file.suffix != PART for file in out.iterdir()):
            raise FileExistsError(f"{out}: expected a new or empty folder, found other files in it")
        return
    begun = (out / MODEL).exists() or any(out.glob(f"{TRAINING}/**/*.ckpt"))
    other = read_request(out).differences(request) if begun else []
    if other:
        raise FileExistsError(
            f"{out} holds another fit, and nothing in it was changed; this one has "
            f"{'; '.join(other)}: give another folder"
        )


def read_request(folder: Path) -> Request:
    """What `write_json` wrote of a request.

    Raises:
        ValueError: the folder holds no fit, or one of another format.
    """
    claims = read_json(folder, REQUEST)
    expected = {f.name for f in fields(Request)} | {"schema"}
    if set(claims) != expected or claims["schema"] != SCHEMA or claims["model"] not in CLASSES:
        raise ValueError(f"{folder / REQUEST}: not the request of a fit by this version of dimix")
    del claims["schema"]
    lists = {k: tuple(v) for k, v in claims.items() if isinstance(v, list)}
    return Request(**(claims | lists))


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in a fit's folder.

    Raises:
        ValueError: there is no such file, or it holds something else.
    """
    file = folder / name
    if not file.is_file():
        raise ValueError(f"{folder}: expected a folder that `dimix fit` wrote, found no {name}")
    try:
        value = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file}: must hold a JSON object, found {type(value).__name__}")
    return value


def write_request(folder: Path, request: Request) -> None:
    """Write fit.json."""
    with atomic_write(folder / REQUEST) as out:
        out.write(_text(request))


def write_json(folder: Path, name: str, value: Mapping[str, Any]) -> None:
    """Write a JSON object into a fit's folder."""
    with atomic_write(folder / name) as out:
        json.dump(value, out, indent=1, sort_keys=True, allow_nan=False)


def _text(request: Request) -> str:
    return json.dumps({"schema": SCHEMA} | asdict(request), indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit that has its model."""

    folder: Path
    request: Request
    preparation: "Preparation"
    model: Any


def read_preparation(folder: Path) -> "Preparation":
    """What new data must have."""
    from dimix.data import Preparation

    return Preparation.from_json(read_json(folder, DATA), folder / DATA)


def open_fit(folder: Path) -> Fit:
    """A fit's model and what belongs to it.

    Raises:
        ValueError: the folder holds no fit, one without a model yet, or a damaged one.
    """
    import dimix

    request = read_request(folder)
    if not (folder / MODEL).exists():
        raise ValueError(
            f"{folder}: this fit has no model yet; `dimix resume {folder}` goes on with it"
        )
    return Fit(folder, request, read_preparation(folder), dimix.load(folder / MODEL))
