"""`dimix search`: parameters tried on own data, scored by the bound on held-out rows."""

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dimix.cli import models
from dimix.cli.options import (
    Columns,
    Drop,
    ImageSize,
    LabelColumn,
    Parameters,
    Split,
    Standardize,
    parse_set,
    prepared,
    takes_gaps,
    wanted,
)
from dimix.cli.output import UNEXPECTED, AsJson, answering, console_for, fail, print_json, tell

if TYPE_CHECKING:
    from dimix.records.search import SearchResult, Trial

PAGE = "search.html"


def search(
    data: Annotated[str, typer.Argument(help="Data in any form that `dimix fit` takes.")],
    out: Annotated[Path, typer.Option(help="Folder for the trials and what is best.")],
    model: Annotated[
        Literal["infinite", "gmvae", "vae", "mixture"], typer.Option(help="Which model.")
    ] = "infinite",
    method: Annotated[
        Literal["random", "grid", "tpe"], typer.Option(help="How parameters are chosen.")
    ] = "random",
    trials: Annotated[int, typer.Option(min=1, help="How many there are to be in all.")] = 20,
    space: Annotated[
        Path | None, typer.Option(help="A JSON file that says what is tried; default: built in.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database to share; default SQLite in the folder."),
    ] = None,
    held_out: Annotated[float, typer.Option(help="The share of the rows that scores.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of split, trials and fits.")] = 0,
    label_column: LabelColumn = None,
    columns: Columns = None,
    drop: Drop = None,
    image_size: ImageSize = None,
    split: Split = "train",
    standardize: Standardize = True,
    set_: Parameters = None,
    as_json: AsJson = False,
) -> None:
    """Search for parameters: many fits, each scored by the bound on rows held out from it.

    Run it again to go on with a search that was stopped, or with more trials.

    Example: dimix search table.csv --out runs/search --model mixture --trials 30
    """
    console = console_for(as_json)
    with answering(f"stopped; the same command goes on, and what has been tried is in {out}"):
        from dimix.data import Selection
        from dimix.report.search import write_search_report
        from dimix.search import read_space
        from dimix.search import search as run

        def announce(result: "SearchResult", trial: "Trial") -> None:
            tell(console, line(result, trial, trials))
            write_search_report(result, out / PAGE)

        own, given = None if space is None else read_space(space), parse_set(set_)
        asked = wanted(columns, drop, label_column, image_size, split)
        selection = Selection(**asked, missing=takes_gaps(given))
        _, _, X = prepared(data, selection, standardize=standardize)
        parameters, reasons = models.chosen(model, given, X)
        told = [why for why in reasons if why.split()[0] not in (own or {})]
        tell(console, "\n".join([f"data: {len(X):,} rows from {data}", *told]))
        result = run(
            X,
            own,
            model=model,
            method=method,
            n_trials=trials,
            storage=storage,
            seed=seed,
            out=out,
            held_out=held_out,
            parameters={k: v for k, v in parameters.items() if k in given or k not in (own or {})},
            announce=announce,
            progress=not as_json,
        )
        write_search_report(result, out / PAGE)
    finish(result, data, out, as_json)


def line(result: "SearchResult", trial: "Trial", n_trials: int) -> str:
    """What came of a trial."""
    chosen = "  ".join(f"{name} {written(value)}" for name, value in trial.parameters.items())
    score = f"failed: {trial.note}" if trial.score is None else f"{trial.score:.3f} nats a sample"
    done = f"[{time.strftime('%H:%M:%S')}] trial {trial.number}, {len(result.trials)} of {n_trials}"
    return f"{done}: {score}  ({chosen})"


def written(value: Any) -> str:
    """A parameter as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def finish(result: "SearchResult", data: str, out: Path, as_json: bool) -> None:
    """Say what is best, and how to fit it to all rows."""
    console, best = console_for(as_json), result.best
    if best is None:
        fail(f"none of {len(result.trials)} trials ended well: {result.trials[0].note}", UNEXPECTED)
    command = ["dimix", "fit", data, "--out", "DIR", "--model", result.model]
    for name, value in result.best_parameters.items():
        command += ["--set", f"{name}={written(value)}"]
    tell(console, f"best: trial {best.number}, {best.score:.3f} nats a sample on held-out rows")
    tell(console, "fit it to all rows, with the options that the data had here:")
    tell(console, f"  {shlex.join(command)} --seed {result.seed}")
    tell(console, f"trials: {out / PAGE}")
    if as_json:
        print_json(
            {
                "folder": str(out),
                "model": result.model,
                "n_failed": len(result.trials) - len(result.ranked),
                "n_trials": len(result.trials),
                "parameters": result.best_parameters,
                "score": best.score,
                "trial": best.number,
            }
        )
