"""A saved deep model comes back to the bit, and what it does not need stays behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import dimix
from deep_models import DEEP, QUICK, fitted, of_some_latents, rows
from dimix.estimators import DeepEstimator
from dimix.nets import MLP, Convolutions
from saved_models import KEPT, same

X = rows()
ATTRIBUTES = ("seed_", "likelihood_", "sample_shape_", "n_features_in_", "data_summary_")
CLUSTERERS = [name for name in DEEP if name != "VAE"]


def round_trip(model: Any, folder: Path) -> Any:
    model.save(folder)
    return dimix.load(folder)


def assert_same_answers(model: Any, loaded: Any, X: Any = X) -> None:
    """Every answer and everything fitted, to the bit."""
    assert type(model) is type(loaded)
    assert same(model.transform(X), loaded.transform(X))
    assert same(model.reconstruct(X), loaded.reconstruct(X))
    assert model.bound_terms(X) == loaded.bound_terms(X)
    for ask in ("predict_proba", "score_samples", "predict_components_proba"):
        if hasattr(model, ask):
            assert same(getattr(model, ask)(X), getattr(loaded, ask)(X))
    assert same(model.sample(7), loaded.sample(7))
    assert set(vars(model)) == set(vars(loaded))
    for name in vars(model).keys() - {"model_", "history_", "progress", "fitted_with_"}:
        assert same(getattr(model, name), getattr(loaded, name)), name


# --- what is saved comes back


@pytest.mark.parametrize("name", DEEP)
def test_every_answer_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    loaded = round_trip(model, tmp_path / "model")
    assert_same_answers(model, loaded)
    assert loaded.history_ == model.history_
    assert not loaded.model_.training
    assert_same_answers(model, round_trip(loaded, tmp_path / "again"))


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_a_loaded_model_is_fitted_again_as_the_first_was(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    again = clone(round_trip(model, tmp_path / "model")).set_params(progress=False).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_cuts_come_back(tmp_path: Path) -> None:
    model = fitted("DeepInfiniteMixture")
    labels = model.labels_.copy()
    loaded = round_trip(model, tmp_path / "model")
    for k in range(1, len(model.hierarchy_.leaves) + 1):
        one, other = (m.cut(n_clusters=k).predict_proba(X) for m in (model, loaded))
        assert same(one, other)
    assert model.cut("auto").n_clusters_ == loaded.cut("auto").n_clusters_
    at_the_end = round_trip(model, tmp_path / "cut")
    assert at_the_end.n_clusters_ == model.n_clusters_
    assert same(at_the_end.labels_, labels)  # those of the fit, whatever the cut


def test_where_the_training_ended_comes_back_whatever_the_recipe_is_by_then(tmp_path: Path) -> None:
    model = fitted("DeepInfiniteMixture")
    model.hierarchy_ = replace(model.hierarchy_, trained_n_eff=123.0)
    assert round_trip(model, tmp_path / "model").hierarchy_.trained_n_eff == 123.0


def test_a_mixture_of_some_latents_comes_back(tmp_path: Path) -> None:
    model = of_some_latents()
    assert_same_answers(model, round_trip(model, tmp_path / "model"))


def test_images_bytes_and_convolutions(tmp_path: Path) -> None:
    images = 255 * np.random.default_rng(0).integers(0, 2, size=(12, 8, 8), dtype=np.uint8)
    model = dimix.VAE(**QUICK | {"architecture": "conv", "epochs": 1}).fit(images)
    loaded = round_trip(model, tmp_path / "model")
    assert loaded.likelihood_ == "bernoulli"
    assert_same_answers(model, loaded, images)
    assert loaded.data_summary_["mean"] == pytest.approx(images.mean())
    assert (loaded.data_summary_["min"], loaded.data_summary_["max"]) == (0, 255)


@pytest.mark.parametrize(
    ("given", "expected"), [("mlp", "mlp"), (MLP((5, 4)), MLP((5, 4))), (Convolutions(), "conv")]
)
def test_architectures_come_back(given: Any, expected: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((8, 5, 5))
    model = dimix.VAE(**QUICK | {"architecture": given, "epochs": 1}).fit(images)
    assert round_trip(model, tmp_path / "model").architecture == expected


def test_column_names_come_back(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    loaded = round_trip(dimix.VAE(**QUICK).fit(frame), tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(frame.rename(columns={"a": "z"}))


def test_a_history_that_is_not_finite_is_saved_all_the_same(tmp_path: Path) -> None:
    scores = iter([np.float32(0.5), float("nan")])
    model = dimix.VAE(**QUICK | {"epochs": 2}).fit(X, scorer=lambda _: {"score": next(scores)})
    first, second = round_trip(model, tmp_path / "model").history_
    assert first["score"] == 0.5
    assert np.isnan(second["score"])


# --- what stays behind


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_what_only_the_training_needed_stays_behind(tmp_path: Path) -> None:
    model = dimix.DeepInfiniteMixture(
        **QUICK | {"epochs": 1, "pretrain_epochs": 1},
        augment=lambda samples: samples,
        checkpoint_dir=tmp_path / "checkpoints",
        logger=CSVLogger(tmp_path / "log"),
    ).fit(X)
    loaded = round_trip(model, tmp_path / "model")
    assert (loaded.augment, loaded.checkpoint_dir, loaded.logger) == ("auto", None, None)
    assert same(model.predict_proba(X), loaded.predict_proba(X))
    text = (tmp_path / "model" / "metadata.json").read_text()
    for name in ("augment", "checkpoint_dir", "logger"):
        assert f'"{name}"' in text
    assert str(tmp_path) not in text + (tmp_path / "model" / "config.json").read_text()


def test_the_pretrained_start_stays_behind(tmp_path: Path) -> None:
    start = fitted("GMVAE")
    model = dimix.Algorithm1(**QUICK, n_components=3, pretrained=start).fit(X)
    loaded = round_trip(model, tmp_path / "model")
    assert loaded.pretrained is None
    assert same(model.predict_proba(X), loaded.predict_proba(X))


class OwnNetworks:
    def encoder(self, shape: tuple[int, ...]) -> torch.nn.Module:
        return MLP((4,)).encoder(shape)

    def decoder(self, shape: tuple[int, ...], latent_dim: int) -> torch.nn.Module:
        return MLP((4,)).decoder(shape, latent_dim)


class Own(dimix.VAE):
    pass


def test_what_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(NotFittedError):
        dimix.VAE().save(tmp_path / "model")
    model = dimix.VAE(**QUICK | {"architecture": OwnNetworks()}).fit(X)
    with pytest.raises(ValueError, match="architecture is a OwnNetworks of one's own"):
        model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="not their subclass Own"):
        Own(**QUICK).fit(X).save(tmp_path / "model")
    model = dimix.VAE(**QUICK | {"random_state": np.random.RandomState(0)}).fit(X)
    with pytest.raises(ValueError, match="random_state is a RandomState"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", DEEP)
def test_only_json_and_safetensors_are_written(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path / "model")
    found = sorted(file.name for file in (tmp_path / "model").iterdir())
    mixture = ["mixture.safetensors"] * (name in CLUSTERERS)
    assert found == ["config.json", "metadata.json", *mixture, "weights.safetensors"]
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        fitted(name).save(tmp_path / "model")


@pytest.mark.parametrize("name", DEEP)
def test_loading_leaves_the_random_numbers_alone(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path / "model")
    before = torch.random.get_rng_state()
    dimix.load(tmp_path / "model")
    assert same(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", DEEP)
def test_a_model_saved_by_version_1_of_the_format_still_loads(name: str) -> None:
    loaded: DeepEstimator = dimix.load(KEPT / f"{name}-1")
    with np.load(KEPT / f"{name}-1.npz") as said:
        for answer in said.files:
            if answer != "X":
                found = getattr(loaded, answer)(said["X"])
                np.testing.assert_allclose(found, said[answer], atol=1e-4, rtol=1e-4)
    if name == "DeepInfiniteMixture":
        assert loaded.cut(n_clusters=1).n_clusters_ == 1
