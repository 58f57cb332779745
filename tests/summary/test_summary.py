"""What a report shows of each model, against what the model itself says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dimix import GMVAE, VAE, Algorithm1, DeepInfiniteMixture, DirichletProcessGaussianMixture
from dimix.summary import choosing, pictures, summarise, write_report

pytestmark = pytest.mark.usefixtures("small_networks")
QUICK = {"latent_dim": 3, "epochs": 2, "batch_size": 64, "random_state": 0, "progress": False}
MODELS = {
    "infinite": DeepInfiniteMixture(**QUICK, n_components=6, pretrain_epochs=2),
    "gmvae": GMVAE(**QUICK, n_components=4),
    "vae": VAE(**QUICK),
    "algorithm1": Algorithm1(**QUICK, n_components=4),
    "tree": DirichletProcessGaussianMixture(6, coarsening="auto", moves=False, random_state=0),
    "mixture": DirichletProcessGaussianMixture(6, moves=False, random_state=0),
}


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    X, _ = make_blobs(150, 5, centers=3, cluster_std=0.6, random_state=1)
    return X.astype(np.float32)


def clusters_of(bundle, model) -> np.ndarray:
    """The clusters of a bundle's points, pooled over the probabilities it keeps."""
    k = len(bundle.sizes)
    labels = np.arange(k)
    if bundle.linkage is not None:
        labels = model.component_labels_[model.hierarchy_.leaves]
    pooled = np.zeros((len(bundle.rows), labels.max() + 1))
    for column, share in zip(bundle.components.T, bundle.probabilities.T, strict=True):
        np.add.at(pooled, (np.arange(len(pooled)), labels[column]), share)
    return pooled.argmax(1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:the bound still changed")
def test_every_model_has_a_report(name, table, tmp_path: Path) -> None:
    model = clone(MODELS[name]).fit(table)
    bundle = summarise(model, table)
    assert bundle.map_xy.shape == (150, 2)
    assert bundle.columns.shape == (150, 5)
    assert bundle.samples.shape == (len(bundle.sizes), 8, 5)
    assert bundle.sizes.sum() == pytest.approx(150, rel=1e-3)
    assert len(bundle.history) >= 2
    if hasattr(model, "predict"):
        np.testing.assert_array_equal(clusters_of(bundle, model), model.predict(table))
    if hasattr(model, "transform"):
        np.testing.assert_array_equal(bundle.originals.shape, (150, 5))
    assert write_report(model, table, tmp_path).stat().st_size < 1e6


def test_samples_of_a_component_are_its_own(table) -> None:
    model = clone(MODELS["tree"]).fit(table)
    bundle = summarise(model, table)
    for leaf, draws in zip(model.hierarchy_.leaves, bundle.samples, strict=True):
        own = model.means_[leaf]
        spread = np.sqrt(np.diag(model.covariances_[leaf]))
        assert (np.abs(draws.mean(0) - own) < 4 * spread / np.sqrt(8)).all()


def test_a_tables_values_are_in_the_units_asked_for(table) -> None:
    frame = pd.DataFrame(table * 100 + 7, columns=list("abcde"))
    scaler = StandardScaler().set_output(transform="pandas")
    X = scaler.fit_transform(frame)
    model = DirichletProcessGaussianMixture(4, moves=False, random_state=0).fit(X)
    bundle = summarise(model, X, inverse=scaler.inverse_transform, y=["u", "v", "w"] * 50)
    np.testing.assert_allclose(bundle.columns, frame, rtol=1e-4)
    assert bundle.column_names == ("a", "b", "c", "d", "e")
    assert bundle.label_names == ("u", "v", "w")
    assert abs(bundle.samples.mean() - frame.to_numpy().mean()) < frame.to_numpy().std()


def test_a_pipeline_is_reported_in_the_units_it_was_given(table) -> None:
    frame = pd.DataFrame(1000 * table, columns=list("abcde"))
    piped = make_pipeline(StandardScaler(), clone(MODELS["tree"])).fit(frame)
    bundle = summarise(piped, frame)
    assert bundle.column_names == tuple("abcde")
    np.testing.assert_allclose(bundle.columns, frame, rtol=1e-3, atol=1)
    np.testing.assert_array_equal(clusters_of(bundle, piped[-1]), piped.predict(frame))


def test_images_become_pictures(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (90, 6, 7)).astype(np.uint8)
    model = VAE(**QUICK).fit(images)
    bundle = summarise(model, images, names=[f"{i}.png" for i in range(90)])
    np.testing.assert_array_equal(bundle.thumbnails, images)
    assert bundle.names[3] == "3.png"
    assert bundle.samples.shape == (1, 8, 6, 7)
    expected = np.rint(255 * np.clip(model.reconstruct(images), 0, 1)).astype(np.uint8)
    for before, after in zip(bundle.originals, bundle.reconstructions, strict=True):
        (i,) = np.flatnonzero((images == before).all((1, 2)))
        np.testing.assert_allclose(after.astype(int), expected[i].astype(int), atol=1)


@pytest.mark.parametrize("name", ["y", "names", "columns"])
def test_arguments_that_do_not_fit_are_named(table, name) -> None:
    model = DirichletProcessGaussianMixture(3, moves=False, random_state=0).fit(table)
    with pytest.raises(ValueError, match=f"^{name} must"):
        summarise(model, table, **{name: ["a", "b"]})


def test_large_data_are_subsampled_and_said_to_be(table, monkeypatch) -> None:
    monkeypatch.setattr("dimix.summary.MOST_POINTS", 40)
    monkeypatch.setattr("dimix.summary.MOST_VALUES", 80)
    model = DirichletProcessGaussianMixture(4, moves=False, random_state=0).fit(table)
    bundle = summarise(model, table)
    assert len(bundle.rows) == len(set(bundle.rows.tolist())) == 40
    assert (np.diff(bundle.rows) > 0).all()
    assert bundle.columns.shape == (40, 2)
    assert bundle.n_rows == 150
    assert [note.split()[0] for note in bundle.notes] == ["The", "Shown"]
    np.testing.assert_array_equal(
        summarise(model, table, seed=1).rows, summarise(model, table, seed=1).rows
    )


def test_colour_pictures_shrink_and_floats_have_one_scale() -> None:
    rng = np.random.default_rng(0)
    draw = pictures.Drawer(rng.normal(size=(3, 96, 60, 3)))
    assert draw.shape == (48, 30, 3)
    images = np.full((1, 96, 60, 3), draw.low)
    assert (draw(images) == 0).all()
    assert (draw(images + draw.high - draw.low) == 255).all()
    assert (
        pictures.Drawer(np.zeros((2, 5, 5, 1), np.uint8))(
            np.full((2, 5, 5, 1), 255, np.uint8)
        ).tolist()
        == np.full((2, 5, 5), 255).tolist()
    )


def test_thumbnails_stay_within_their_budget(monkeypatch) -> None:
    monkeypatch.setattr(pictures, "BUDGET", 100 * 12)
    order = np.random.default_rng(0).permutation(1000)
    points = pictures.within_budget((3, 4), order, np.random.default_rng(0))
    assert len(np.unique(points)) == 100
    assert set(order[:50]) <= set(points)


def test_every_groups_extremes_come_first() -> None:
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    order = choosing.by_rank(np.arange(8), groups)
    assert set(order[:4]) == {0, 3, 4, 7}
    assert set(order[4:]) == {1, 2, 5, 6}


def test_the_map_takes_discriminants_where_they_tell_more() -> None:
    X, y = make_blobs(200, 2, centers=3, cluster_std=0.3, random_state=0)
    hidden = np.column_stack([X, 40 * np.random.default_rng(0).normal(size=(200, 3))])
    xy, name = choosing.plane(hidden, y.astype(np.int64))
    assert "tell the clusters apart" in name
    assert choosing.told_apart(xy, y.astype(np.int64)) > 0.95
    assert "largest spread" in choosing.plane(hidden, np.zeros(200, np.int64))[1]
    far = choosing.plane(X + 1e9, y.astype(np.int64))[0].astype(np.float32)
    np.testing.assert_allclose(far, X - X.mean(0), atol=1e-5)


def test_distance_is_in_a_components_own_deviations() -> None:
    z = np.random.default_rng(0).normal(size=(400, 2)) * [1, 100] + [5, 5]
    distance = choosing.distance_from_mean(z, np.zeros(400, np.int64))
    assert (distance**2).mean() == pytest.approx(1)


def test_columns_that_differ_between_clusters_are_kept() -> None:
    clusters = np.arange(300) % 3
    values = np.random.default_rng(0).normal(size=(300, 6))
    values[:, 4] += 5 * clusters
    values[:, 1] += 3 * (clusters == 0)
    values[5, 4] = np.nan
    assert choosing.telling_columns(values, clusters, 2).tolist() == [1, 4]
