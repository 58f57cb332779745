"""On a real GPU, where there is one: the same models, the same answers on any machine after."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

import dimix
from deep_models import DEEP, QUICK, rows
from dimix import DeepInfiniteMixture, DirichletProcessGaussianMixture, load
from dimix.experiments import Grid, find_rows, reproduce
from dimix.metrics import clustering_scores
from dimix.training import device_of
from narrow import narrow

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use"),
    pytest.mark.usefixtures("small_networks"),
]
PRECISIONS = ["32-true", "bf16-mixed"]


def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(900, 8, centers=4, cluster_std=0.7, random_state=2)
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32), y


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Bars that lie, stand, or cross, on grey noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=600)
    images = 0.1 * rng.random((600, 12, 12))
    images[y != 1, 5:7] += 0.8
    images[y != 0, :, 5:7] += 0.8
    return np.clip(images, 0, 1).astype(np.float32), y


def flagship(**settings: Any) -> DeepInfiniteMixture:
    small = {"latent_dim": 3, "n_components": 12, "pretrain_epochs": 40, "epochs": 15}
    return DeepInfiniteMixture(
        **small | {"batch_size": 64, "random_state": 0, "progress": False} | settings,
        device="cuda",
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", DEEP)
def test_every_model_answers_alike_on_gpu_and_cpu(
    name: str, precision: str, tmp_path: Path
) -> None:
    X = rows()
    model = getattr(dimix, name)(**QUICK, **DEEP[name], device="cuda", precision=precision)
    model.fit(X, X_val=X[:20])
    model.save(tmp_path / "model")
    assert device_of(model.model_).type == "cpu"
    loaded = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    loaded.model_.to("cuda")
    for method in ("transform", "reconstruct", "predict_proba"):
        if hasattr(model, method):
            there, here = (getattr(one, method)(X) for one in (loaded, model))
            np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-4, err_msg=method)
    assert all(np.isfinite(row["val_loss"]) for row in model.history_)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_flagship_finds_the_clusters_of_a_table(precision: str) -> None:
    X, y = blobs()
    model = flagship(precision=precision, pretrain_epochs=60).fit(X)
    assert model.n_clusters_ == 4
    assert clustering_scores(y, model.predict(X)).acc > 0.97


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_flagship_finds_the_clusters_of_pictures(precision: str, architecture: str) -> None:
    X, y = pictures()
    model = flagship(precision=precision, architecture=architecture, n_clusters=3).fit(X)
    assert clustering_scores(y, model.predict(X)).acc > 0.97
    assert model.sample(5)[0].shape == (5, 12, 12)


def test_a_fit_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    X, _ = blobs()

    def stop(model: DeepInfiniteMixture) -> dict[str, float]:
        if len(list(tmp_path.rglob("joint/last.ckpt"))):
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        flagship(checkpoint_dir=tmp_path).fit(X, scorer=stop)
    resumed, whole = flagship(checkpoint_dir=tmp_path).fit(X), flagship().fit(X)
    np.testing.assert_allclose(resumed.transform(X), whole.transform(X), rtol=1e-2, atol=1e-3)


def test_the_mixture_is_that_of_the_cpu() -> None:
    X = blobs()[0].astype(np.float64)
    there, here = (
        DirichletProcessGaussianMixture(12, random_state=0, device=device).fit(X)
        for device in ("cuda", None)
    )
    assert there.lower_bound_ == pytest.approx(here.lower_bound_, rel=1e-9)
    np.testing.assert_allclose(there.predict_proba(X), here.predict_proba(X), atol=1e-6)


def test_the_papers_rows_are_trained_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch)
    found: list[Any] = []
    chosen = find_rows(["vae+gmm", "algorithm1-soft"])
    reproduce(Grid("digits", None, chosen, [2], [0], 2, tmp_path, "cuda"), found.append)
    assert [record.settings["device"] for record in found] == ["cuda"] * 2
    assert found[0].versions["gpu"] == torch.cuda.get_device_name()
