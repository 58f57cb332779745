"""DeepInfiniteMixture end to end on small data: what it finds, resumes, samples and refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError

from dimix import DeepInfiniteMixture, load
from dimix.data.views import Jitter, RandomWarp
from dimix.estimators.recipe import UNMOVED, UNMOVED_LAST
from dimix.metrics import clustering_scores
from dimix.models import VAE
from dimix.training import DivergedError, Training, train
from dimix.training.moves import posteriors_of_views
from narrow import narrow

pytestmark = pytest.mark.usefixtures("small_networks")
QUICK = {
    "latent_dim": 3,
    "n_components": 12,
    "pretrain_epochs": 60,
    "epochs": 15,
    "batch_size": 64,
    "random_state": 0,
    "progress": False,
}


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(900, 8, centers=4, cluster_std=0.7, random_state=2)
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(table: tuple[np.ndarray, np.ndarray]) -> DeepInfiniteMixture:
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        return DeepInfiniteMixture(**QUICK).fit(table[0])


def test_few_rows_are_seen_more_often():
    model = DeepInfiniteMixture()
    assert model.n_epochs(1_000_000, images=True) == (20, 30, 15)
    assert model.n_epochs(55_000, images=True) == (20, 121, 60)
    assert model.n_epochs(4_000, images=True) == (179, 135, 68)
    assert model.n_epochs(4_000, images=False) == (128, 150, 0)
    assert model.n_epochs(1_442, images=True) == (350, 320, 160)
    assert model.n_epochs(100, images=True) == (350, 450, 225)
    assert model.n_epochs(700, images=False) == (150, 150, 0)
    assert model.n_epochs(256, images=False) == (150, 400, 0)
    assert model.n_epochs(100, images=False) == (150, 500, 0)
    model = DeepInfiniteMixture(pretrain_epochs=3, epochs=4)
    assert model.n_epochs(100, images=True) == (3, 4, 2)


def test_it_finds_the_clusters(fitted: DeepInfiniteMixture, table: tuple) -> None:
    X, y = table
    assert fitted.n_clusters_ == 4
    assert clustering_scores(y, fitted.predict(X)).acc > 0.97
    np.testing.assert_array_equal(fitted.labels_, fitted.predict(X))


def test_probabilities_of_clusters_are_those_of_their_components(
    fitted: DeepInfiniteMixture, table: tuple
) -> None:
    of_components = fitted.predict_components_proba(table[0])
    of_clusters = fitted.predict_proba(table[0])
    assert of_components.shape == (900, 12)
    assert of_clusters.shape == (900, fitted.n_clusters_)
    for k in range(fitted.n_clusters_):
        members = fitted.component_labels_ == k
        np.testing.assert_allclose(of_clusters[:, k], of_components[:, members].sum(1), atol=1e-6)


def test_the_tree_begins_where_each_row_counts_once(fitted: DeepInfiniteMixture) -> None:
    """In training each of the 900 rows counts five times to begin with."""
    assert fitted.hierarchy_.n_rows == pytest.approx(900)


def test_another_cut_needs_no_training(fitted: DeepInfiniteMixture, table: tuple) -> None:
    assert fitted.cut(n_clusters=2).n_clusters_ == 2
    assert set(fitted.predict(table[0])) == {0, 1}
    assert fitted.cut("auto").n_clusters_ == 4


def test_history_shows_every_step(fitted: DeepInfiniteMixture) -> None:
    assert [row["epoch"] for row in fitted.history_] == list(range(1, 76))
    assert all("train_prior" in row for row in fitted.history_[:60])
    assert all("train_allocation" in row for row in fitted.history_[60:])
    assert all(row["n_components"] >= 1 for row in fitted.history_[60:])


def test_samples_of_a_cluster_look_like_it(fitted: DeepInfiniteMixture, table: tuple) -> None:
    for cluster in range(fitted.n_clusters_):
        drawn, labels = fitted.sample(30, cluster=cluster)
        assert set(labels) == {cluster}
        assert drawn.shape == (30, 8)
        assert (fitted.predict(drawn) == cluster).mean() > 0.9


def test_the_number_of_clusters_may_be_given(table: tuple) -> None:
    model = DeepInfiniteMixture(**QUICK | {"n_clusters": 3, "epochs": 2}).fit(table[0])
    assert model.n_clusters_ == 3
    assert len(set(model.labels_)) == 3


def test_many_latents_cost_nothing(table: tuple) -> None:
    """The mixture is of those that tell most, which alone count for N_eff."""
    X, y = table
    model = DeepInfiniteMixture(**QUICK | {"latent_dim": 40, "mixture_dim": 4}).fit(X)
    spread = model.transform(X).var(0)
    assert model.mixed_latents_.sum() == model.posterior_.family.dim == 4
    assert spread[model.mixed_latents_].min() > spread[~model.mixed_latents_].max()
    assert model.hierarchy_.trained_n_eff == 30 * 15
    assert model.n_clusters_ == 4
    assert clustering_scores(y, model.predict(X)).acc > 0.97
    assert model.transform(X).shape == (900, 40)
    assert {"train_prior", "train_entropy", "train_allocation"} <= set(model.history_[-1])
    drawn, labels = model.sample(200)
    assert (model.predict(drawn) == labels).mean() > 0.9


def test_the_seed_decides(table: tuple) -> None:
    quick = QUICK | {"pretrain_epochs": 3, "epochs": 2}
    one, same, other = (
        DeepInfiniteMixture(**quick | {"random_state": s}).fit(table[0]) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.transform(table[0]), same.transform(table[0]))
    assert not np.array_equal(one.transform(table[0]), other.transform(table[0]))


@pytest.mark.filterwarnings("ignore:the latents tell nothing")  # of noise, after few epochs
@pytest.mark.parametrize("calls", [3, 12, 14])  # of images, 13 to 15 are the finish
@pytest.mark.parametrize("of_images", [False, True])
def test_a_stopped_fit_goes_on_to_the_same_end(
    table: tuple, tmp_path: Path, calls: int, of_images: bool
) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(80, 8, 8), dtype=np.uint8)
    X = images if of_images else table[0][:300]
    quick = QUICK | {"pretrain_epochs": 3, "epochs": 12 if of_images else 14}
    whole = DeepInfiniteMixture(**quick).fit(X)

    class StopError(Exception):
        pass

    def stop(model: DeepInfiniteMixture) -> dict[str, float]:
        epochs.append(1)
        if len(epochs) == calls:
            raise StopError
        return {}

    epochs: list[int] = []
    with pytest.raises(StopError):
        DeepInfiniteMixture(**quick, checkpoint_dir=tmp_path).fit(X, scorer=stop)
    again = DeepInfiniteMixture(**quick, checkpoint_dir=tmp_path).fit(X)
    np.testing.assert_array_equal(whole.transform(X), again.transform(X))
    np.testing.assert_array_equal(whole.labels_, again.labels_)
    assert whole.moves_ == again.moves_
    assert [row["epoch"] for row in whole.history_] == [row["epoch"] for row in again.history_]


@pytest.mark.parametrize(
    "change",
    [
        *({"n_clusters": 2}, {"prior_weight": 4.0}, {"moves": False}, {"augment": None}),
        {"pretrain_prior_weight": 1.0},
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused(
    change: dict, table: tuple, tmp_path: Path
) -> None:
    given = QUICK | {"pretrain_epochs": 1, "epochs": 1, "checkpoint_dir": tmp_path}
    first = DeepInfiniteMixture(**given).fit(table[0])
    written = {file: file.read_bytes() for file in tmp_path.rglob("*.ckpt")}
    (name,) = change
    with pytest.raises(ValueError, match=f"last.ckpt: of a training with {name}=.*move it away"):
        DeepInfiniteMixture(**given | change).fit(table[0])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.ckpt")} == written
    again = DeepInfiniteMixture(**given).fit(table[0])
    np.testing.assert_array_equal(first.transform(table[0]), again.transform(table[0]))


def test_a_checkpoint_of_a_table_is_none_of_images(tmp_path: Path) -> None:
    X = np.random.default_rng(0).random((40, 64), dtype=np.float32)
    short = {"pretrain_epochs": 1, "epochs": 1, "augment": None, "checkpoint_dir": tmp_path}
    DeepInfiniteMixture(**QUICK | short, architecture=(8,)).fit(X)
    with pytest.raises(ValueError, match="of a training with sample_shape='\\(64,\\)', and this"):
        DeepInfiniteMixture(**QUICK | short, architecture=(8,)).fit(X.reshape(40, 8, 8))


@pytest.mark.parametrize(("given", "first"), [({}, 0.25), ({"pretrain_prior_weight": 0.5}, 0.5)])
def test_each_training_has_its_weight_of_the_prior(
    given: dict, first: float, table: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spied(model: VAE, *further: object) -> list[dict[str, float]]:
        weights.append(model.prior_weight)
        return train(model, *further)

    weights = list[float]()
    monkeypatch.setattr("dimix.estimators.infinite.train", spied)
    quick = QUICK | {"pretrain_epochs": 1, "epochs": 1} | given
    DeepInfiniteMixture(**quick).fit(table[0])
    assert weights == [first, 1.5]


def test_divergence_of_the_joint_training_is_said(table: tuple, tmp_path: Path) -> None:
    def poison(model: DeepInfiniteMixture) -> dict[str, float]:
        if epochs:
            torch.nn.init.constant_(next(model.model_.encoder.parameters()), torch.nan)
        epochs.append(1)
        return {}

    epochs: list[int] = []
    model = DeepInfiniteMixture(**QUICK | {"pretrain_epochs": 2}, checkpoint_dir=tmp_path)
    with pytest.raises(DivergedError, match="in epoch 3: the loss became nan") as found:
        model.fit(table[0], scorer=poison)
    assert found.value.good_epochs == 2


def test_latents_that_tell_nothing_are_said_to_be() -> None:
    """Noise that is the same in all directions is worth no latents to a decoder."""
    X = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    model = DeepInfiniteMixture(**QUICK | {"epochs": 150, "prior_weight": 4.0})
    with pytest.warns(UserWarning, match="posterior collapse.*DirichletProcessGaussianMixture"):
        model.fit(X)
    assert model.n_clusters_ == 1


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many samples each minibatch leaves as they are."""
    shares = list[float]()
    views = VAE.views

    def spied(model: VAE, x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        if model.training:
            shares.append(model.unmoved)
        return views(model, x, seen)

    monkeypatch.setattr(VAE, "views", spied)
    return shares


BRIEF = QUICK | {"pretrain_epochs": 1, "epochs": 8, "batch_size": 900}


@pytest.mark.filterwarnings("ignore:the latents tell nothing")  # of noise, after few epochs
@pytest.mark.parametrize(("architecture", "first"), [("mlp", 0), ((8, 8), 0), ("conv", UNMOVED)])
def test_networks_see_more_images_as_they_are_in_the_end(
    architecture: object, first: float, shares: list[float]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(80, 8, 8), dtype=np.uint8)
    model = DeepInfiniteMixture(**BRIEF, architecture=architecture).fit(images)
    assert shares == [first] * 9 + [UNMOVED_LAST] * 4
    assert [row["epoch"] for row in model.history_] == list(range(1, 14))


def test_rows_of_a_table_are_given_noise_until_the_end(table: tuple, shares: list[float]) -> None:
    DeepInfiniteMixture(**BRIEF).fit(table[0])
    assert shares == [0] * 9


def test_images_are_moved_and_tables_are_given_noise(table: tuple) -> None:
    quick = QUICK | {"pretrain_epochs": 1, "epochs": 1}
    images = np.random.default_rng(0).integers(0, 256, size=(80, 8, 8), dtype=np.uint8)
    assert isinstance(DeepInfiniteMixture(**quick).fit(images).model_.augment, RandomWarp)
    assert isinstance(DeepInfiniteMixture(**quick).fit(table[0]).model_.augment, Jitter)
    assert DeepInfiniteMixture(**quick, augment=None).fit(table[0]).model_.augment is None
    seen: list[tuple[int, ...]] = []

    def mine(samples):
        seen.append(tuple(samples.shape))
        return samples

    DeepInfiniteMixture(**quick, augment=mine, views=2).fit(images)
    assert (64, 8, 8) in seen
    assert (128, 8, 8) in seen  # two views in the joint step


@pytest.mark.parametrize(
    ("together", "expected"), [(2_500, [1 / 3, 2 / 3, 1, 1]), (4, [1 / 2, 1, 1, 1])]
)
@pytest.mark.filterwarnings("ignore:the latents tell nothing")  # of noise, after two epochs
def test_views_decide_but_where_they_are_noise(
    table: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    together: int,
    expected: list[float],
) -> None:
    monkeypatch.setattr("dimix.estimators.infinite.VIEWS_TOGETHER", together)
    seeds, shares = list[int](), list[float]()

    def spied(model, rows, seed, share, neighbours):
        seeds.append(seed)
        shares.append(share)
        return posteriors_of_views(model, rows, seed, share, neighbours)

    monkeypatch.setattr("dimix.estimators.infinite.posteriors_of_views", spied)
    quick = QUICK | {"pretrain_epochs": 1, "epochs": 3}
    images = np.random.default_rng(0).integers(0, 256, size=(80, 8, 8), dtype=np.uint8)
    of_images = DeepInfiniteMixture(**quick).fit(images)
    assert len(set(seeds)) == len(seeds) == 4  # after each epoch, and for the tree
    assert shares == expected
    of_a_table = DeepInfiniteMixture(**quick).fit(table[0])
    assert len(seeds) == 4
    assert of_images.hierarchy_.are_kept
    of_images.save(tmp_path / "model")
    assert load(tmp_path / "model").hierarchy_.are_kept
    assert not of_a_table.hierarchy_.are_kept
    warped = DeepInfiniteMixture(**quick, augment=lambda rows: rows).fit(table[0])
    assert len(seeds) == 8
    assert not warped.hierarchy_.are_kept


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.filterwarnings("ignore:the latents tell nothing")  # of noise, after an epoch
def test_neighbours_stand_for_samples_before_the_finish(
    monkeypatch: pytest.MonkeyPatch, images: bool
) -> None:
    found, judged = [], []

    def spied(model: VAE, rows: torch.Tensor, training: Training, *further: Any) -> Any:
        near = training.neighbours
        found.append(near.places.shape[1] if near else 0)
        return train(model, rows, training, *further)

    def seen(model: Any, rows: torch.Tensor, seed: int, share: float, neighbours: Any) -> Any:
        judged.append(neighbours is not None)
        return posteriors_of_views(model, rows, seed, share, neighbours)

    monkeypatch.setattr("dimix.estimators.infinite.train", spied)
    monkeypatch.setattr("dimix.estimators.infinite.posteriors_of_views", seen)
    quick = QUICK | {"pretrain_epochs": 1, "epochs": 2, "n_neighbors": 3}
    X = np.random.default_rng(0).integers(0, 256, size=(80, 8, 7), dtype=np.uint8)
    DeepInfiniteMixture(**quick).fit(X if images else X.reshape(80, -1) / 255)
    assert found == [3, 3] + [0] * images
    assert judged == [True, True, False] * images  # the last for the tree


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_clusters", 0),
        ("mixture_dim", 0),
        ("n_neighbors", -1),
        ("coarsening", -1.0),
        ("views", 0),
        ("sharpness", 0.5),
        ("prior_weight", 0.0),
        ("pretrain_prior_weight", 0.0),
        ("moves", ("jump",)),
        ("moves", {"merge"}),  # in no order, and so not to be told from others
        ("coarsening", 0.5),
        ("devices", 10**6),
        ("checkpoint_dir", Path(__file__) / "below"),
        ("pretrain_epochs", 0),
        ("epochs", 0),
    ],
)
def test_a_bad_parameter_is_named(name: str, value: object, table: tuple) -> None:
    with pytest.raises(ValueError, match=name):
        DeepInfiniteMixture(**QUICK).set_params(**{name: value}).fit(table[0])


