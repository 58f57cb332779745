"""`dimix search`: what it leaves, that its answer is what `dimix fit` takes, and its exit codes."""

import csv as tables
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dimix
from cli_calls import answer, call

FAST = ("--model", "vae", "--set", "epochs=1")
SPACE = {
    "latent_dim": {"low": 1, "high": 3},
    "architecture": [[8], [16, 8]],
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
}


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.json"
    file.write_text(json.dumps(SPACE))
    return file


def test_a_search_ends_with_a_command_that_fits_what_is_best(
    csv: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimix.cli.fit.leave_report", lambda *_: None)
    out = tmp_path / "out"
    code, output = call("search", csv, "--out", out, "--space", space, "--trials", 2, *FAST)
    assert code == 0
    assert {file.name for file in out.iterdir()} == {
        *("search.json", "search.db", "trials.csv", "best.json", "search.html"),
    }
    best = json.loads((out / "best.json").read_text())
    assert f"best: trial {best['trial']}, {best['score']:.3f} nats a sample" in output
    command = output.split("had here: ")[1].split(" trials: ")[0]
    words = [word.replace("DIR", str(tmp_path / "fit")) for word in shlex.split(command)]
    assert words[0] == "dimix"
    assert call(*words[1:])[0] == 0
    model: Any = dimix.load(tmp_path / "fit" / "model")
    assert model.architecture.widths == tuple(best["parameters"]["architecture"])
    assert model.latent_dim == best["parameters"]["latent_dim"]
    assert model.learning_rate == best["parameters"]["learning_rate"]


def test_the_same_command_with_more_trials_goes_on(csv: Path, tmp_path: Path) -> None:
    few = answer("search", csv, "--out", tmp_path, "--trials", 1, *FAST)
    more = answer("search", csv, "--out", tmp_path, "--trials", 3, *FAST)
    assert (few["n_trials"], more["n_trials"], more["n_failed"]) == (1, 3, 0)
    lines = list(tables.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert max(float(line["score"]) for line in lines) == more["score"]
    page = (tmp_path / "search.html").read_text()
    assert page.count('<th scope="row">') == 3


def test_labels_change_nothing(csv: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    table.assign(label=np.arange(len(table)) % 2).to_csv(other, index=False)
    options = ("--trials", 1, "--method", "tpe", *FAST)
    one, two = (
        answer("search", data, "--out", tmp_path / data.stem, *options) for data in (csv, other)
    )
    assert one["score"] == two["score"]


def test_where_all_trials_fail_the_code_is_one(csv: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text('{"learning_rate": [1e30]}')
    code, output = call(
        *("search", csv, "--out", tmp_path / "out", "--space", space, "--trials", 1), *FAST
    )
    assert code == 1
    assert "none of 1 trials ended well: the score became nan" in output


def test_ctrl_c_keeps_what_was_tried(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def attempt(*_: object) -> tuple[float, str]:
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return -1.0, ""

    monkeypatch.setattr("dimix.search.run.attempt", attempt)
    code, output = call("search", csv, "--out", tmp_path, *FAST)
    assert code == 130
    assert f"the same command goes on, and what has been tried is in {tmp_path}" in output
    assert (tmp_path / "search.html").read_text().count('<th scope="row">') == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--storage", "nonsense"), "storage must be the URL of a database"),
        (("--set", "depth=3"), "parameters: depth is no parameter of the model vae"),
        (("--held-out", "2"), "held_out must be a share below 1"),
        (("--columns", "town"), "expected each column once, found no 'town'"),
    ],
)
def test_bad_input_leaves_nothing(
    options: tuple[str, str], message: str, csv: Path, tmp_path: Path
) -> None:
    code, output = call("search", csv, "--out", tmp_path / "out", *FAST, *options)
    assert code == 2
    assert message in output
    assert not (tmp_path / "out").exists()
