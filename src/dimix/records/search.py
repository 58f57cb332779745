"""What a search over parameters leaves behind: its trials as a table, and the best one as JSON.

trials.csv   one line a trial
best.json    model, parameters and seed of the trial with the highest score
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimix.records.files import atomic_write

TRIALS, BEST = "trials.csv", "best.json"
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice of the parameters that were searched, and what came of it.

    score: the bound on held-out data, mean nats per sample; None if the trial failed.
    note: why it failed, or what was warned of.
    """

    number: int
    parameters: Parameters
    score: float | None
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search so far: what was the same in all trials, and every trial that has ended.

    fixed: parameters that all trials share; log_scale: the searched ones drawn uniformly in logs.
    """

    model: str
    method: str
    seed: int
    n_rows: int
    n_held_out: int
    fixed: Parameters
    log_scale: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def ranked(self) -> list[Trial]:
        """The trials that did not fail, the highest score first."""
        scored = [(trial.score, trial) for trial in self.trials if trial.score is not None]
        return [trial for _, trial in sorted(scored, key=lambda pair: -pair[0])]

    @property
    def best(self) -> Trial | None:
        """The trial with the highest score; None while all have failed."""
        return self.ranked[0] if self.ranked else None

    @property
    def best_parameters(self) -> dict[str, Any]:
        """All parameters of the best trial, those that were fixed among them.

        Raises:
            ValueError: no trial has ended well.
        """
        if self.best is None:
            why = f"; the first: {self.trials[0].note}" if self.trials else ""
            raise ValueError(f"none of {len(self.trials)} trials ended well{why}")
        return dict(self.fixed) | dict(self.best.parameters)

    @property
    def searched(self) -> list[str]:
        """The names of the parameters that were searched."""
        return list(self.trials[0].parameters) if self.trials else []


def write_search(result: SearchResult, folder: Path) -> None:
    """Write `trials.csv` and, once a trial has ended well, `best.json`."""
    with atomic_write(folder / TRIALS) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["trial", "score", "seconds", *result.searched, "note"])
        writer.writerows(_line(trial) for trial in result.trials)
    if result.best is None:
        return
    best = {
        "model": result.model,
        "parameters": result.best_parameters,
        "score": result.best.score,
        "seed": result.seed,
        "trial": result.best.number,
    }
    with atomic_write(folder / BEST) as out:
        json.dump(best, out, indent=1, allow_nan=False)


def _line(trial: Trial) -> list[object]:
    """A trial's cells; a failed one's score is empty."""
    values = [json.dumps(v) if isinstance(v, tuple) else v for v in trial.parameters.values()]
    return [trial.number, trial.score, f"{trial.seconds:.1f}", *values, trial.note]
