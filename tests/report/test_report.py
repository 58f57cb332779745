"""What `write_report` leaves behind, of whole, partial and empty runs."""

import csv
import io
import json
from dataclasses import asdict

import pytest
from rich.console import Console

from dimix.report import terminal_table, write_report

HOSTILE = "../<b>$\\frac{|[red]"


def test_files_are_where_they_are_promised(finished_run):
    out, files = finished_run
    assert files.records == out / "records.jsonl"
    assert files.tables == (out / "table2.md", out / "table2.csv")
    assert files.page == out / "report.html"
    assert {file.parent for file in files.figures} == {out / "figures"}
    assert all(f.exists() for f in (files.records, *files.tables, *files.figures, files.page))
    assert not [file for file in out.rglob(".*")]


def test_records_are_gathered_in_order(finished_run, make_record):
    lines = finished_run[1].records.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert records[0] == asdict(make_record("vae", 8))
    assert [(r["latent_dim"], r["seed"]) for r in records] == [(8, 0)] + 6 * [(10, 0)] + 6 * [
        (10, 1)
    ]
    assert [r["row"] for r in records[1:4]] == ["vae", "vae+kmeans", "vae+dpgmm-50"]


def test_csv_reads_back(finished_run):
    with finished_run[1].tables[1].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    mine = [r for r in rows if (r["row"], r["latent_dim"]) == ("gmvae", "10")]
    assert [(r["source"], r["seeds"], r["cs"], r["cs_sd"]) for r in mine] == [
        ("test", "2", "0.45", "0"),
        ("train", "2", "0.45", "0"),
        ("paper", "", "0.74", ""),
    ]


def test_a_report_can_be_made_again_with_the_same_bytes(add_cell, tmp_path):
    add_cell(tmp_path, "vae+gmm")
    files = write_report(tmp_path)
    assert len(files.figures) == 3
    every = (files.records, *files.tables, *files.figures, files.page)
    before = [file.read_bytes() for file in every]
    assert write_report(tmp_path) == files
    assert [file.read_bytes() for file in every] == before


def test_a_run_without_a_finished_cell_has_a_report(tmp_path):
    files = write_report(tmp_path)
    assert files.figures == ()
    assert files.records.read_text() == ""
    assert "No cell of this run has finished yet." in files.page.read_text()


def test_a_cell_without_bundle_and_curves_is_tabulated(add_cell, tmp_path):
    record = add_cell(tmp_path, "gmvae")
    (tmp_path / record.cell / "bundle.npz").unlink()
    (tmp_path / record.cell / "curves.csv").unlink()
    files = write_report(tmp_path)
    assert files.figures == ()
    assert "| gmvae | test, train | 0.450 | 0.400 |" in files.tables[0].read_text()


def test_a_hostile_name_reaches_no_other_folder(add_cell, tmp_path):
    add_cell(tmp_path, HOSTILE)
    files = write_report(tmp_path)
    assert files.figures
    assert {file.parent for file in files.figures} == {tmp_path / "figures"}


def test_no_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"out must be the folder of a run.*missing"):
        write_report(tmp_path / "missing")


def test_terminal_table_fits_a_common_width(finished_run):
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal_table(finished_run[0]))
    shown = console.file.getvalue()
    for text in ("vae+dpgmm-50", "one cluster", "0.450 ± 0.000", "0.61–0.64"):
        assert text in shown
