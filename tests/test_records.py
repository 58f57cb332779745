"""Records and bundles: what is written is what is read, whole or not at all."""

import dataclasses
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from dimix.records import (
    Bundle,
    Record,
    atomic_write,
    read_cell,
    read_curves,
    read_record,
    read_run,
    write_curves,
    write_record,
    write_records,
)

RECORD = Record(
    dataset="digits",
    row="vae+gmm",
    latent_dim=8,
    seed=1,
    epochs=3,
    settings={"mixture": {"tol": 1e-5}, "w_dim": None},
    scores={"test": {"nmi": 0.5}},
    bound={"test": -3.25},
    seconds=1.5,
    peak_memory_mb=100.0,
    versions={"python": "3.11"},
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path / RECORD.cell)
    assert read_record(tmp_path / RECORD.cell / "record.json") == RECORD
    assert RECORD.cell == "cells/z8-seed1/vae+gmm"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seconds": 9.0, "peak_memory_mb": 1.0}, True),
        ({"bound": {"test": -3.26}}, False),
        ({"versions": {"python": "3.12"}}, False),
        ({"seed": 2}, False),
    ],
)
def test_results_are_the_same_whatever_they_cost(change: dict, same: bool) -> None:
    assert RECORD.same_result(dataclasses.replace(RECORD, **change)) is same


def test_a_bundle_keeps_what_is_there_and_only_that(tmp_path: Path) -> None:
    weights, images = np.array([0.7, 0.3]), np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    Bundle(weights=weights, originals=images).save(tmp_path / "bundle.npz")
    bundle = Bundle.load(tmp_path / "bundle.npz")
    np.testing.assert_array_equal(bundle.weights, weights)
    np.testing.assert_array_equal(bundle.originals, images)
    assert bundle.samples is None


def test_a_pickle_in_a_bundle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bundle.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Bundle.load(tmp_path / "bundle.npz")


def test_curves_come_back_with_gaps_as_nan(tmp_path: Path) -> None:
    write_curves([{"epoch": 1, "loss": 2.5}, {"epoch": 2, "nmi": 0.5}], tmp_path / "curves.csv")
    curves = read_curves(tmp_path / "curves.csv")
    assert list(curves) == ["epoch", "loss", "nmi"]
    np.testing.assert_array_equal(curves["loss"], [2.5, np.nan])
    np.testing.assert_array_equal(curves["nmi"], [np.nan, 0.5])


def test_a_run_is_read_in_a_fixed_order_without_unfinished_cells(tmp_path: Path) -> None:
    for latent_dim, row in [(16, "vae"), (8, "vae"), (8, "gmvae")]:
        record = dataclasses.replace(RECORD, latent_dim=latent_dim, row=row)
        write_record(record, tmp_path / record.cell)
    write_curves([{"epoch": 1}], tmp_path / "cells/z8-seed1/algorithm1-soft/curves.csv")
    found = [(c.record.latent_dim, c.record.row) for c in read_run(tmp_path)]
    assert found == [(8, "gmvae"), (8, "vae"), (16, "vae")]
    assert read_cell(tmp_path / "cells/z8-seed1/vae").curves == {}


def test_gathered_records_are_one_a_line(tmp_path: Path) -> None:
    write_records([RECORD, RECORD], tmp_path / "records.jsonl")
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert len(lines) == 2
    (tmp_path / "one.json").write_text(lines[0])
    assert read_record(tmp_path / "one.json") == RECORD


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file.txt"
    with atomic_write(file) as out:
        out.write("old")

    def fail() -> None:
        with atomic_write(file) as out:
            out.write("new")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert file.read_text() == "old"
    assert [f.name for f in file.parent.iterdir()] == ["file.txt"]


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "file") as out:
            out.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
