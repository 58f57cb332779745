"""Tables, figures and the page of a run, made from its records and bundles alone.

A report can be made at any time, of a run that is still going on as of one that is finished,
and again elsewhere: nothing here knows a model.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.table

from dimix.records import Record, atomic_write, read_run, write_records
from dimix.report import render
from dimix.report.figures import save_figures
from dimix.report.fit import write_fit_report
from dimix.report.grid import in_order
from dimix.report.page import page
from dimix.report.tables import csv_columns, csv_lines, score_table, table2

__all__ = ["ReportFiles", "terminal_table", "write_fit_report", "write_report"]


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What a report consists of."""

    records: Path
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    page: Path


def write_report(out: Path) -> ReportFiles:
    """Write `records.jsonl`, `table2.md`, `table2.csv`, `figures/` and `report.html` in a run.

    Each file appears whole or not at all. Of an unfinished run the report is of what there is.

    Raises:
        FileNotFoundError: there is no folder `out`.
    """
    if not out.is_dir():
        raise FileNotFoundError(f"out must be the folder of a run, found none at {out}")
    cells = in_order(read_run(out))
    records = [cell.record for cell in cells]
    tables = (table2(records), score_table(records))
    markdown, numbers = out / "table2.md", out / "table2.csv"
    write_records(records, out / "records.jsonl")
    write_text("\n".join(map(render.markdown, tables)), markdown)
    write_csv(records, numbers)
    figures = save_figures(cells, out / "figures")
    write_text(page(records, tables, figures), out / "report.html")
    return ReportFiles(
        records=out / "records.jsonl",
        tables=(markdown, numbers),
        figures=tuple(figure.file for figure in figures),
        page=out / "report.html",
    )


def terminal_table(out: Path) -> rich.table.Table:
    """The run's Table 2 for a rich console."""
    return render.terminal(table2([cell.record for cell in in_order(read_run(out))]))


def write_text(text: str, file: Path) -> None:
    """Write UTF-8 text."""
    with atomic_write(file, "wb") as out:
        out.write(text.encode("utf-8"))


def write_csv(records: Sequence[Record], file: Path) -> None:
    """Write both tables' numbers."""
    with atomic_write(file) as out:
        writer = csv.DictWriter(out, csv_columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(csv_lines(records))
