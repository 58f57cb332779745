"""`dimix fit` and `dimix resume`: what they leave, go on with, and refuse to touch."""

import json
import shutil
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

import dimix
from cli_calls import TINY, answer, call
from dimix.cli.models import chosen
from dimix.metrics import clustering_scores


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_fit_leaves_request_data_model_report_and_result(
    mixture: Path, table: pd.DataFrame
) -> None:
    assert {file.name for file in mixture.iterdir()} == {
        *("fit.json", "data.json", "model", "report", "result.json"),
    }
    result = json.loads((mixture / "result.json").read_text())
    assert result["n_clusters"] == 3
    assert [c["size"] for c in result["clusters"]] == [30, 30, 30]
    assert result["scores"]["ari"] == 1.0
    X = StandardScaler().fit_transform(table[["a", "b", "c"]].to_numpy())
    model = dimix.load(mixture / "model")
    alone = dimix.DirichletProcessGaussianMixture(6, coarsening="auto", random_state=0).fit(X)
    assert np.array_equal(model.predict(X), alone.predict(X))
    assert result["nats_per_sample"] == pytest.approx(alone.score(X))
    assert (mixture / "report" / "report.html").stat().st_size > 0


def test_it_says_what_it_does_with_the_data(csv: Path, tmp_path: Path) -> None:
    code, output = call("fit", csv, "--out", tmp_path / "out", "--model", "mixture")
    assert code == 0
    assert "data: 90 rows of 3 columns" in output
    assert "columns: a, b, c " in output
    assert "columns brought to mean 0 and variance 1 (--no-standardize leaves them)" in output
    assert "labels: 3 kinds; they score, and no more" in output
    assert "against the labels: acc 1.000" in output
    assert "report.html" in output


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy"])
def test_missing_values_are_taken_where_the_model_takes_them(
    ending: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    rows = table[["a", "b", "c"]].astype(float)
    rows.iloc[::9, 1] = np.nan
    source, out = tmp_path / f"gaps{ending}", tmp_path / "out"
    if ending == ".npy":
        np.save(source, rows)
    else:
        rows.to_csv(source, index=False) if ending == ".csv" else rows.to_parquet(source)
    given = ("fit", source, "--out", out, "--model", "mixture", "--n-components", 6)
    code, output = call(*given)
    assert code == 2
    assert "a missing value in row 1, column" in output
    assert not out.exists()
    answer(*given, "--set", "allow_missing=true")
    answer("predict", out, source, "--out", tmp_path / "p.csv")
    X = StandardScaler().fit_transform(rows.to_numpy())
    model = dimix.load(out / "model")
    found = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_array_equal(found["label"], model.predict(X))
    assert len(set(found["label"])) == 3


def test_a_column_without_a_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,\n2,\n3,\n")
    given = ("--model", "mixture", "--set", "allow_missing=true")
    code, output = call("fit", tmp_path / "x.csv", "--out", tmp_path / "out", *given)
    assert code == 2
    assert "expected a value in every column, found none in 'b'" in output


@pytest.mark.usefixtures("no_report")
def test_labels_do_not_change_the_model(csv: Path, mixture: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.npy"
    np.save(labels, np.arange(90) % 2)
    out = tmp_path / "out"
    result = answer(
        *("fit", csv, "--out", out, "--model", "mixture", "--n-components", 6, "--labels", labels)
    )
    name = "model/mixture.safetensors"
    assert (out / name).read_bytes() == (mixture / name).read_bytes()
    model = dimix.load(out / "model")
    table = pd.read_csv(csv)[["a", "b", "c"]].to_numpy()
    expected = clustering_scores(
        np.arange(90) % 2, model.predict(StandardScaler().fit_transform(table))
    )
    assert result["scores"]["nmi"] == pytest.approx(expected.nmi)


def test_a_deep_fit_chooses_likelihood_and_network_and_says_why(
    images: Path, deep: Path, tmp_path: Path
) -> None:
    code, output = call("fit", images, "--out", tmp_path / "out", *TINY)
    assert code == 0
    assert "likelihood bernoulli: bytes, nearly all close to an end" in output
    assert "architecture mlp: images of 8 x 6 have at most 1,024 numbers" in output
    assert "samples are few for a network to learn from: look at the report" in output
    model = dimix.load(deep / "model")
    assert (model.likelihood, model.architecture, model.random_state) == ("bernoulli", "mlp", 0)


@pytest.mark.parametrize(
    ("shape", "network"), [((32, 32), "mlp"), ((33, 32), "conv"), ((4, 99, 3), "mlp")]
)
def test_large_images_are_convolved_but_for_narrow_ones(
    shape: tuple[int, ...], network: str
) -> None:
    found, said = chosen("vae", {}, np.zeros((2, *shape), dtype=np.uint8))
    assert found["architecture"] == network
    assert " x ".join(map(str, shape)) in said[1]


def test_few_zeros_and_ones_are_said_to_be_few() -> None:
    found, said = chosen("vae", {}, np.eye(31, dtype=np.uint8))
    assert found["likelihood"] == "gaussian"
    assert said[0] == "likelihood gaussian: samples have fewer than 32 numbers"
    assert chosen("vae", {}, 255 * np.eye(32, dtype=np.uint8))[0]["likelihood"] == "bernoulli"


@pytest.mark.parametrize("model", ["gmvae", "vae", "algorithm1"])
def test_every_model_fits_a_table(model: str, csv: Path, tmp_path: Path) -> None:
    result = answer(*("fit", csv, "--out", tmp_path / "out", "--model", model, "--epochs", 1))
    assert result["n_rows"] == 90
    assert (result["n_clusters"] > 0) == (model != "vae")
    assert np.isfinite(result["nats_per_sample"])
    assert dimix.load(tmp_path / "out" / "model").likelihood == "gaussian"


@pytest.mark.usefixtures("no_report")
def test_given_clusters_are_taken(csv: Path, tmp_path: Path) -> None:
    fit = ("fit", csv, "--model", "mixture", "--n-components", 6, "--n-clusters", 2)
    assert answer(*fit, "--out", tmp_path / "out")["n_clusters"] == 2


@pytest.mark.usefixtures("no_report")
def test_given_clusters_are_counted_though_some_hold_no_row(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = answer("fit", images, "--out", out, *TINY, "--n-clusters", 4)
    assert result["n_clusters"] == len(result["clusters"]) == dimix.load(out / "model").n_clusters_
    assert sum(one["size"] for one in result["clusters"]) == 60
    assert not any("N_eff" in note for note in result["notes"])


@pytest.mark.usefixtures("no_report")
def test_more_clusters_than_components_are_as_many_as_there_are(csv: Path, tmp_path: Path) -> None:
    fit = ("fit", csv, "--model", "mixture", "--n-components", 6, "--n-clusters", 30)
    result = answer(*fit, "--out", tmp_path / "out")
    assert result["n_clusters"] == 3
    assert (
        "n_clusters=30, but the bound supports 3 components; going on with these" in result["notes"]
    )
    assert dimix.load(tmp_path / "out" / "model").n_clusters_ == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "n_clusters=0"), "n_clusters must be an integer >= 1, got 0"),
        (("--set", "n_clusters=many"), "n_clusters must be an integer >= 1, got 'many'"),
        (("--n-clusters", 2, "--set", "coarsening=null"), "n_clusters takes a tree of components"),
    ],
)
def test_clusters_that_cannot_be_are_refused_before_the_fit(
    options: tuple[object, ...], message: str, csv: Path, tmp_path: Path
) -> None:
    code, output = call("fit", csv, "--out", tmp_path / "out", "--model", "mixture", *options)
    assert code == 2
    assert message in output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_report")
