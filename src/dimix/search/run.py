"""One call that searches: the rows are split once, and each trial is a fit scored on the rest."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import joblib
import numpy as np
from jaxtyping import Shaped
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array

from dimix.mixture.estimator.arguments import check_choice, check_number
from dimix.records import atomic_write
from dimix.records.search import Parameters, SearchResult, Trial, write_search
from dimix.search.models import (
    MIXTURE,
    MODELS,
    HeldOut,
    Rows,
    attempt,
    checked_space,
    fixed_parameters,
)
from dimix.search.space import Range, Space

Method = Literal["random", "grid", "tpe"]
Announce = Callable[[SearchResult, Trial], None]

REQUEST, DATABASE = "search.json", "search.db"
PART = ".part"
"""What the name of a file that is not whole yet ends in."""


@dataclass(frozen=True, slots=True)
class Request:
    """A search as it was asked for; `data` is a checksum. More trials are the same search."""

    model: str
    method: str
    seed: int
    held_out: float
    parameters: Parameters
    space: Mapping[str, Any]
    data: str

    @property
    def text(self) -> str:
        """As it stands in a file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @property
    def name(self) -> str:
        """The study's name: another search in the same database has another."""
        return f"dimix-{self.model}-{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A search whose arguments are checked: what a trial does, and what is kept after it."""

    request: Request
    space: Space
    train: Rows
    test: HeldOut
    out: Path | None
    announce: Announce | None
    progress: bool

    def attempt(self, number: int, chosen: Parameters) -> tuple[float | None, str]:
        """Fit and score one choice of parameters."""
        own: dict[str, Any] = {"random_state": self.request.seed}
        if self.request.model != MIXTURE:
            own["progress"] = f"trial {number}" if self.progress else False
        parameters = {**self.request.parameters, **chosen, **own}
        return attempt(self.request.model, parameters, self.train, self.test)

    def after(self, trials: Sequence[Trial], number: int) -> None:
        """Keep what has been found so far, and tell of the last trial."""
        result = self.result(trials)
        if self.announce:
            self.announce(result, next(trial for trial in trials if trial.number == number))

    def result(self, trials: Sequence[Trial]) -> SearchResult:
        """The search so far, also as files."""
        entries = self.space.items()
        result = SearchResult(
            model=self.request.model,
            method=self.request.method,
            seed=self.request.seed,
            n_rows=len(self.train) + len(self.test),
            n_held_out=len(self.test),
            fixed=self.request.parameters,
            log_scale=tuple(k for k, v in entries if isinstance(v, Range) and v.log),
            trials=tuple(trials),
        )
        if self.out:
            write_search(result, self.out)
        return result


def search(
    X: ArrayLike,
    space: Space | None = None,
    *,
    model: str = "infinite",
    method: Method = "random",
    n_trials: int = 20,
    storage: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    held_out: float = 0.2,
    parameters: Parameters | None = None,
    announce: Announce | None = None,
    progress: bool = False,
) -> SearchResult:
    """Try parameters of a model, each scored by the bound on data held out from its fit.

    The score is the estimator's `score`: the mean bound on log p(x), nats per sample, each term
    at weight 1; of the model "mixture", the mean log density. A trial that diverges has failed,
    and the search goes on. The same call goes on with a search that was stopped.

    Args:
        X: rows [N, P] or images [N, H, W(, C)], as the estimators take them.
        space: a `Range` or `Choice` by parameter; None takes `SPACES[model]`.
        model: "infinite", "gmvae", "vae" or "mixture".
        method: "random", "grid" (in random order), or "tpe", which learns from earlier trials.
        n_trials: how many trials there are to be in all, those of earlier calls among them.
        storage: URL of a database, which any number of processes may share; None takes
            `search.db` in `out`, or memory.
        seed: of the split, of what is tried, and of every fit.
        out: a folder for `trials.csv` and `best.json`, written after every trial.
        held_out: the share of the rows that scores, and trains no model.
        parameters: what all trials share.
        announce: called with the search so far and the trial, after each trial of this process.
        progress: whether each fit shows its progress.

    Raises:
        ValueError: bad data, space or parameters, before any work.
        FileExistsError: `out` holds another search, or something else.
        ModuleNotFoundError: the package of the extra "search" is not installed.
        KeyboardInterrupt: Ctrl-C; what has been tried is kept.
    """
    if find_spec("optuna") is None:
        raise ModuleNotFoundError("optuna: pip install 'dimix[search]'")
    from dimix.search import study

    check_choice("model", model, tuple(MODELS))
    check_choice("method", method, get_args(Method))
    check_number("n_trials", n_trials, low=1, integer=True)
    check_number("seed", seed, low=0, integer=True)
    check_number("held_out", held_out, low=0, closed=False)
    if held_out >= 1:
        raise ValueError(f"held_out must be a share below 1, got {held_out!r}")
    seed, held_out = int(seed), float(held_out)
    finite = "allow-nan" if (parameters or {}).get("allow_missing") is True else True
    rows = check_array(X, allow_nd=True, ensure_min_samples=2, ensure_all_finite=finite)
    fixed = fixed_parameters(model, parameters or {}, rows)
    space = checked_space(model, space, fixed)
    if method == "grid":
        study.check_grid(space)
    folder = None if out is None else Path(out)
    entries = {name: entry.to_json() for name, entry in space.items()}
    request = Request(model, method, seed, held_out, fixed, entries, joblib.hash(rows))
    searched = Search(request, space, *_split(rows, held_out, seed), folder, announce, progress)
    database = None if storage is None else study.open_storage(storage)
    if folder:
        begin(folder, request)
    if database is None:
        database = study.own_storage(folder and folder / DATABASE)
    task = study.Task(request.name, space, method, seed, n_trials)
    return searched.result(study.run(task, database, searched.attempt, searched.after))


def _split(
    rows: Shaped[np.ndarray, "all *shape"], held_out: float, seed: int
) -> tuple[Rows, HeldOut]:
    """The rows that train, and those that score."""
    train, test = train_test_split(rows, test_size=held_out, random_state=seed)
    return train, test


def begin(out: Path, request: Request) -> None:
    """Write the request into a folder that is free for it, or holds the same one.

    Raises:
        FileExistsError: it is a file, holds another search, or something else.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out}: expected a folder for the search, found a file")
    if (out / REQUEST).exists():
        _check_same(out, request)
    elif out.is_dir() and any(file.suffix != PART for file in out.iterdir()):
        raise FileExistsError(f"{out}: expected a new or empty folder, found other files in it")
    with atomic_write(out / REQUEST) as file:
        file.write(request.text)


def _check_same(out: Path, request: Request) -> None:
    try:
        found = json.loads((out / REQUEST).read_text("utf-8"))
    except ValueError as error:
        raise FileExistsError(f"{out / REQUEST}: not JSON: {error}") from None
    own = json.loads(request.text)
    other = [name for name in own if found.get(name) != own[name]]
    if other:
        raise FileExistsError(
            f"{out} holds another search, and nothing in it was changed; this one has another "
            f"{', '.join(other)}: give another folder"
        )
