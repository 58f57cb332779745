"""The page of a search: every trial in it, nothing in it that could run."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from dimix.records.search import SearchResult, Trial
from dimix.report.search import panel, points, search_page, write_search_report


@pytest.fixture(scope="module")
def result() -> SearchResult:
    trials = [
        Trial(0, {"rate": 1e-3, "shape": (8, 4)}, -12.0, 3.2),
        Trial(1, {"rate": 1e-2, "shape": "mlp"}, None, 1.0, "diverged <script>alert(1)</script>"),
        Trial(2, {"rate": 1e-4, "shape": "mlp"}, -11.5, 3.0),
    ]
    return SearchResult("vae", "random", 7, 100, 20, {"epochs": 3}, ("rate",), tuple(trials))


def test_the_page_has_every_trial_best_first_and_runs_nothing(
    result: SearchResult, tmp_path: Path
) -> None:
    write_search_report(result, tmp_path / "search.html")
    page = (tmp_path / "search.html").read_text("utf-8")
    assert re.findall(r'<th scope="row">(\d)</th>', page) == ["2", "0", "1"]
    assert "trial 2: -11.500" in page
    assert "3, of which 1 failed" in page
    assert "100 rows, of which 20 held out" in page
    assert "rate 0.0001, shape mlp" in page
    assert "[8, 4]" in page
    assert page.count('src="data:image/png;base64,') == 2
    assert "<script" not in page
    assert "diverged &lt;script&gt;" in page


def test_a_page_where_all_failed_has_the_reasons(result: SearchResult) -> None:
    page = search_page(replace(result, trials=(result.trials[1],)))
    assert "none yet" in page
    assert "diverged" in page
    assert "<img" not in page


def test_a_parameter_is_an_axis_of_numbers_or_of_options(result: SearchResult) -> None:
    left, right = Figure().subplots(1, 2)
    panel(left, "rate", result)
    panel(right, "shape", result)
    assert left.get_xscale() == "log"
    assert left.lines[0].get_xydata().tolist() == [[1e-4, -11.5], [1e-3, -12.0]]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["[8, 4]", "mlp"]
    assert right.lines[0].get_xydata().tolist() == [[1, -11.5], [0, -12.0]]


def test_scores_far_below_the_others_stay_at_the_edge() -> None:
    ax = Figure().subplots()
    points(ax, [0, 1, 2, 3, 4], np.array([-1.0, -1.1, -1.2, -1.3, -1e6]))
    near, far = (line.get_xydata().tolist() for line in ax.lines)
    assert near == [[0, -1.0], [1, -1.1], [2, -1.2], [3, -1.3]]
    assert far == [[4, pytest.approx(-2.0)]]
