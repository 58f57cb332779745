"""A saved model comes back to the bit, or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import dimix
from dimix.mixture import DirichletProcessGaussianMixture
from saved_models import KEPT, MODELS, rows, same

X = rows()
TYPES = ["full", "tied", "diag", "spherical"]


def fitted(X: Any = X, n_components: int = 5, **options: Any) -> DirichletProcessGaussianMixture:
    return DirichletProcessGaussianMixture(n_components, random_state=0, **options).fit(X)


def round_trip(mixture: Any, folder: Path) -> DirichletProcessGaussianMixture:
    mixture.save(folder)
    loaded: DirichletProcessGaussianMixture = dimix.load(folder)
    return loaded


def assert_same(value: Any, other: Any) -> None:
    assert same(value, other), f"{value} is not {other}"


def assert_same_answers(mixture: Any, loaded: Any, X: Any) -> None:
    for ask in ("predict", "predict_proba", "score_samples"):
        assert_same(getattr(mixture, ask)(X), getattr(loaded, ask)(X))
    assert_same(mixture.sample(7)[0], loaded.sample(7)[0])
    assert set(vars(mixture)) == set(vars(loaded))
    for name in vars(mixture).keys() - {"covariance_prior", "mean_prior", "lower_bounds_"}:
        assert_same(getattr(mixture, name), getattr(loaded, name))


# --- what is saved comes back


@pytest.mark.parametrize("concentration", [0.5, (2.0, 1.0)])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_attribute_comes_back_to_the_bit(
    covariance_type: str, concentration: Any, tmp_path: Path
) -> None:
    mixture = fitted(
        covariance_type=covariance_type,
        weight_concentration_prior=concentration,
        coarsening="auto",
    )
    loaded = round_trip(mixture, tmp_path / "model")
    assert_same_answers(mixture, loaded, X)
    assert loaded.lower_bounds_ == mixture.lower_bounds_
    for k in range(1, len(mixture.hierarchy_.leaves) + 1):
        assert_same(
            mixture.cut(n_clusters=k).predict_proba(X), loaded.cut(n_clusters=k).predict_proba(X)
        )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_stream_goes_on_as_if_it_had_not_been_saved(covariance_type: str, tmp_path: Path) -> None:
    mixture = DirichletProcessGaussianMixture(4, covariance_type=covariance_type, random_state=0)
    mixture.partial_fit(X[:40])
    loaded = round_trip(mixture, tmp_path / "model")
    for part in (X[40:70], X[70:]):
        assert_same_answers(mixture.partial_fit(part), loaded.partial_fit(part), X)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_missing_values(covariance_type: str, tmp_path: Path) -> None:
    gaps = X.copy()
    gaps[::7, 0] = np.nan
    mixture = fitted(gaps, covariance_type=covariance_type, allow_missing=True, coarsening="auto")
    assert_same_answers(mixture, round_trip(mixture, tmp_path / "model"), gaps)


def test_float32_stays_float32(tmp_path: Path) -> None:
    mixture = fitted(X.astype(np.float32))
    loaded = round_trip(mixture, tmp_path / "model")
    assert loaded.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert_same_answers(mixture, loaded, X.astype(np.float32))


def test_column_names_come_back(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["width", "height"])
    mixture = fitted(frame)
    loaded = round_trip(mixture, tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["width", "height"]
    assert_same_answers(mixture, loaded, frame)


@pytest.mark.parametrize(("covariance_type", "shape"), [("full", (2, 2)), ("diag", (2,))])
def test_parameters_that_are_arrays(
    covariance_type: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    covariance = np.eye(2) if shape == (2, 2) else np.ones(2)
    mixture = fitted(
        mean_prior=[1.0, 2.0], covariance_prior=covariance, covariance_type=covariance_type
    )
    loaded = round_trip(mixture, tmp_path / "model")
    assert_same_answers(mixture, loaded, X)
    np.testing.assert_array_equal(loaded.mean_prior, [1.0, 2.0])
    np.testing.assert_array_equal(loaded.covariance_prior, covariance)
    assert_same(clone(loaded).fit(X).means_, mixture.means_)


def test_parameters_of_numpy_types(tmp_path: Path) -> None:
    mixture = fitted(covariance_type="spherical", covariance_prior=2)
    mixture.set_params(random_state=np.int64(3), tol=np.float64(1e-4))
    loaded = round_trip(mixture, tmp_path / "model")
    assert (loaded.covariance_prior, loaded.tol, loaded.random_state) == (2, 1e-4, 3)


def test_the_device_stays_behind(tmp_path: Path) -> None:
    mixture = fitted(device=torch.device("cpu"))
    assert round_trip(mixture, tmp_path / "model").device is None


@pytest.mark.parametrize("name", MODELS)
def test_a_model_saved_by_version_1_of_the_format_still_loads(name: str) -> None:
    loaded = dimix.load(KEPT / f"{name}-1")
    with np.load(KEPT / f"{name}-1.npz") as said:
        X = said["X"]
        np.testing.assert_allclose(loaded.predict_proba(X), said["probabilities"], atol=1e-10)
        np.testing.assert_allclose(loaded.score_samples(X), said["scores"], rtol=1e-10)
        np.testing.assert_allclose(loaded.sample(20)[0], said["samples"], rtol=1e-10)
    if name == "stream":
        assert loaded.partial_fit(X).n_iter_ == 4
    else:
        assert loaded.cut(n_clusters=2).n_clusters_ == 2


# --- where it is saved


def test_only_json_and_safetensors_are_written(tmp_path: Path) -> None:
    fitted().save(tmp_path / "above" / "model")
    assert [folder.name for folder in tmp_path.iterdir()] == ["above"]
    assert [folder.name for folder in (tmp_path / "above").iterdir()] == ["model"]
    names = sorted(file.name for file in (tmp_path / "above" / "model").iterdir())
    assert names == ["config.json", "metadata.json", "mixture.safetensors"]


def test_a_saved_model_is_replaced_only_if_asked_to(tmp_path: Path) -> None:
    fitted(n_components=3).save(tmp_path / "model")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        fitted(n_components=4).save(tmp_path / "model")
    assert dimix.load(tmp_path / "model").n_components == 3
    fitted(n_components=4).save(tmp_path / "model", overwrite=True)
    assert dimix.load(tmp_path / "model").n_components == 4
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("content", ["notes.txt", "config.json"])
def test_a_folder_that_is_no_saved_model_is_never_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / content).write_text("{}")
    with pytest.raises(FileExistsError, match="is not a saved model"):
        fitted().save(tmp_path, overwrite=True)
    assert (tmp_path / content).read_text() == "{}"


def test_a_saved_model_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds more than a saved model: notes\.txt"):
        fitted().save(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("failing", ["fsync", "rename"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_save_that_fails_leaves_what_was_there(
    failing: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exists:
        fitted(n_components=3).save(tmp_path / "model")
    rename = Path.rename

    def fail_to_put(source: Path, target: Path) -> Path:
        if source.suffix == ".part":
            raise OSError("no space left")
        return rename(source, target)

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    mixture = fitted(n_components=4)
    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "rename", fail_to_put)
        with pytest.raises(OSError, match="no space left"):
            mixture.save(tmp_path / "model", overwrite=True)
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"] * exists
    if exists:
        assert dimix.load(tmp_path / "model").n_components == 3


def test_what_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(NotFittedError):
        DirichletProcessGaussianMixture().save(tmp_path / "model")
    mixture = fitted()
    for name, value, message in (
        ("random_state", np.random.RandomState(0), "random_state is a RandomState, whose state"),
        ("tol", float("nan"), "tol is nan, which a saved model does not hold"),
        ("init_params", len, "init_params is <built-in"),
        ("init_params", "guess", "init_params must be one of"),
    ):
        usual = mixture.get_params()[name]
        with pytest.raises(ValueError, match=message):
            mixture.set_params(**{name: value}).save(tmp_path / "model")
        mixture.set_params(**{name: usual})
    with pytest.raises(ValueError, match="not its subclass Own"):
        type("Own", (DirichletProcessGaussianMixture,), {})(3).fit(X).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# --- the package


def test_the_package_is_imported_without_pytorch() -> None:
    code = (
        "import sys, dimix; heavy = {'torch', 'lightning', 'sklearn'} & set(sys.modules); "
        "assert not heavy, heavy; assert set(dimix.__all__) <= set(dir(dimix)); "
        "dimix.DirichletProcessGaussianMixture; assert 'lightning' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    for name in dimix.__all__:
        assert getattr(dimix, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Dirichlet'"):
        dimix.Dirichlet  # noqa: B018