@pytest.mark.parametrize(
    ("given", "n_rows", "message"),
    [
        (None, 1, r"X must have at least 2 samples; found 1 sample\(s\)"),
        (9, 8, r"at least 9 samples for n_clusters=9; found 8"),
    ],
)
def test_too_few_rows_are_refused(
    given: int | None, n_rows: int, message: str, table: tuple
) -> None:
    with pytest.raises(ValueError, match=message):
        DeepInfiniteMixture(**QUICK | {"n_clusters": given}).fit(table[0][:n_rows])


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (3, "augment must be a callable or one of 'auto', None, got 3"),
        (np.ones(3), "augment must be a callable"),
        (lambda x: x[:, 1:], r"augment must return .*\[64, 8\] as it was given; found .*\[64, 7\]"),
        (lambda x: x.double(), "found torch.float64"),
        (lambda x: x.numpy(), "found ndarray"),
        (lambda x: x / 0, "augment must return finite numbers"),
        (RandomWarp(), r"augment fails on samples \[64, 8\]: "),
    ],
)
def test_views_that_do_not_fit_are_refused(augment: object, message: str, table: tuple) -> None:
    with pytest.raises(ValueError, match=message):
        DeepInfiniteMixture(**QUICK).set_params(augment=augment).fit(table[0])


