"""A search as a study of Optuna: where its trials are kept, how they are drawn, when it ends.

Nothing here knows a model. Several processes, on one machine or many, work on one study by
sharing its storage; so does a process that goes on where another was stopped.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dimix.records.search import Trial
from dimix.search.space import Space
from dimix.training.quiet import quiet

NOTE = "note"
ENDED = (TrialState.COMPLETE, TrialState.FAIL)
LOCK_SECONDS = 60
"""How long a process waits for another that writes to the same SQLite file."""
UNUSABLE = (SQLAlchemyError, ImportError, optuna.exceptions.OptunaError)
"""What opening a database may raise."""
RETRIES = (0.3, 1.0)
"""Seconds before a database is opened again."""
LARGEST_GRID = 100_000


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched, under a name that is the same for all who share the study."""

    name: str
    space: Space
    method: str
    seed: int
    n_trials: int


Attempt = Callable[[int, Mapping[str, Any]], tuple[float | None, str]]
"""From a trial's number and parameters to its score, None if it failed, and a note."""
Announce = Callable[[tuple[Trial, ...], int], None]
"""Told of all trials that have ended, after each of this process's, with its number."""


class _Stopped(BaseException):
    """Ctrl-C in a trial, which Optuna would take for a failed one: it is left as `kill` would."""


def run(task: Task, storage: BaseStorage, attempt: Attempt, announce: Announce) -> list[Trial]:
    """Try parameters until as many trials as wanted have ended in the study; all of them.

    Raises:
        KeyboardInterrupt: Ctrl-C; the trial that it stopped does not count.
    """
    with quiet(("optuna",), ()):
        study = optuna.create_study(
            storage=storage,
            study_name=task.name,
            sampler=sampler_of(task),
            direction="maximize",
            load_if_exists=True,
        )
        if not is_complete(study, task):
            _optimize(study, task, attempt, announce)
        return ended(study, task.space)


def _optimize(study: optuna.Study, task: Task, attempt: Attempt, announce: Announce) -> None:
    """Try parameters until the study is complete."""

    def objective(trial: optuna.Trial) -> float:
        # Each trial draws with a seed of its own: a process that goes on, or works beside
        # another, would else draw what has been tried.
        study.sampler = sampler_of(task, trial.number)
        try:
            parameters = {name: entry.suggest(trial, name) for name, entry in task.space.items()}
            score, note = attempt(trial.number, parameters)
        except KeyboardInterrupt:
            raise _Stopped from None
        trial.set_user_attr(NOTE, note)
        return math.nan if score is None else score  # NaN is how Optuna is told of a failure

    def after(study: optuna.Study, trial: FrozenTrial) -> None:
        announce(tuple(ended(study, task.space)), trial.number)
        if is_complete(study, task):
            study.stop()

    try:
        study.optimize(objective, callbacks=[after])
    except _Stopped:
        raise KeyboardInterrupt from None


def is_complete(study: optuna.Study, task: Task) -> bool:
    """Whether enough trials have ended, or the grid has no other point."""
    if len(study.get_trials(deepcopy=False, states=ENDED)) >= task.n_trials:
        return True
    return isinstance(study.sampler, GridSampler) and study.sampler.is_exhausted(study)


def ended(study: optuna.Study, space: Space) -> list[Trial]:
    """The trials that have ended, in order."""
    return [_trial(frozen, space) for frozen in study.get_trials(deepcopy=False, states=ENDED)]


def _trial(frozen: FrozenTrial, space: Space) -> Trial:
    duration = frozen.duration
    return Trial(
        number=frozen.number,
        parameters={name: entry.value(frozen.params[name]) for name, entry in space.items()},
        score=frozen.value if frozen.state == TrialState.COMPLETE else None,
        seconds=duration.total_seconds() if duration else math.nan,
        note=frozen.user_attrs.get(NOTE, ""),
    )


def sampler_of(task: Task, number: int = 0) -> BaseSampler:
    """What draws the parameters of a trial."""
    if task.method == "grid":
        return GridSampler({k: entry.grid() for k, entry in task.space.items()}, task.seed)
    seed = int(np.random.SeedSequence((task.seed, number)).generate_state(1)[0])
    if task.method == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, multivariate=False)


def check_grid(space: Space) -> None:
    """Raise if a grid of the space is too large to hold."""
    n_points = math.prod(len(entry.grid()) for entry in space.values())
    if n_points > LARGEST_GRID:
        raise ValueError(
            f"a grid may have {LARGEST_GRID:,} points, and this space has {n_points:,}: take fewer "
            "points for an entry, or another method"
        )


def own_storage(file: Path | None) -> BaseStorage:
    """An SQLite file, or else memory."""
    if file is None:
        return InMemoryStorage()
    return open_storage(URL.create("sqlite", database=str(file)).render_as_string())


def open_storage(url: str) -> BaseStorage:
    """The database of a URL.

    Raises:
        ValueError: it cannot be opened; the URL, which may hold a password, is not repeated.
    """
    try:
        with quiet(("optuna", "alembic"), ()):
            return _opened(url)
    except UNUSABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            "storage must be the URL of a database that can be opened, as in "
            f"sqlite:///search.db or postgresql://user:password@host/name: {reason}"
        ) from error


def _opened(url: str) -> RDBStorage:
    """The database, with tables; processes that begin at once may get in each other's way."""
    options = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else None
    for seconds in RETRIES:
        try:
            return RDBStorage(url, engine_kwargs=options)
        except DBAPIError:
            time.sleep(seconds)
    return RDBStorage(url, engine_kwargs=options)