def test_constant_columns_are_named(table: pd.DataFrame, tmp_path: Path) -> None:
    table.assign(one=3.0).to_csv(tmp_path / "t.csv", index=False)
    code, output = call(
        *("fit", tmp_path / "t.csv", "--out", tmp_path / "out", "--model", "mixture")
    )
    assert code == 0
    assert "columns with one value alone, which tell nothing: one" in output


@pytest.mark.usefixtures("no_report")
def test_columns_that_number_the_rows_are_named(table: pd.DataFrame, tmp_path: Path) -> None:
    numbered = table.assign(customer=np.random.default_rng(0).permutation(len(table)) + 7)
    numbered.to_csv(tmp_path / "t.csv", index=False)
    _, output = call("fit", tmp_path / "t.csv", "--out", tmp_path / "out", "--model", "mixture")
    assert "columns that may number the rows, which --drop leaves out: customer" in output


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        (("--n-components", 6), 0, "is complete already"),
        (
            ("--seed", 1),
            2,
            "holds another fit, and nothing in it was changed; this one has seed 1, not 0",
        ),
    ],
)
def test_a_fit_in_a_folder_with_the_same_or_another_one_changes_nothing(
    csv: Path, mixture: Path, option: tuple[str, int], code: int, said: str
) -> None:
    before = files_of(mixture)
    found, output = call("fit", csv, "--out", mixture, "--model", "mixture", *option)
    assert (found, said in output) == (code, True), output
    assert files_of(mixture) == before


