"""`dimix reproduce` runs the paper's experiment, `dimix report` redraws its report."""

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from dimix.cli.folder import REPORT, REQUEST
from dimix.cli.output import GOES_ON, UNEXPECTED, answering, fail

if TYPE_CHECKING:
    from dimix.experiments import Grid
    from dimix.records import Record

console = Console()


def reproduce(
    dataset: Annotated[
        str, typer.Option(help="digits, mnist-5k, mnist, or idx:DIR (four IDX files).")
    ] = "mnist",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder that holds mnist/; default $DIMIX_DATA.")
    ] = None,
    latent_dim: Annotated[
        list[int], typer.Option(min=1, help="Latent dimension Z; repeat for several.")
    ] = [8, 10, 16, 64],  # noqa: B006  typer reads the list, nobody writes it
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every network.")] = 100,
    seed: Annotated[list[int], typer.Option(min=0, help="Seed; repeat for several.")] = [0],  # noqa: B006
    row: Annotated[
        list[str] | None, typer.Option(help="A row of Table 1; repeat; default all.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for records, tables, figures.")] = Path(
        "runs/paper"
    ),
    device: Annotated[
        Literal["cpu", "cuda", "auto"], typer.Option(help="What the networks are trained on.")
    ] = "cpu",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
) -> None:
    """Run the paper's grid: rows × latent dimensions × seeds. Run it again to go on.

    Example: dimix reproduce --dataset mnist-5k --latent-dim 10 --epochs 30 --out runs/demo
    """
    from dimix import experiments
    from dimix.training import DivergedError

    with answering(GOES_ON):
        rows = experiments.find_rows(row or [])
        grid = experiments.Grid(dataset, data_dir, rows, latent_dim, seed, epochs, out, device)
        if dry_run:
            experiments.check_folder(grid)
            print_plan(grid)
            return
        try:
            experiments.reproduce(grid, announce)
        except DivergedError as error:
            fail(str(error), UNEXPECTED)
    report(out)


def report(out: Annotated[Path, typer.Argument(help="A folder that `reproduce` wrote.")]) -> None:
    """Write tables, figures and report.html from a run's records, finished or not.

    Example: dimix report runs/demo
    """
    from dimix.report import terminal_table, write_report

    if (out / REQUEST).exists():
        fail(f"{out} is a fit: its report is {out / REPORT / 'report.html'}, which `cut` redraws")
    if not any(out.glob("cells/*/*/record.json")):
        fail(f"{out} holds no finished cell of a run")
    with answering(GOES_ON), console.status("drawing the report"):
        files = write_report(out)
    console.print(terminal_table(out))
    console.print(f"report: {files.page}", soft_wrap=True)


def announce(record: "Record") -> None:
    """One line a finished cell."""
    test = record.scores["test"]
    console.print(
        f"[{time.strftime('%H:%M:%S')}] {record.cell}  test NMI {test['nmi']:.3f}  "
        f"CS {test['cs']:.3f}  acc {test['acc']:.3f}  clusters {test['n_clusters']:.0f}  "
        f"({record.seconds:.0f} s)",
        markup=False,
        soft_wrap=True,
    )


def print_plan(grid: "Grid") -> None:
    """The paper's Table 1, the cells still to run and how long they may take."""
    from dimix.experiments import estimate_seconds, load_problem

    table = Table(title="The paper's Table 1 and this run's cells")
    for heading in ("row", "method", "cells to run"):
        table.add_column(heading, no_wrap=True)
    missing = [cell.row.name for cell in grid.missing()]
    for row in grid.rows:
        table.add_row(row.name, row.title, str(missing.count(row.name)))
    console.print(table)
    with console.status("timing a few training steps"):
        seconds = estimate_seconds(grid, load_problem(grid.dataset, grid.data_dir, grid.seeds[0]))
    console.print(
        f"Z = {grid.latent_dims}, seeds {grid.seeds}, {grid.epochs} epochs on {grid.dataset}: "
        f"{len(missing)} cells on {len(grid.networks())} networks, "
        f"about {timedelta(seconds=round(seconds))} on this machine"
    )
