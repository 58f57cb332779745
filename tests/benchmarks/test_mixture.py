"""Each part of the mixture's benchmarks at a tiny size, and the committed record and table."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.mixture import (
    bounds,
    coarsening,
    iteration,
    peers,
    ranks,
    recovery,
    scaling,
    time_to_bound,
)
from benchmarks.mixture.data import DATA_SETS
from benchmarks.mixture.table import SECTIONS, write_table
from benchmarks.record import read, run_missing

RECORD = Path(__file__).parents[2] / "results" / "benchmarks" / "mixture.json"


@pytest.mark.parametrize("name", DATA_SETS)
def test_data_sets_are_finite_small_and_drawn_by_their_seed(name: str) -> None:
    first, again = (DATA_SETS[name](np.random.RandomState(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert 100 < len(first) <= 2000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_iteration_times_both(dtype: str) -> None:
    case = iteration.case(3, dtype, 1, rows=600, pairs=3)
    low, high = case["speed_up_range"]
    assert 0 < low <= case["speed_up"] <= high
    assert case["share_of_product_rate"] > 0


def test_both_iterations_climb_to_the_same_bound() -> None:
    """The steps that are timed are those of two fits of the same mixture."""
    x = DATA_SETS["blobs, D=2"](np.random.RandomState(0))
    resp = iteration._start(x)
    theirs, ours = iteration._Theirs(x, resp), iteration._Ours(x, resp)
    for _ in range(5):
        theirs.iterate()
        ours.iterate()
    their_counts = np.sort(theirs._model.weight_concentration_[0])
    our_counts = np.sort(ours._posterior.sticks.a.numpy())
    # Ours keeps the sticks in order of size, which moves a share of rows between neighbours.
    assert np.abs(their_counts - our_counts).sum() < 0.1 * len(x)


def test_time_to_bound_is_before_the_end() -> None:
    case = time_to_bound.case("uniform square", 1, rows=500)
    assert case["ours_bound"] == pytest.approx(case["ours_bound_as_reported"], rel=1e-9)
    assert 0 < case["ours_seconds_to_that_bound"] <= case["ours_seconds_in_all"]


@pytest.mark.parametrize("name", coarsening.SHAPES)
def test_shapes_are_drawn_by_their_seed(name: str) -> None:
    (x, labels), (again, _) = (
        coarsening.SHAPES[name](np.random.RandomState(3), 1000) for _ in range(2)
    )
    np.testing.assert_array_equal(x, again)
    assert len(x) == len(labels)
    assert f"{len(set(labels))} " == name[: name.index(" ") + 1]


def test_coarsening_is_told_of_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarsening, "SEEDS", 1)
    case = coarsening.case("4 squares", 400)
    assert (case["clusters"], case["nmi"]) == ([4], [pytest.approx(1, abs=0.01)])


def test_bounds_are_judged() -> None:
    case = bounds.case("iris", 0, starts=2)
    assert case["sklearn_best"] >= case["sklearn_median"]
    assert case["ours"] == pytest.approx(case["ours_as_reported"], rel=1e-9)
    assert bounds.reached(case)
    assert not bounds.reached(case | {"difference": -1e-3})


def test_truth_has_the_bayes_error_of_two_gaussians() -> None:
    """Means three apart, unit variance, equal weights: Φ(-3 / 2)."""
    means = np.array([[0.0, 0.0], [3.0, 0.0]])
    truth = recovery.Truth(np.array([0.5, 0.5]), means, np.stack([np.eye(2)] * 2))
    assert truth.error(200_000, np.random.RandomState(0)) == pytest.approx(0.0668, abs=0.002)


def test_recovery_finds_two_clusters() -> None:
    case = recovery.case(7)
    assert case["K"] == 2
    assert recovery.recovered(case)
    assert not recovery.recovered(case | {"from_one": 3})
    assert case["bayes_error"] < recovery.BAYES_ERROR


def test_scaling_measures_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "REPEAT_ROWS", 1)
    scaling.write_rows(tmp_path / "rows.npy", 3000)
    case = scaling.measure(tmp_path / "rows.npy")
    assert case["N"] == 3000
    assert case["passes_timed"] == scaling.PASSES - 1
    assert case["peak_mb"] >= 0


@pytest.mark.slow
def test_scaling_runs_in_a_process_of_its_own() -> None:
    assert scaling.case(100_000)["peak_mb"] < 1000


@pytest.mark.slow
def test_ranks_reach_the_same_bound() -> None:
    case = ranks.case(2000, 3)
    assert case["bound_difference_relative"] < 1e-8
    assert case["speed_up"] > 0


@pytest.mark.slow
def test_ours_runs_beside_the_peers() -> None:
    case = peers.here("dimix")
    assert case["clusters_found"] == len(peers.SIZES)
    assert case["ari"] > 0.95


def test_the_reason_of_a_peer_names_no_folder() -> None:
    text = "Traceback\n  File /tmp/place/env/x.py\nValueError: in /tmp/place/env: no\nbye"
    assert peers._last_words(text, "/tmp/place") == "ValueError: in /env: no"


def test_finished_cases_are_not_run_again(tmp_path: Path) -> None:
    file, calls = tmp_path / "record.json", list[str]()

    def case(name: str) -> dict[str, str]:
        calls.append(name)
        return {"name": name}

    run_missing(file, "part", {"a": 1}, {"x": lambda: case("x")})
    run_missing(file, "part", {"a": 1}, {"x": lambda: case("x"), "y": lambda: case("y")})
    assert calls == ["x", "y"]
    assert list(read(file)["part"]["cases"]) == ["x", "y"]
    with pytest.raises(SystemExit, match="other settings"):
        run_missing(file, "part", {"a": 2}, {"z": lambda: case("z")})
    assert calls == ["x", "y"]


def test_the_table_is_drawn_from_the_record(tmp_path: Path) -> None:
    write_table(read(RECORD), tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text() == RECORD.with_suffix(".md").read_text()


def test_the_record_is_of_the_settings_of_now() -> None:
    parts = {m.__name__.rsplit(".", 1)[1]: m for m in (bounds, recovery, iteration, ranks, scaling)}
    record = read(RECORD)
    of = {name: name.partition(",")[0] for name in record}
    assert set(of.values()) <= set(SECTIONS)
    for name, part in of.items():
        if part in parts:
            assert record[name]["settings"] == parts[part].SETTINGS, name


def test_the_record_names_no_machine() -> None:
    text = json.dumps(read(RECORD))
    assert "/tmp" not in text
    assert "://" not in text
