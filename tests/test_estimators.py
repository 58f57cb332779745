"""Deep models as scikit-learn estimators: on images and tables, seeded, with clear refusals."""

import inspect
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dimix import GMVAE, VAE, Algorithm1, DeepInfiniteMixture, load
from dimix.estimators import DeepEstimator
from dimix.estimators.warning import warn_user
from dimix.training import Ranks

pytestmark = pytest.mark.usefixtures("small_networks")
QUICK = {"latent_dim": 3, "epochs": 2, "batch_size": 64, "random_state": 0, "progress": False}
KINDS = [VAE, GMVAE, Algorithm1]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return (load_digits().images[:300] * 15).astype(np.uint8)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand on what annotations rule out: that the code must answer for itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


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
        (ink / 2550, "gaussian"),  # black alone
        ((ink > 9).reshape(len(ink), -1)[:, :32], "bernoulli"),
        ((ink > 9).reshape(len(ink), -1)[:, :31], "gaussian"),  # too few to tell much
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


def test_bytes_of_a_table_are_numbers() -> None:
    X = np.random.RandomState(0).randint(0, 2, (90, 40), dtype=np.uint8)
    bits, numbers = VAE(**QUICK).fit(X), VAE(**QUICK).fit(X.astype(float))
    assert (bits.likelihood_, bits.bytes_) == ("bernoulli", False)
    np.testing.assert_array_equal(bits.transform(X), numbers.transform(X.astype(float)))
    np.testing.assert_array_equal(numbers.transform(X), numbers.transform(X.astype(float)))


def test_data_in_other_units_than_those_fitted_are_refused(images: np.ndarray) -> None:
    of_bytes, of_floats = VAE(**QUICK).fit(images), VAE(**QUICK).fit(images.astype(float))
    for call, message in (
        (lambda: of_bytes.transform(images.astype(float)), "X must be bytes, or lie in"),
        (lambda: of_floats.transform(images), "X holds bytes.*fitted to floats up to 240"),
        (lambda: VAE(**QUICK).fit(images, X_val=images.astype(float)), "X_val must be bytes"),
        (lambda: of_floats.transform(np.full((1, 8, 8), 1e25)), "too far outside of what the"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    far = of_floats.transform(np.full((1, 8, 8), 1e9))
    assert np.isfinite(far).all()


def test_bytes_of_bits_are_pointed_out_to_a_model_of_floats(images: np.ndarray) -> None:
    bits = (images > 120).astype(np.uint8)
    model = VAE(**QUICK).fit(bits.astype(float))
    with pytest.warns(UserWarning, match="X holds bytes of 0 and 1 alone"):
        model.transform(bits)


def test_a_warning_points_at_the_line_that_called_the_package() -> None:
    inside = {"__name__": "dimix.deep", "warn": inspect.unwrap(warn_user)}  # of annotations' checks
    exec("def outer():\n    inner()\n\ndef inner():\n    warn('so it is')\n", inside)
    with pytest.warns(UserWarning, match="so it is") as found:
        inside["outer"]()
    assert found[0].filename == __file__


def test_masked_entries_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="X must have no masked entries"):
        VAE(**QUICK).fit(np.ma.masked_less(images, 5))


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
    ("start", "message"),
    [
        (GMVAE(**QUICK), "pretrained must be a fitted GMVAE; found GMVAE"),
        (VAE(**QUICK), "pretrained must be a fitted GMVAE; found VAE"),
        (GMVAE(**QUICK | {"latent_dim": 2}), "pretrained must have the same latent_dim"),
        (GMVAE(**QUICK, architecture=(7,)), "pretrained must have .* and networks"),
    ],
    ids=["not fitted", "another model", "latents", "networks"],
)
def test_a_start_that_does_not_fit_is_refused(
    start: GMVAE | VAE, message: str, request: pytest.FixtureRequest, images: np.ndarray
) -> None:
    start = clone(start)
    if "not fitted" not in request.node.name:
        start.fit(images)
    with pytest.raises(ValueError, match=message):
        Algorithm1(**QUICK).set_params(pretrained=start).fit(images)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((4, 3), np.nan), r"X must hold finite numbers alone; found NaN at \[0, 0\]"),
        (np.array([[0.0, np.inf]]), r"found inf at \[0, 1\]"),
        (np.array([["a", "b"]]), "not compatible with arrays of bytes/strings"),
        (np.zeros((4, 3), dtype="datetime64[s]"), r"X must hold numbers; found datetime64\[s\]"),
        (np.zeros(5), "Reshape your data"),
        (np.zeros((0, 5)), r"0 sample\(s\)"),
        (np.zeros((5, 2, 2, 2, 2)), r"X must be a table .*found shape \(5, 2, 2, 2, 2\)"),
        (np.zeros((5, 0, 2)), r"at least one number a sample; found \(5, 0, 2\)"),
        (np.array([[0.0, 3.0]]), r"X must lie in \[0, 1\].*found \[0, 3\]"),
        (np.array([[0, 1e8], [1, 1e8 + 9]]), "column 1 of X lies .*so far from 0 that float32"),
    ],
)
def test_bad_data_is_refused_before_any_work(X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAE(**QUICK, likelihood="bernoulli").fit(X)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_scale_that_float32_cannot_square_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="X must have a standard deviation from 1e-15 to 1e"):
        VAE(**QUICK).fit(scale * np.eye(5))


