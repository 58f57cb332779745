"""An exported graph answers as Python does, on points that neither has seen, for any batch."""

from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest

import dimix
from deep_models import DEEP, QUICK, fitted, of_some_latents, rows
from dimix.export import export_onnx

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

X = rows()
NEW = (X + np.random.default_rng(1).normal(scale=0.7, size=X.shape)).astype(np.float32)
TOLERANCE = 1e-5


def answers(file: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": x}), strict=True))


def assert_same_answers(model: Any, file: Path, x: np.ndarray, given: Any = None) -> None:
    found, given = answers(file, x), x if given is None else given
    if "latent" in found:
        np.testing.assert_allclose(found["latent"], model.transform(given), atol=TOLERANCE)
    if "cluster_proba" in found:
        expected = model.predict_proba(given)
        assert found["cluster_proba"].shape == expected.shape
        np.testing.assert_allclose(found["cluster_proba"], expected, atol=TOLERANCE)
    assert all(value.dtype == np.float32 for value in found.values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "DeepInfiniteMixture"))
        for name in DEEP
    ],
)
def test_deep_models_answer_as_python_does(name: str, tmp_path: Path) -> None:
    model, file = fitted(name), tmp_path / "above" / "model.onnx"
    export_onnx(model, file)
    expected = ["latent"] if name == "VAE" else ["latent", "cluster_proba"]
    assert list(answers(file, NEW)) == expected
    for n in (1, 2, len(NEW)):
        assert_same_answers(model, file, NEW[:n])
    assert [entry.name for entry in file.parent.iterdir()] == ["model.onnx"]


def test_a_mixture_of_some_latents_answers_as_python_does(tmp_path: Path) -> None:
    model, file = of_some_latents(), tmp_path / "model.onnx"
    export_onnx(model, file)
    assert_same_answers(model, file, NEW)


def test_the_probabilities_tell_something() -> None:
    """What is compared above is neither all certain nor one cluster."""
    proba = fitted("DeepInfiniteMixture").predict_proba(NEW)
    assert proba.shape[1] == 3
    assert (proba.max(1) < 0.99).sum() >= 5
    assert set(proba.argmax(1)) == {0, 1, 2}


@pytest.mark.slow
def test_bytes_are_divided_outside(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8), dtype=np.uint8)
    model = dimix.VAE(**QUICK | {"architecture": "conv", "epochs": 1}).fit(images[:20])
    export_onnx(model, tmp_path / "model.onnx")
    assert_same_answers(
        model, tmp_path / "model.onnx", images[20:].astype(np.float32) / 255, images[20:]
    )


@pytest.mark.parametrize(
    ("covariance_type", "coarsening"),
    [
        ("full", "auto"),
        pytest.param("tied", None, marks=pytest.mark.slow),
        pytest.param("diag", "auto", marks=pytest.mark.slow),
        pytest.param("spherical", None, marks=pytest.mark.slow),
    ],
)
def test_mixtures_answer_as_python_does(
    covariance_type: str, coarsening: str | None, tmp_path: Path
) -> None:
    model = dimix.DirichletProcessGaussianMixture(
        6, covariance_type=covariance_type, coarsening=coarsening, moves=False, random_state=0
    ).fit(X.astype(np.float64) + 100)
    export_onnx(model, tmp_path / "model.onnx")
    assert list(answers(tmp_path / "model.onnx", NEW)) == ["cluster_proba"]
    assert_same_answers(model, tmp_path / "model.onnx", NEW + 100)


@pytest.mark.slow
def test_another_cut_is_another_export(tmp_path: Path) -> None:
    model = fitted("DeepInfiniteMixture")
    for k in (1, 2):
        export_onnx(model.cut(n_clusters=k), tmp_path / "model.onnx")
        assert_same_answers(model, tmp_path / "model.onnx", NEW)


@pytest.mark.slow
def test_a_model_that_was_loaded_is_exported(tmp_path: Path) -> None:
    fitted("Algorithm1").save(tmp_path / "model")
    export_onnx(dimix.load(tmp_path / "model"), tmp_path / "model.onnx")
    assert_same_answers(fitted("Algorithm1"), tmp_path / "model.onnx", NEW)


@pytest.mark.slow
def test_an_export_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = fitted("DeepInfiniteMixture")
    before = model.predict_proba(NEW)
    export_onnx(model, tmp_path / "model.onnx")
    np.testing.assert_array_equal(model.predict_proba(NEW), before)
    assert not jaxtyping.config.jaxtyping_disable


@pytest.mark.slow
def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.onnx"
    file.write_text("mine")

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        export_onnx(fitted("VAE"), file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    assert file.read_text() == "mine"


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(TypeError, match="only models of dimix are exported, got str"):
        export_onnx("model", file)
    for kind in (dimix.VAE, dimix.DeepInfiniteMixture, dimix.DirichletProcessGaussianMixture):
        with pytest.raises(ValueError, match="not fitted"):
            export_onnx(kind(), file)
    monkeypatch.setattr("dimix.export.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"onnx and onnxscript: pip install 'dimix\[onnx"):
        export_onnx(fitted("VAE"), file)
    assert not list(tmp_path.iterdir())