def test_what_is_not_fitted_says_so(table: tuple) -> None:
    model = DeepInfiniteMixture()
    for call in (
        lambda: model.posterior_,
        lambda: model.cluster_weights(),
        lambda: model.predict_proba(table[0]),
        lambda: model.transform(table[0], return_var=True),
        lambda: model.sample(),
        lambda: model.cut("auto"),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_likelihood_bounds_tighten_with_draws(fitted: DeepInfiniteMixture, table: tuple) -> None:
    X = table[0][:200]
    one, many = (fitted.score_samples(X, n_draws=n) for n in (1, 200))
    assert one.shape == (200,)
    assert many.mean() > one.mean()
    far = fitted.score_samples(X + 20)
    assert far.max() < many.min()


def test_transform_gives_the_variances_too(fitted: DeepInfiniteMixture, table: tuple) -> None:
    mean, var = fitted.transform(table[0], return_var=True)
    np.testing.assert_allclose(mean, fitted.transform(table[0]), atol=1e-6)
    assert var.shape == mean.shape
    assert var.min() > 0


def test_a_cluster_that_is_not_there_is_named(fitted: DeepInfiniteMixture) -> None:
    with pytest.raises(ValueError, match=r"cluster must be one of 0, 1, 2, 3, got 4"):
        fitted.sample(1, cluster=4)
