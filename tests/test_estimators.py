"""Deep models as scikit-learn estimators: on images and tables, seeded, with clear refusals."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dimix import GMVAE, VAE, Algorithm1
from dimix.estimators import DeepEstimator

pytestmark = pytest.mark.usefixtures("small_networks")
QUICK = {"latent_dim": 3, "epochs": 2, "batch_size": 64, "random_state": 0, "progress": False}
KINDS = [VAE, GMVAE, Algorithm1]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return (load_digits().images[:300] * 15).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_face(kind: type[DeepEstimator], images: np.ndarray) -> None:
    model = kind(**QUICK, likelihood="bernoulli").fit(images, X_val=images[:50])
    z = model.transform(images)
    assert z.shape == (300, 3)
    assert model.inverse_transform(z).shape == images.shape
    reconstructed = model.reconstruct(images[:7])
    assert reconstructed.shape == (7, 8, 8)
    assert 0 <= reconstructed.min() <= reconstructed.max() <= 1
    assert model.score(images) == pytest.approx(sum(model.bound_terms(images).values()))
    assert len(model.history_) == 2


def test_the_likelihood_is_chosen_by_how_grey_the_data_are(images: np.ndarray) -> None:
    ink = np.where(images > 127, 250, 5).astype(np.uint8)
    for X, expected in (
        (images, "gaussian"),
        (images / 255, "gaussian"),
        (ink, "bernoulli"),
        (ink / 255, "bernoulli"),
        (ink / 100, "gaussian"),
        (ink / 255 - 0.5, "gaussian"),
        (ink.reshape(len(ink), -1)[:, :32], "bernoulli"),
        (ink.reshape(len(ink), -1)[:, :31], "gaussian"),  # too few to tell much
    ):
        assert VAE(**QUICK).fit(X).likelihood_ == expected


@pytest.mark.parametrize("kind", [GMVAE, Algorithm1])
def test_clusters_and_samples(kind: type[GMVAE], images: np.ndarray) -> None:
    model = kind(**QUICK, n_components=4).fit(images)
    probability = model.predict_proba(images)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.predict(images), probability.argmax(1))
    drawn, components = model.sample(20)
    assert drawn.shape == (20, 8, 8)
    assert set(components) <= set(range(4))
    assert set(model.sample(5, cluster=2)[1]) == {2}
    assert model.cluster_weights().sum() == pytest.approx(1)


def test_the_seed_decides(images: np.ndarray) -> None:
    one, same, other = (GMVAE(**QUICK | {"random_state": s}).fit(images) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.transform(images), same.transform(images))
    assert one.score(images) == same.score(images)
    assert one.score(images) != other.score(images)


def test_bytes_and_their_fractions_are_the_same_data(images: np.ndarray) -> None:
    as_bytes, as_floats = VAE(**QUICK).fit(images), VAE(**QUICK).fit(images / 255)
    np.testing.assert_allclose(
        as_bytes.transform(images), as_floats.transform(images / 255), atol=1e-3
    )


def test_layout_in_memory_does_not_matter(images: np.ndarray) -> None:
    expected = VAE(**QUICK).fit(images).transform(images)
    fortran = np.asfortranarray(images)
    fortran.flags.writeable = False
    np.testing.assert_array_equal(VAE(**QUICK).fit(fortran).transform(fortran), expected)


def test_a_table_in_a_pipeline() -> None:
    X, _ = make_blobs(200, 5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), GMVAE(**QUICK, likelihood="gaussian"))
    assert pipeline.fit_predict(X * 1000).shape == (200,)


def test_clone_keeps_every_parameter() -> None:
    model = Algorithm1(gumbel="hard", kl_weight=0.5, epochs=3)
    assert clone(model).get_params() == model.get_params()


def test_pretrained_start_is_taken(images: np.ndarray) -> None:
    start = GMVAE(**QUICK).fit(images)
    model = Algorithm1(**QUICK | {"learning_rate": 1e-12}, pretrained=start).fit(images)
    np.testing.assert_allclose(model.transform(images), start.transform(images), atol=1e-4)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((4, 3), np.nan), "contains NaN"),
        (np.array([[0.0, np.inf]]), "contains infinity"),
        (np.array([["a", "b"]]), "not compatible with arrays of bytes/strings"),
        (np.zeros(5), "Reshape your data"),
        (np.zeros((0, 5)), r"0 sample\(s\)"),
        (np.array([[0.0, 3.0]]), r"X must lie in \[0, 1\].*found \[0, 3\]"),
    ],
)
def test_bad_data_is_refused_before_any_work(X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAE(**QUICK, likelihood="bernoulli").fit(X)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("latent_dim", 0), ("epochs", -3), ("batch_size", -1), ("learning_rate", 0.0)],
)
def test_bad_parameters_are_named(parameter: str, value: object, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"{parameter} must be .*{re.escape(repr(value))}"):
        VAE(**QUICK | {parameter: value}).fit(images)


@pytest.mark.parametrize(
    ("kind", "parameter", "value"),
    [
        (GMVAE, "n_components", 0),
        (GMVAE, "w_dim", 0),
        (GMVAE, "y_kl_min", -1.0),
        (Algorithm1, "n_components", 0),
        (Algorithm1, "temperature", 0.0),
        (Algorithm1, "kl_weight", -0.1),
    ],
)
def test_bad_parameters_of_a_model_are_named(
    kind: type[DeepEstimator], parameter: str, value: object, images: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=f"{parameter} must be .*{re.escape(repr(value))}"):
        kind(**QUICK, **{parameter: value}).fit(images)


def test_other_shapes_are_refused_later(images: np.ndarray) -> None:
    model = VAE(**QUICK).fit(images)
    with pytest.raises(ValueError, match=r"shape \(4, 8\); the model was fitted to .*\(8, 8\)"):
        model.transform(images[:, :4])
    with pytest.raises(ValueError, match=r"Z must be \[N, 3\]; found \[2, 4\]"):
        model.inverse_transform(np.zeros((2, 4)))
