"""`predict`, `embed`, `reconstruct` and `sample`: the model's own answers, in the data's units."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.preprocessing import StandardScaler

import dimix
from cli_calls import answer, call
from dimix.data import source


@pytest.fixture
def X(table: pd.DataFrame) -> np.ndarray:
    """The table as the model sees it."""
    return StandardScaler().fit_transform(table[["a", "b", "c"]].to_numpy())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predictions_are_those_of_the_model(
    ending: str, csv: Path, mixture: Path, X: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / f"p.{ending}"
    assert answer("predict", mixture, csv, "--out", out) == {"n_rows": 90, "out": str(out)}
    found = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    model = dimix.load(mixture / "model")
    assert list(found) == ["name", "label", "probability", "log_likelihood", "component"]
    assert list(found["name"]) == [f"row{i}" for i in range(90)]
    assert np.array_equal(found["label"], model.predict(X))
    assert np.allclose(found["probability"], model.predict_proba(X).max(1))
    assert np.allclose(found["log_likelihood"], model.score_samples(X))
    assert np.array_equal(found["component"], model.predict_components(X))


def test_a_table_may_come_in_any_form_and_order(
    csv: Path, table: pd.DataFrame, mixture: Path, tmp_path: Path
) -> None:
    columns = table[["a", "b", "c"]]
    columns[["c", "a", "b"]].assign(more="text").to_parquet(tmp_path / "other.parquet")
    np.save(tmp_path / "array.npy", columns.to_numpy())
    answer("predict", mixture, csv, "--out", tmp_path / "csv.parquet")
    expected = pd.read_parquet(tmp_path / "csv.parquet").drop(columns="name")
    for name in ("other.parquet", "array.npy"):
        answer("predict", mixture, tmp_path / name, "--out", tmp_path / "p.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "p.parquet"), expected)


@pytest.mark.parametrize("form", ["csv", "parquet", "npy"])
def test_blocks_give_what_the_whole_gives(
    form: str,
    table: pd.DataFrame,
    mixture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, columns = tmp_path / f"data.{form}", table[["a", "b", "c"]]
    if form == "npy":
        np.save(data, columns.to_numpy())
    else:
        columns.to_csv(data, index=False) if form == "csv" else columns.to_parquet(data)
    answer("predict", mixture, data, "--out", tmp_path / "whole.csv")
    monkeypatch.setattr(source, "BLOCK_BYTES", 7 * 3 * 8)
    assert [len(b) for b in source.blocks(data)] == [7] * 12 + [6]
    answer("predict", mixture, data, "--out", tmp_path / "parts.csv")
    whole, parts = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-9)


def test_deep_predictions_and_latents(images: Path, deep: Path, tmp_path: Path) -> None:
    model, pixels = dimix.load(deep / "model"), np.load(images)
    answer("predict", deep, images, "--out", tmp_path / "p.csv", "--draws", 4)
    found = pd.read_csv(tmp_path / "p.csv")
    assert np.array_equal(found["label"], model.predict(pixels))
    assert np.allclose(found["log_likelihood"], model.score_samples(pixels, n_draws=4), rtol=1e-5)
    answer("predict", deep, images, "--out", tmp_path / "p.csv", "--draws", 0)
    assert "log_likelihood" not in pd.read_csv(tmp_path / "p.csv")
    answer("embed", deep, images, "--out", tmp_path / "z.npy")
    assert np.allclose(np.load(tmp_path / "z.npy"), model.transform(pixels))
    answer("embed", deep, images, "--out", tmp_path / "z.csv")
    assert np.allclose(pd.read_csv(tmp_path / "z.csv")[["z0", "z1"]], model.transform(pixels))
    answer("reconstruct", deep, images, "--out", tmp_path / "x.npy")
    assert np.allclose(np.load(tmp_path / "x.npy"), model.reconstruct(pixels))


def test_a_folder_of_images_is_taken_as_the_fit_was(
    images: Path, deep: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, pixels in enumerate(np.load(images)[:5]):
        Image.fromarray(pixels).convert("RGB").save(folder / f"{i}.png")  # grey in three channels
    answer("predict", deep, folder, "--out", tmp_path / "p.csv")
    found = pd.read_csv(tmp_path / "p.csv")
    assert list(found["name"]) == [f"{i}.png" for i in range(5)]
    model = dimix.load(deep / "model")
    assert np.array_equal(found["label"], model.predict(np.load(images)[:5]))


def test_a_vae_embeds_and_reconstructs_in_the_tables_units(
    csv: Path, table: pd.DataFrame, X: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "vae"
    answer("fit", csv, "--out", out, "--model", "vae", "--epochs", 1)
    answer("reconstruct", out, csv, "--out", tmp_path / "x.csv")
    again = pd.read_csv(tmp_path / "x.csv")
    assert list(again) == ["name", "a", "b", "c"]
    scaler = StandardScaler().fit(table[["a", "b", "c"]].to_numpy())
    expected = scaler.inverse_transform(dimix.load(out / "model").reconstruct(X))
    assert np.allclose(again[["a", "b", "c"]], expected)
    code, output = call("predict", out, csv, "--out", tmp_path / "p.csv")
    assert code == 2
    assert "a VAE has no clusters: embed, reconstruct, sample" in output
    assert not (tmp_path / "p.csv").exists()
    answer("sample", out, "--n", 3, "--out", tmp_path / "s.csv")
    assert list(pd.read_csv(tmp_path / "s.csv")) == ["a", "b", "c"]


def test_samples_of_a_table_lie_where_its_clusters_are(
    csv: Path, table: pd.DataFrame, mixture: Path, tmp_path: Path
) -> None:
    answer("predict", mixture, csv, "--out", tmp_path / "p.csv")
    labels = pd.read_csv(tmp_path / "p.csv")["label"]
    for cluster in range(3):
        out = tmp_path / f"{cluster}.csv"
        answer("sample", mixture, "--n", 200, "--cluster", cluster, "--out", out)
        drawn, members = pd.read_csv(out), table[labels == cluster]
        assert list(drawn) == ["a", "b", "c", "label"]
        assert (drawn["label"] == cluster).all()
        for column, unit in (("a", 1), ("b", 1000), ("c", 1)):
            assert drawn[column].mean() == pytest.approx(members[column].mean(), abs=0.5 * unit)
    answer("sample", mixture, "--n", 50, "--out", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as stored:
        assert stored["X"].shape == (50, 3)
        assert set(stored["labels"]) == {0, 1, 2}


def test_samples_of_images_are_one_picture(deep: Path, tmp_path: Path) -> None:
    answer("sample", deep, "--n", 5, "--out", tmp_path / "s.png")
    answer("sample", deep, "--n", 5, "--out", tmp_path / "s.npz")
    with Image.open(tmp_path / "s.png") as picture, np.load(tmp_path / "s.npz") as stored:
        sheet = np.array(picture)
        assert sheet.shape == (2 * 8, 3 * 6)
        assert np.array_equal(sheet[8:, :6], np.rint(stored["X"][3] * 255))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_no_column_of_the_data_gives_way(ending: str, table: pd.DataFrame, tmp_path: Path) -> None:
    data, out = tmp_path / "t.csv", tmp_path / f"o.{ending}"
    named = table.rename(columns={"a": "name", "c": "label", "label": "kind"})
    named.insert(1, "label_", named.pop("b"))
    named.to_csv(data, index=False)
    columns, read = ["label_", "name", "label"], getattr(pd, f"read_{ending}")
    for model in ("mixture", "vae"):
        fit = ("fit", data, "--model", model, "--label-column", "kind")
        more = ("--epochs", 1) if model == "vae" else ()
        answer(*fit, *more, "--out", tmp_path / model)
    answer("sample", tmp_path / "mixture", "--n", 9, "--out", out)
    assert list(read(out)) == [*columns, "label__"]
    answer("reconstruct", tmp_path / "vae", data, "--out", out)
    again = read(out)
    assert list(again) == ["name_", *columns]
    assert list(again["name_"]) == list(table["id"])


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-3.0, 5.0)])
def test_a_picture_is_as_bright_as_the_data(
    low: float, high: float, images: Path, tmp_path: Path
) -> None:
    pixels = np.load(images) / 255
    pixels[0, 0, :2] = 0, 1
    np.save(tmp_path / "i.npy", low + (high - low) * pixels)
    fit = ("fit", tmp_path / "i.npy", "--model", "vae", "--epochs", 1)
    answer(*fit, "--out", tmp_path / "fit")
    answer("sample", tmp_path / "fit", "--n", 4, "--out", tmp_path / "s.png")
    answer("sample", tmp_path / "fit", "--n", 4, "--out", tmp_path / "s.npy")
    with Image.open(tmp_path / "s.png") as picture:
        unit = np.clip((np.load(tmp_path / "s.npy")[0] - low) / (high - low), 0, 1)
        assert 0 < unit.mean() < 1
        assert np.abs(np.array(picture)[:8, :6] - 255 * unit).max() <= 0.51


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "FIT", "DATA", "--out", "p.npy"), "--out must end in .csv, .parquet"),
        (("embed", "FIT", "DATA", "--out", "z.npy"), "a model of kind mixture cannot embed"),
        (
            ("sample", "FIT", "--out", "s.png"),
            "samples of a table are written as .csv, .parquet, .npy, .npz, not",
        ),
        (("sample", "FIT", "--out", "s.csv", "--cluster", "9"), "--cluster must be in 0..2"),
        (("predict", "NOWHERE", "DATA", "--out", "p.csv"), "found no fit.json"),
        (("predict", "FIT", "nowhere.csv", "--out", "p.csv"), "found no such file or folder"),
    ],
)
def test_what_cannot_be_done_writes_nothing(
    arguments: tuple[str, ...],
    message: str,
    csv: Path,
    mixture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"FIT": str(mixture), "DATA": str(csv)}
    code, output = call(*(places.get(a, a) for a in arguments))
    assert code == 2
    assert message in output
    assert not list(tmp_path.iterdir())


def test_the_data_are_never_the_output(mixture: Path, csv: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(csv.read_bytes())
    code, output = call("predict", mixture, data, "--out", data)
    assert code == 2
    assert "--out must not be the data" in output
    assert data.read_bytes() == csv.read_bytes()


def test_bad_rows_in_a_later_block_leave_no_output(
    mixture: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table.copy()
    table.loc[80, "b"] = np.nan
    table.to_csv(tmp_path / "bad.csv", index=False)
    monkeypatch.setattr(source, "BLOCK_BYTES", 7 * 5 * 8)
    code, output = call("predict", mixture, tmp_path / "bad.csv", "--out", tmp_path / "p.csv")
    assert code == 2
    assert "found a missing value in row 81, column 'b'" in output
    assert [file.name for file in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("scale", [1.0, 0.0, 1.0]),
        ("centre", [1.0]),
        ("columns", ["a", "b"]),
        ("kind", "sound"),
        ("dtype", "object"),
        ("shape", [-3]),
        ("extra", 1),
    ],
)
def test_a_data_json_that_says_what_cannot_be_is_refused(
    entry: str, value: object, mixture: Path, csv: Path, tmp_path: Path
) -> None:
    fit = shutil.copytree(mixture, tmp_path / "fit")
    claims = json.loads((fit / "data.json").read_text()) | {entry: value}
    (fit / "data.json").write_text(json.dumps(claims))
    code, output = call("predict", fit, csv, "--out", tmp_path / "p.csv")
    assert code == 2
    assert "data.json:" in output
    assert entry in output