def test_columns_that_vary_far_from_0_are_taken_where_float32_tells_them_apart() -> None:
    X = np.random.RandomState(0).normal(1e6, 2, (50, 3))
    X[:, 0] = 1e12 + 1 / 3  # nothing to tell apart
    assert VAE(**QUICK).fit(X).transform(X).std(0).min() > 0


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda x: x.reshape(-1, 64), r"64 columns of grey .* give X.reshape\(-1, 8, 8\)"),
        (lambda x: x.reshape(-1, 64) / 255, "64 columns of grey levels"),
        (lambda x: x[:, None], r"images of shape \(1, 8, 8\) are .* give numpy.moveaxis"),
        (lambda x: x, ""),
        (lambda x: x[..., None], ""),
        (lambda x: (x > 99).astype(np.uint8), "bytes of images .* give X.astype"),
        (lambda x: (x > 99).reshape(-1, 64), ""),
        (lambda x: x.reshape(-1, 64) - 0.5, ""),
        (lambda x: x.reshape(-1, 64)[:, :63], ""),
    ],
)
def test_images_in_a_shape_that_hides_them_are_pointed_out(
    change: Callable[[np.ndarray], np.ndarray], hint: str, images: np.ndarray
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        VAE(**QUICK | {"epochs": 1}).fit(change(images))
    said = [str(one.message) for one in caught if "images" in str(one.message)]
    assert bool(hint) == bool(said)
    assert not hint or re.search(hint, said[0])


@pytest.mark.parametrize("name", ["epochs", "batch_size", "devices", "num_nodes"])
def test_numbers_of_numpy_are_numbers(name: str, images: np.ndarray) -> None:
    given = {name: np.int64(QUICK.get(name, 1))}  # as a search over parameters sets them
    one, other = VAE(**QUICK).set_params(**given).fit(images), VAE(**QUICK).fit(images)
    np.testing.assert_array_equal(one.transform(images), other.transform(images))


def test_a_scorers_numbers_of_numpy_do_not_spoil_a_checkpoint(
    images: np.ndarray, tmp_path: Path
) -> None:
    given = QUICK | {"checkpoint_dir": tmp_path}
    scorer = lambda _: {"one": np.float32(1), "two": np.int64(2)}  # noqa: E731
    history = VAE(**given).fit(images, scorer=scorer).history_
    assert VAE(**given).fit(images, scorer=scorer).history_ == history


@pytest.mark.usefixtures("unchecked")
def test_a_scorer_is_called_and_so_callable(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scorer must be a callable or None, got 3"):
        VAE(**QUICK).fit(images, scorer=3)


@pytest.mark.parametrize(
    "scores", [None, {"one": "1.5 units"}, {"epoch": 3.0}, {"train_loss": 0.0}]
)
def test_what_a_scorer_may_not_return_is_named(scores: object, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"scorer must (not )?return"):
        VAE(**QUICK).fit(images, scorer=lambda _: scores)


def test_a_fit_that_was_stopped_keeps_nothing_of_the_one_before(
    images: np.ndarray, tmp_path: Path
) -> None:
    model = GMVAE(**QUICK).fit(images)

    def stop(_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(images[:99], scorer=stop)
    assert not hasattr(model, "labels_")
    assert model.predict(images).shape == (300,)  # as far as it came
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="NaN"):
        model.fit(images).fit(images * np.nan)
    assert len(model.labels_) == 300  # no work began


@pytest.mark.parametrize(
    ("options", "scale", "named"),
    [
        ({"architecture": "conv"}, 1.0, "architecture"),
        ({"augment": lambda x: x[:, 1:]}, 1.0, "augment"),
        ({"n_clusters": 999}, 1.0, "n_clusters"),
        ({}, 1e30, "X must have a standard deviation"),
    ],
)
def test_a_fit_that_is_refused_leaves_the_one_before(
    options: dict[str, object], scale: float, named: str
) -> None:
    X = np.random.default_rng(0).normal(size=(80, 12))
    model = DeepInfiniteMixture(**QUICK, pretrain_epochs=2, n_components=4).fit(X)
    before = model.predict_proba(X), model.labels_
    with pytest.raises(ValueError, match=named):
        model.set_params(**options).fit(scale * X[:, :9])
    for kept, now in zip(before, (model.predict_proba(X), model.labels_), strict=True):
        np.testing.assert_array_equal(now, kept)


@pytest.mark.parametrize("kind", [*KINDS, DeepInfiniteMixture])
def test_parameters_set_after_a_fit_wait_for_the_next(
    kind: type[DeepEstimator], images: np.ndarray, tmp_path: Path
) -> None:
    model = kind(**QUICK).fit(images)
    before = model.reconstruct(images)
    n_components = {} if kind is VAE else {"n_components": 2}
    model.set_params(latent_dim=5, architecture="conv", likelihood="gaussian", **n_components)
    if kind is not VAE:
        assert len(model.sample(50)[1]) == 50
    np.testing.assert_array_equal(model.reconstruct(images), before)
    assert len(model.get_feature_names_out()) == 3
    if isinstance(model, VAE | DeepInfiniteMixture):
        assert np.isfinite(model.score_samples(images, n_draws=2)).all()
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.latent_dim, loaded.architecture) == (3, "mlp")
    np.testing.assert_array_equal(loaded.reconstruct(images), before)
    assert model.fit(images).transform(images).shape == (300, 5)


def test_more_devices_than_there_are_start_no_process(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "_launch", lambda _: pytest.fail("a process was started"))
    most = os.cpu_count()
    with pytest.raises(ValueError, match=f"devices must be at most {most}, the cores of the CPU"):
        VAE(**QUICK, devices=10**6).fit(images)
    with pytest.raises(ValueError, match="batch_size must be at least 99, the number of processes"):
        VAE(**QUICK, num_nodes=99).fit(images)


@pytest.mark.parametrize("kind", [*KINDS, DeepInfiniteMixture])
def test_a_fit_that_a_scorer_ended_answers_at_rest(
    kind: type[DeepEstimator], images: np.ndarray
) -> None:
    model = kind(**QUICK)
    with pytest.raises(ZeroDivisionError):
        model.fit(images, scorer=lambda _: {"one": 1 / 0})
    assert not model.model_.training
    before = {k: v.clone() for k, v in model.model_.state_dict().items()}
    assert model.score(images) == model.score(images)
    for name, value in model.model_.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", ["abc", -1, 1.5])
def test_a_seed_that_is_none_is_named(value: object, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="random_state must be None, an integer from 0"):
        VAE(**QUICK | {"random_state": value}).fit(images)


@pytest.mark.usefixtures("unchecked")
def test_a_logger_is_one_of_lightning(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="logger must be a Lightning logger or None, got 'x'"):
        VAE(**QUICK, logger="x").fit(images)


@pytest.mark.parametrize("kind", [Algorithm1, DeepInfiniteMixture])
def test_a_mixture_takes_two_samples_or_more(kind: type[DeepEstimator], images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"X must have at least 2 samples; found 1 sample\(s\)"):
        kind(**QUICK).fit(images[:1])


def test_a_missing_value_of_pandas_is_named() -> None:
    table = pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 3]}).astype({"b": "Int64"})
    table.loc[2, "b"] = pd.NA
    with pytest.raises(
        ValueError, match=r"X must hold finite numbers alone; found NaN at \[2, 1\]"
    ):
        VAE(**QUICK).fit(table)


