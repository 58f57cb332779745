"""`info`, `cut`, `export`, and what all commands have in common: help, exit codes, speed."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

import dimix
from cli_calls import answer, call
from dimix.cli import app
from dimix.records import FitBundle

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = ("torch", "sklearn", "scipy", "lightning", "pandas", "matplotlib")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    code, output = call(command, "--help")
    assert code == 0
    assert f"Example: dimix {command} " in output


def test_help_imports_nothing_heavy() -> None:
    program = f"import sys, dimix.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_info_shows_request_data_and_clusters(mixture: Path, csv: Path) -> None:
    code, output = call("info", mixture)
    assert code == 0
    for said in (f"source: {csv}", "model: mixture", "kind table", "state: complete", "3 clusters"):
        assert said in output
    told = answer("info", mixture)
    assert told["state"] == "complete"
    assert told["data"]["columns"] == ["a", "b", "c"]
    assert told["result"]["n_clusters"] == 3


def test_a_cut_in_a_folder_of_its_own(mixture: Path, csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "two"
    before = (mixture / "result.json").read_bytes()
    result = answer("cut", mixture, "--n-clusters", 2, "--out", out)
    assert result["n_clusters"] == 2
    assert sorted(cluster["size"] for cluster in result["clusters"]) == [30, 60]
    assert result["scores"]["acc"] == pytest.approx(2 / 3)
    assert dimix.load(out / "model").n_clusters_ == 2
    assert FitBundle.load(out / "report").n_clusters == 2
    assert (mixture / "result.json").read_bytes() == before
    assert dimix.load(mixture / "model").n_clusters_ == 3
    answer("predict", out, csv, "--out", tmp_path / "p.csv")
    code, output = call("cut", mixture, "--auto", "--out", out)
    assert code == 2
    assert "exists, and nothing in it was changed" in output


def test_a_cut_without_the_data_has_the_sizes_of_the_tree(mixture: Path, tmp_path: Path) -> None:
    fit = shutil.copytree(mixture, tmp_path / "fit")
    request = json.loads((fit / "fit.json").read_text())
    (fit / "fit.json").write_text(json.dumps(request | {"source": str(tmp_path / "gone.csv")}))
    result = answer("cut", fit, "--n-clusters", 2)
    assert sum(cluster["size"] for cluster in result["clusters"]) == pytest.approx(90)
    assert result["scores"] is None
    assert "sizes are the tree's" in result["notes"][0]


def test_a_cut_in_place_and_back(mixture: Path, tmp_path: Path) -> None:
    fit = shutil.copytree(mixture, tmp_path / "fit")
    model = dimix.load(fit / "model")
    assert answer("cut", fit, "--n-eff", 1)["n_clusters"] == model.cut(n_eff=1).n_clusters_
    assert answer("cut", fit, "--auto")["n_clusters"] == 3
    assert np.array_equal(
        dimix.load(fit / "model").component_labels_,
        dimix.load(mixture / "model").component_labels_,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "cut takes one of --n-clusters, --n-eff and --auto"),
        (("--auto", "--n-clusters", "2"), "cut takes one of --n-clusters, --n-eff and --auto"),
        (("--n-clusters", "70"), "n_clusters must be an integer from 1 to"),
    ],
)
def test_cuts_that_cannot_be_made(
    arguments: tuple[str, ...], message: str, mixture: Path, tmp_path: Path
) -> None:
    code, output = call("cut", mixture, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in output
    assert not list(tmp_path.iterdir())


def test_a_fit_without_a_result_is_resumed_before_it_is_cut(mixture: Path, tmp_path: Path) -> None:
    fit = shutil.copytree(mixture, tmp_path / "fit")
    (fit / "result.json").unlink()
    code, output = call("cut", fit, "--n-clusters", 2)
    assert code == 2
    assert f"has a model, but no result.json yet; `dimix resume {fit}` adds" in output
    assert dimix.load(fit / "model").n_clusters_ == 3


def test_export_names_the_extra_or_writes_a_graph(
    mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, Path]] = []

    def pretend(model: object, file: Path) -> None:
        written.append((type(model).__name__, file))

    monkeypatch.setattr("dimix.export.export_onnx", pretend)
    answer("export", mixture, "--onnx", tmp_path / "m.onnx")
    assert written == [("DirichletProcessGaussianMixture", tmp_path / "m.onnx")]
    code, output = call("export", mixture, "--onnx", tmp_path / "m.bin")
    assert code == 2
    assert "--onnx must end in .onnx" in output


def test_a_damaged_model_is_named(mixture: Path, csv: Path, tmp_path: Path) -> None:
    fit = shutil.copytree(mixture, tmp_path / "fit")
    weights = fit / "model" / "mixture.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, output = call("predict", fit, csv, "--out", tmp_path / "p.csv")
    assert code == 2
    assert "mixture.safetensors: damaged or changed" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "a", "--out", "b", "--model", "best"), "'best' is not one of 'infinite', 'gmvae'"),
        (("fit", "a", "--json"), "Missing option '--out': see `dimix fit --help`"),
        (("fit", "a", "--epochs", "0"), "Invalid value for '--epochs': Input should be"),
        (("fit", "a", "--epochs", "0"), "or equal to 1, found '0': see `dimix fit --help`"),
        (("cluster",), "No such command 'cluster'"),
        (("--fast",), "No such option: --fast"),
    ],
)
def test_usage_errors_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, arguments, prog_name="dimix")
    assert result.exit_code == 2
    assert result.output.startswith("dimix: ")
    assert result.output.count("\n") == 1
    assert message in result.output


def test_the_version_is_that_of_the_package() -> None:
    assert call("--version") == (0, f"dimix {version('dimix')}")
    assert "Usage: " in call()[1]
