"""`dimix reproduce` and `dimix report` as a user meets them: exit codes, messages, files."""

from pathlib import Path

import pytest

from cli_calls import call
from dimix.training import DivergedError

SMALL = ["reproduce", "--dataset", "digits", "--latent-dim", "2", "--epochs", "2"]


def test_reproduce_ends_with_the_table_and_the_report(tmp_path: Path) -> None:
    code, output = call(*SMALL, "--row", "vae", "--row", "vae+gmm", "--out", tmp_path)
    assert code == 0
    assert "cells/z2-seed0/vae+gmm test NMI" in output
    assert output.endswith("report.html")
    for name in ("records.jsonl", "table2.md", "table2.csv", "report.html"):
        assert (tmp_path / name).stat().st_size > 0
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2
    assert list((tmp_path / "figures").glob("*.png"))

    code, again = call(*SMALL, "--row", "vae", "--row", "vae+gmm", "--out", tmp_path)
    assert code == 0
    assert "test NMI" not in again.split("Table")[0]


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, output = call(*SMALL, "--out", out, "--dry-run")
    assert code == 0
    assert "Algorithm 1, pretrained" in output
    assert "13 cells on 7 networks, about 0:" in output
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", "vea"), "unknown row 'vea'; the rows are: vae"),
        (("--dataset", "cifar"), "cifar"),
        (("--dataset", "idx:/nowhere"), "/nowhere"),
        (("--device", "tpu"), "tpu"),
    ],
)
def test_bad_requests_fail_with_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    code, output = call(*SMALL, "--out", tmp_path / "run", *arguments)
    assert code == 2
    assert message in output
    assert "Traceback" not in output
    assert not (tmp_path / "run").exists()


def test_what_cannot_go_on_is_no_plan(tmp_path: Path) -> None:
    run = (*SMALL, "--row", "vae", "--out", tmp_path)
    assert call(*run)[0] == 0
    code, output = call(*run, "--epochs", "3", "--dry-run")
    assert (code, "holds a run of" in output) == (2, True)


@pytest.mark.parametrize(
    ("name", "remedy"), [("run.json", ""), ("record.json", "delete"), ("bundle.npz", "delete")]
)
def test_a_damaged_file_is_named(name: str, remedy: str, tmp_path: Path) -> None:
    run = (*SMALL, "--row", "vae", "--out", tmp_path)
    assert call(*run)[0] == 0
    (file,) = tmp_path.rglob(name)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    commands = [run] if name == "run.json" else [run, ("report", tmp_path)]
    for command in commands:
        code, output = call(*command)
        assert code == 2
        assert f"{name} is damaged" in output.replace("\n", "")
        assert remedy in output


def test_nonsense_numbers_are_refused() -> None:
    assert call("reproduce", "--epochs", "0")[0] == 2
    assert call("reproduce", "--latent-dim", "-1")[0] == 2


def test_stopping_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dimix.experiments.reproduce", interrupt)
    code, output = call(*SMALL, "--out", tmp_path)
    assert code == 130
    assert "the same command goes on" in output


def test_a_diverged_training_is_no_fault_of_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError(3, "the loss became nan")

    monkeypatch.setattr("dimix.experiments.reproduce", diverge)
    code, output = call(*SMALL, "--out", tmp_path)
    assert code == 1
    assert "dimix: training diverged in epoch 4" in output


def test_report_of_nothing_is_refused(tmp_path: Path) -> None:
    code, output = call("report", tmp_path)
    assert code == 2
    assert "holds no finished cell" in output


def test_report_of_a_fit_says_where_its_report_is(mixture: Path) -> None:
    code, output = call("report", mixture)
    assert code == 2
    assert f"{mixture} is a fit: its report is {mixture / 'report' / 'report.html'}" in output