def test_validation_data_have_the_shape_of_the_others(images: np.ndarray) -> None:
    for X, other in ((images, images[:, :, :7]), (images[:, 0], images[:, 0, :5])):
        with pytest.raises(ValueError, match="X_val has samples of shape"):
            VAE(**QUICK).fit(X, X_val=other)
    with pytest.raises(ValueError, match="Input X_val contains NaN"):
        VAE(**QUICK).fit(images, X_val=images[:2] * np.nan)


@pytest.mark.usefixtures("unchecked")
def test_sparse_validation_data_are_said_to_be(images: np.ndarray) -> None:
    table = images.reshape(300, 64)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        VAE(**QUICK).fit(table, X_val=sparse.csr_array(table[:9]))
    with pytest.raises(TypeError, match="Sparse data was passed"):
        VAE(**QUICK).fit(images).transform(sparse.csr_array(table))


def test_latents_and_samples_asked_for_are_checked(images: np.ndarray) -> None:
    vae, model = VAE(**QUICK).fit(images), GMVAE(**QUICK, n_components=3).fit(images)
    for call, message in (
        (lambda: vae.sample(0), "n_samples must be an integer >= 1, got 0"),
        (lambda: model.sample(-2), "n_samples must be an integer >= 1, got -2"),
        (lambda: model.sample(1, cluster=3), "cluster must be one of 0, 1, 2, got 3"),
        (lambda: model.sample(1, cluster=-1), "cluster must be one of 0, 1, 2, got -1"),
        (lambda: vae.score_samples(images, 0), "n_draws must be an integer >= 1, got 0"),
        (lambda: vae.inverse_transform([[np.nan] * 3]), "Input Z contains NaN"),
        (lambda: vae.inverse_transform([[0.0]]), r"Z must be \[N, 3\]; found \[1, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("latent_dim", 0),
        ("latent_dim", True),
        ("epochs", -3),
        ("batch_size", -1),
        ("learning_rate", 0.0),
        ("learning_rate", np.inf),
        ("likelihood", "Gaussian"),
        ("precision", "64"),
    ],
)
def test_bad_parameters_are_named(parameter: str, value: object, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"{parameter} must be .*{re.escape(repr(value))}"):
        VAE(**QUICK).set_params(**{parameter: value}).fit(images)


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