def test_other_labels_for_a_complete_fit_are_said_to_be_unused(
    csv: Path, mixture: Path, tmp_path: Path
) -> None:
    labels, before = tmp_path / "labels.npy", files_of(mixture)
    np.save(labels, np.arange(90) % 2)
    fit = ("fit", csv, "--out", mixture, "--model", "mixture", "--n-components", 6)
    result = answer(*fit, "--labels", labels)
    assert result["scores"]["ari"] == 1.0
    assert f"not scored again with {labels}: give another folder" in result["notes"][-1]
    assert "not scored again" not in str(answer(*fit)["notes"])
    assert files_of(mixture) == before


def test_a_folder_with_other_files_is_refused(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, output = call("fit", csv, "--out", tmp_path, "--model", "mixture")
    assert code == 2
    assert "expected a new or empty folder, found other files in it" in output
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_bad_data_leave_no_folder(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,city\n1,Rome\n")
    code, output = call("fit", tmp_path / "bad.csv", "--out", tmp_path / "out")
    assert code == 2
    assert "column 'city' must hold numbers, found 'Rome' in row 1" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_report")
def test_a_request_from_which_nothing_was_trained_gives_way(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    fit = ("fit", csv, "--out", out, "--model", "mixture", "--n-components", 4)

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("dimix.cli.fit.trained", full)
        assert call(*fit, "--seed", 1)[0] == 1
    assert (out / "fit.json").exists()
    assert answer(*fit)["n_clusters"] == 3


def test_a_fit_that_would_be_refused_leaves_nothing_and_says_nothing_else(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones((1, 3)))
    code, output = call("fit", tmp_path / "one.npy", "--out", tmp_path / "out")
    assert code == 2
    assert output.startswith("dimix: X must have at least 2 samples; found 1 sample(s)")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "setting", ["degrees_of_freedom_prior=0.5", "mean_prior=[1,2]", "covariance_prior=[1,2]"]
)
def test_a_prior_that_does_not_fit_the_columns_leaves_nothing(
    setting: str, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # that it answers itself
    given = ("--model", "mixture", "--set", setting)
    code, output = call("fit", csv, "--out", tmp_path / "out", *given)
    assert code == 2
    assert output.startswith(f"dimix: {setting.partition('=')[0]} must")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lost", ["result.json", "report", "model"])
def test_resume_makes_what_is_missing(lost: str, csv: Path, mixture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(mixture, out)
    (out / "result.json").unlink()
    shutil.rmtree(out / lost, ignore_errors=True)
    _, output = call("info", out)
    assert "dimix resume" in output
    answer("resume", out)
    assert (out / "result.json").read_bytes() == (mixture / "result.json").read_bytes()
    name = "model/mixture.safetensors"
    assert (out / name).read_bytes() == (mixture / name).read_bytes()
    assert (out / "report" / "report.html").exists()


@pytest.mark.usefixtures("no_report")
def test_resume_refuses_data_that_have_changed(csv: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "out"
    data.write_bytes(csv.read_bytes())
    answer("fit", data, "--out", out, "--model", "mixture", "--n-components", 4)
    data.write_text(data.read_text().replace("row0,", "row0,9"))
    code, output = call("resume", out)
    assert code == 2
    assert "the data have changed since the fit began" in output


@pytest.mark.usefixtures("no_report")
def test_an_interrupted_training_goes_on_from_its_checkpoint(
    images: Path, deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("dimix.estimators.DeepInfiniteMixture._settle", interrupt)
        code, output = call("fit", images, "--out", out, *TINY)
    assert code == 130
    assert "stopped; the same command goes on from the last finished epoch" in output
    assert (out / "training" / "joint" / "last.ckpt").exists()
    assert not (out / "model").exists()
    assert answer("resume", out)["folder"] == str(out)
    for name in ("weights", "mixture"):
        file = f"model/{name}.safetensors"
        assert (out / file).read_bytes() == (deep / file).read_bytes()


def test_a_diverged_training_is_no_fault_of_the_request(images: Path, tmp_path: Path) -> None:
    fit = ("fit", images, "--out", tmp_path / "out", "--model", "vae", "--epochs", 3)
    code, output = call(*fit, "--set", "learning_rate=1e30")
    assert code == 1
    assert "dimix: training diverged in epoch" in output
