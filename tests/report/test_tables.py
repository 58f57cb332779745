"""What the tables say, against values computed here."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimix.report.tables import MISSING, csv_columns, csv_lines, score_table, spread, table2

SCORES = {"acc": 0.5, "nmi": 0.4, "cs": 0.45, "ari": 0.3, "n_clusters": 10, "n_effective": 9}
ALONE = SCORES | {"n_clusters": 1, "cs": 1.0, "nmi": 0.0}


def lines_of(table, row):
    return {line.kind: line.cells for line in table.lines if line.row == row}


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9))
def test_spread_is_mean_and_sample_deviation(values):
    found = spread(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found.sd == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_a_diverged_seed_shows():
    assert spread([1.0, math.inf]).text(2) == "inf ± nan"


def test_several_seeds_give_mean_and_deviation(make_record):
    cs, nmi = (0.70, 0.76, 0.79), (0.60, 0.61, 0.65)
    seeds = [
        make_record(seed=i, scores={"train": SCORES, "test": SCORES | {"cs": a, "nmi": b}})
        for i, (a, b) in enumerate(zip(cs, nmi, strict=True))
    ]
    expected = tuple(f"{statistics.mean(v):.3f} ± {statistics.stdev(v):.3f}" for v in (cs, nmi))
    table = table2(seeds)
    assert lines_of(table, "vae+gmm")["test"] == expected
    assert any(note.startswith("±") for note in table.notes)


def test_a_single_seed_has_no_deviation(make_record):
    table = table2([make_record()])
    assert lines_of(table, "vae+gmm") == {
        "test, train": ("0.450", "0.400"),
        "paper": ("0.82", "0.82"),
    }
    assert not any("±" in note for note in table.notes)


def test_rows_come_in_the_papers_order_and_unknown_ones_after(make_record):
    rows = ["zebra", "gmvae", "infinite", "vae+dpgmm-50", "vae", "algorithm1-hard", "vae+dpgmm"]
    table = table2([make_record(row) for row in rows])
    assert list(dict.fromkeys(line.row for line in table.lines)) == [
        *["vae", "vae+dpgmm", "vae+dpgmm-50", "gmvae", "algorithm1-hard", "infinite", "zebra"]
    ]


def test_one_component_is_said_in_words(make_record):
    table = table2([make_record("vae")])
    assert lines_of(table, "vae") == {"test, train": ("one cluster", MISSING)}
    assert any("by definition" in note for note in table.notes)


def test_a_seed_in_one_cluster_is_not_averaged_into_cs(make_record):
    seeds = [
        make_record(seed=0),
        make_record(seed=1, scores={"train": SCORES, "test": ALONE}),
    ]
    assert lines_of(table2(seeds), "vae+gmm")["test"][0] == "one cluster in 1 of 2 seeds"
    test, train = csv_lines(seeds)[:2]
    assert "cs" not in test
    assert train["cs"] == "0.45"


def test_unfinished_cells_are_marked(make_record):
    records = [make_record("vae+gmm", 8), make_record("gmvae", 64)]
    table = table2(records)
    assert table.groups == (("Z = 8", ("CS", "NMI")), ("Z = 64", ("CS", "NMI")))
    assert lines_of(table, "vae+gmm")["test, train"] == ("0.450", "0.400", MISSING, MISSING)
    assert lines_of(table, "vae+gmm")["paper"] == ("0.77", "0.77", "0.67", "0.66")
    assert lines_of(table, "gmvae")["paper"] == ("0.69 ?", "0.78 ?", "0.67", "0.71")
    assert any(note.startswith("?") for note in table.notes)


def test_rows_without_a_counterpart_have_no_paper_line(make_record):
    table = table2([make_record("vae+dpgmm-50"), make_record("algorithm1-pretrained")])
    assert {line.kind for line in table.lines} == {"test, train"}


def test_a_run_on_other_data_than_the_papers_says_so(make_record):
    assert "This run is on mnist-5k." in table2([make_record()]).notes[0]
    assert "This run" not in table2([make_record(dataset="mnist")]).notes[0]


def test_score_table_has_a_line_for_each_row_and_dimension(make_record):
    records = [make_record("vae+gmm", 8), make_record("vae+gmm", 10), make_record("gmvae", 8)]
    table = score_table(records)
    assert [(line.row, line.kind) for line in table.lines] == [
        *[("vae+gmm", "8"), ("vae+gmm", "10"), ("gmvae", "8")]
    ]
    half = ("0.500", "0.300", "10", "9")
    assert table.lines[0].cells == (*half, "-99.50", *half, "-98.25", "12.0", "800")


def test_score_table_marks_a_missing_bound(make_record):
    cells = score_table([make_record("vae+kmeans", bound={})]).lines[0].cells
    assert cells[4] == cells[9] == MISSING


def test_csv_holds_the_numbers_and_the_papers(make_record):
    records = [make_record("vae+kmeans", 8, seed, seconds=s) for seed, s in enumerate((10.0, 20.0))]
    test, train, paper = csv_lines(records)
    assert (test["row"], test["latent_dim"], test["source"], test["seeds"]) == (
        *("vae+kmeans", 8, "test", 2),
    )
    assert float(test["seconds"]) == 15
    assert float(test["seconds_sd"]) == pytest.approx(statistics.stdev([10, 20]), rel=1e-5)
    assert float(train["bound"]) == -98.25
    assert (paper["source"], paper["cs"]) == ("paper", None)
    assert "0.61" in paper["note"]
    assert all(set(line) <= set(csv_columns()) for line in (test, train, paper))


def test_no_records_give_empty_tables():
    assert table2([]).lines == score_table([]).lines == ()
    assert csv_lines([]) == []
