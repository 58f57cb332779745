"""The estimator against scikit-learn's own, its contract, and hostile input."""

import re
import warnings
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import BayesianGaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

import oracles
from dimix.metrics import clustering_scores
from dimix.mixture import DirichletProcessGaussianMixture
from mixture_cases import blobs, plain

X = blobs(150, 3).numpy()
TYPES = ["full", "tied", "diag", "spherical"]
types = pytest.mark.parametrize("covariance_type", TYPES)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand the estimator what its annotations rule out: that it must answer for itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def fitted(X: Any, n_components: int = 6, **options: Any) -> DirichletProcessGaussianMixture:
    options = {"max_iter": 500, "random_state": 0, **options}
    return DirichletProcessGaussianMixture(n_components, **options).fit(X)


@parametrize_with_checks(
    [DirichletProcessGaussianMixture(covariance_type=kind, tol=1e-2) for kind in TYPES]
)
@pytest.mark.usefixtures("unchecked")
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# --- agreement with scikit-learn


@pytest.mark.parametrize("reg_covar", [1e-6, 1e-2])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
def test_same_fixed_point_as_scikit_learn(init_params: str, reg_covar: float) -> None:
    common = {
        "n_components": 5,
        "init_params": init_params,
        "reg_covar": reg_covar,
        "random_state": 3,
        "max_iter": 300,
        "weight_concentration_prior": 0.3,
        "mean_precision_prior": 0.5,
        "mean_prior": [1.0, -1.0, 0.5],
        "degrees_of_freedom_prior": 4.5,
        "covariance_prior": np.diag([1.0, 2.0, 3.0]) + 0.3,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of tol=0, which never stops
        theirs = BayesianGaussianMixture(
            weight_concentration_prior_type="dirichlet_process", tol=0, **common
        ).fit(X)
        plain_ascent = {"tol": 0, "reorder": False, "moves": False}
        ours = DirichletProcessGaussianMixture(**plain_ascent, **common).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-6, 1e-6, name)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_wide_prior_is_the_default_of_scikit_learn() -> None:
    theirs = BayesianGaussianMixture(
        n_components=6, weight_concentration_prior_type="dirichlet_process", tol=1e3
    ).fit(X)
    prior = fitted(X, covariance_prior="empirical").posterior_.prior
    mean, kappa, dof, scatter = plain(prior.components)[0]
    np.testing.assert_allclose(mean + prior.centre.numpy(), theirs.mean_prior_, atol=1e-12)
    np.testing.assert_allclose(scatter, theirs.covariance_prior_, rtol=1e-12)
    assert (kappa, dof) == (theirs.mean_precision_prior_, theirs.degrees_of_freedom_prior_)
    assert prior.concentration == theirs.weight_concentration_prior_


# --- what is fitted


@types
def test_finds_separate_blobs_and_leaves_the_rest_empty(covariance_type: str) -> None:
    centres = np.array([[0, 0], [20, 0], [0, 20]])
    labels = np.repeat([0, 1, 2], [300, 200, 100])
    rows = centres[labels] + np.random.default_rng(0).normal(size=(600, 2))
    mixture = fitted(rows, 10, covariance_type=covariance_type, tol=1e-6)
    assert (mixture.weights_ > 0.01).sum() == 3
    np.testing.assert_array_equal(mixture.predict(rows), labels)  # largest first
    np.testing.assert_allclose(mixture.means_[:3], centres, atol=0.3)


def test_lower_bound_is_the_dense_formula_at_the_fit() -> None:
    mixture = fitted(X)
    prior, sticks = mixture.posterior_.prior, mixture.posterior_.sticks
    expected = oracles.dense_bound(
        X - prior.centre.numpy(),
        plain(prior.components)[0],
        plain(mixture.posterior_.components),
        list(zip(sticks.a.tolist(), sticks.b.tolist(), strict=True)),
        prior.concentration,
    )
    assert mixture.lower_bound_ == pytest.approx(expected, rel=1e-10)
    assert mixture.lower_bound_ == mixture.lower_bounds_[-1]
    assert len(mixture.lower_bounds_) == mixture.n_iter_


@types
@settings(max_examples=10)
@given(shift=st.floats(-1e5, 1e5), seed=st.integers(0, 1000))
def test_order_and_origin_of_rows_do_not_matter(
    covariance_type: str, shift: float, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(X))
    options = {"covariance_type": covariance_type, "init_params": "kmeans", "tol": 1e-9}
    # A single component has the same start whatever K-means draws.
    base, moved = fitted(X, 1, **options), fitted(X[order] + shift, 1, **options)
    np.testing.assert_allclose(moved.means_, base.means_ + shift, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(moved.covariances_, base.covariances_, rtol=1e-6)
    assert moved.lower_bound_ == pytest.approx(base.lower_bound_, rel=1e-7)


@types
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_far_from_the_origin_keep_their_covariances(covariance_type: str, dtype: type) -> None:
    far = (X + 1e6).astype(dtype)
    near = far.astype(np.float64) - 1e6  # what float32 has left of the data
    options = {"covariance_type": covariance_type, "tol": 1e-7}
    of_far, of_near = fitted(far, 3, **options), fitted(near, 3, **options)
    np.testing.assert_allclose(of_far.covariances_, of_near.covariances_, rtol=0.01, atol=0.01)
    np.testing.assert_allclose(of_far.means_ - 1e6, of_near.means_, atol=0.02)


def test_the_best_of_several_starts_is_kept() -> None:
    bounds, rng = [], np.random.RandomState(0)
    options = {"init_params": "random_from_data", "covariance_prior": "local"}
    for _ in range(4):
        bounds.append(fitted(X, **options, random_state=rng).lower_bound_)
    best = fitted(X, **options, n_init=4).lower_bound_
    assert best == pytest.approx(max(bounds))
    assert max(bounds) > min(bounds)


def test_the_same_seed_gives_the_same_fit() -> None:
    np.testing.assert_array_equal(fitted(X).means_, fitted(X).means_)


def test_a_fit_that_stops_early_warns() -> None:
    with pytest.warns(ConvergenceWarning, match=r"after max_iter=1 updates"):
        mixture = fitted(X, max_iter=1, tol=0, moves=False)
    assert (mixture.converged_, mixture.n_iter_) == (False, 1)


def test_verbose_prints_the_bound_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    mixture = fitted(X, verbose=1, verbose_interval=3, moves=False)
    *lines, last = capsys.readouterr().out.splitlines()
    bounds = [None, *mixture.lower_bounds_]
    assert [line.split(":")[0] for line in lines] == [
        f"update {i}" for i in range(0, len(bounds), 3)
    ]
    assert lines[1] == f"update 3: bound {bounds[3]:.6g} nats"
    assert last == (
        f"converged after {mixture.n_iter_} updates: bound {mixture.lower_bound_:.6g} nats"
    )


def test_more_words_say_the_change_and_the_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    mixture = fitted(X, verbose=2, verbose_interval=1, moves=False)
    line = capsys.readouterr().out.splitlines()[2]
    change = mixture.lower_bounds_[1] - mixture.lower_bounds_[0]
    assert re.search(r"change (\S+), \S+ s$", line)[1] == f"{change:.3g}"  # type: ignore[index]


def test_silent_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(X)
    assert capsys.readouterr() == ("", "")


# --- what a fit answers


@types
def test_responsibilities_are_those_of_the_posterior(covariance_type: str) -> None:
    mixture = fitted(X, covariance_type=covariance_type)
    proba = mixture.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(proba.argmax(1), mixture.predict(X))
    np.testing.assert_array_equal(mixture.fit_predict(X), mixture.predict(X))
    z = torch.from_numpy(X[:4]).requires_grad_()
    log_r = mixture.log_responsibilities(z)
    np.testing.assert_allclose(log_r.detach().exp(), proba[:4], atol=1e-12)
    assert torch.autograd.gradcheck(mixture.log_responsibilities, (z,))


@types
def test_score_is_the_mean_log_density_and_falls_far_away(covariance_type: str) -> None:
    mixture = fitted(X, covariance_type=covariance_type)
    log_density = mixture.score_samples(X)
    expected = mixture.posterior_.log_density(torch.from_numpy(X))
    np.testing.assert_allclose(log_density, expected)
    assert mixture.score(X) == pytest.approx(log_density.mean())
    assert mixture.score(X + 100) < mixture.score(X) - 10


@types
def test_samples_have_the_weights_means_and_covariances(covariance_type: str) -> None:
    mixture = fitted(X, 3, covariance_type=covariance_type, moves=False)
    rows, labels = mixture.sample(100_000)
    assert rows.shape == (100_000, 3)
    for k in range(3):
        of_k = rows[labels == k]
        of_all = covariance_type == "tied"
        covariance = mixture.covariances_ if of_all else mixture.covariances_[k]
        expected = covariance if covariance.ndim == 2 else covariance * np.eye(3)
        np.testing.assert_allclose(len(of_k) / len(rows), mixture.weights_[k], atol=0.01)
        error = (of_k.mean(0) - mixture.means_[k]) / np.sqrt(np.diag(expected) / len(of_k))
        assert np.abs(error).max() < 4
        np.testing.assert_allclose(np.cov(of_k.T), expected, rtol=0.1, atol=0.2 * expected.max())


def test_nothing_is_answered_before_a_fit() -> None:
    mixture = DirichletProcessGaussianMixture()
    for method in ("predict", "predict_proba", "score", "score_samples", "sample"):
        with pytest.raises(NotFittedError):
            getattr(mixture, method)(X if method != "sample" else 1)
    with pytest.raises(NotFittedError):
        mixture.log_responsibilities(torch.from_numpy(X))


# --- hostile input


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.where(np.arange(12).reshape(4, 3) == 5, np.nan, 1.0), "contains NaN"),
        (np.where(np.arange(12).reshape(4, 3) == 5, np.inf, 1.0), "contains infinity"),
        (X[:0], "Found array with 0 sample"),
        (X[:1], "a minimum of 2 is required"),
        (X[:, 0], "Expected 2D array"),
    ],
)
def test_unusable_rows_are_one_clear_error(rows: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(rows)


@types
def test_fewer_rows_than_components(covariance_type: str) -> None:
    mixture = fitted(X[:4], 50, covariance_type=covariance_type)
    assert mixture.means_.shape == (50, 3)
    assert np.isfinite(mixture.lower_bound_)


@types
def test_equal_rows_are_one_component(covariance_type: str) -> None:
    rows = np.full((20, 2), 7.0)
    mixture = fitted(rows, covariance_type=covariance_type)
    assert (mixture.predict(rows) == 0).all()
    np.testing.assert_allclose(mixture.means_[0], 7)


def test_equal_rows_without_reg_covar_are_one_clear_error() -> None:
    with pytest.raises(ValueError, match="every row of X is the same"):
        fitted(np.ones((20, 2)), reg_covar=0)


@types
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_and_duplicated_columns_change_no_label(covariance_type: str, dtype: type) -> None:
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    column = 20.0 * labels + np.random.default_rng(0).normal(size=200)
    rows = np.column_stack([np.full(200, 3.0), column, column]).astype(dtype)
    mixture = fitted(rows, 3, covariance_type=covariance_type)
    np.testing.assert_array_equal(mixture.predict(rows), labels)
    log_r = mixture.log_responsibilities(torch.from_numpy(rows))
    assert log_r.dtype == torch.from_numpy(rows).dtype
    np.testing.assert_array_equal(log_r.argmax(1), labels)


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda rows: np.repeat(rows, 2, axis=0)[::2], lambda rows: rows.tolist()],
    ids=["fortran", "strided", "list"],
)
def test_memory_layout_does_not_matter(layout: Any) -> None:
    np.testing.assert_allclose(fitted(layout(X)).means_, fitted(X).means_, rtol=1e-9, atol=1e-9)


def test_integers_are_taken_as_numbers() -> None:
    rows = np.rint(X * 10).astype(np.int64)
    np.testing.assert_allclose(fitted(rows).means_, fitted(rows.astype(float)).means_)


@types
def test_read_only_rows_are_not_touched(covariance_type: str) -> None:
    rows = X.copy()
    rows.setflags(write=False)
    fitted(rows, covariance_type=covariance_type).predict(rows)
    np.testing.assert_array_equal(rows, X)


@types
def test_one_column(covariance_type: str) -> None:
    mixture = fitted(X[:, :1], covariance_type=covariance_type)
    assert mixture.means_.shape == (6, 1)
    shapes = {"full": (6, 1, 1), "tied": (1, 1), "diag": (6, 1), "spherical": (6,)}
    assert mixture.covariances_.shape == shapes[covariance_type]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_run_in_the_dtype_of_the_rows(dtype: type) -> None:
    mixture = fitted(X.astype(dtype))
    assert mixture.predict_proba(X.astype(dtype)).dtype == dtype
    assert mixture.means_.dtype == np.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components must be an integer >= 1, got 0"),
        ({"n_components": 2.5}, "n_components must be an integer >= 1, got 2.5"),
        (
            {"covariance_type": "round"},
            "covariance_type must be one of 'full', 'tied', 'diag'",
        ),
        ({"init_params": "best"}, "init_params must be one of 'kmeans', "),
        ({"tol": -1}, "tol must be a finite number >= 0, got -1"),
        ({"tol": np.nan}, "tol must be a finite number >= 0, got nan"),
        ({"reg_covar": -1e-6}, "reg_covar must be"),
        ({"max_iter": -1}, "max_iter must be an integer >= 0"),
        ({"n_init": True}, "n_init must be an integer >= 1, got True"),
        ({"weight_concentration_prior": 0}, "weight_concentration_prior must be a finite number >"),
        ({"mean_precision_prior": "1"}, "mean_precision_prior must be a finite number > 0"),
        ({"degrees_of_freedom_prior": 2}, "degrees_of_freedom_prior must be a finite number > 2"),
        ({"mean_prior": [0, 0]}, r"mean_prior must have shape \(3,\), got \(2,\)"),
        ({"mean_prior": [0, 0, np.inf]}, "mean_prior must be finite"),
        ({"covariance_prior": np.ones(3)}, r"covariance_prior must have shape \(3, 3\)"),
        ({"covariance_prior": np.ones((3, 3))}, "must be symmetric and positive definite"),
        ({"covariance_prior": [1, 0, 1], "covariance_type": "diag"}, "prior must be positive, got"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DirichletProcessGaussianMixture(**options).fit(X)


def test_a_bad_number_of_samples_is_named() -> None:
    with pytest.raises(ValueError, match="n_samples must be an integer >= 1, got 0"):
        fitted(X).sample(0)


def test_samples_of_one_cluster_are_of_its_components() -> None:
    mixture = fitted(X, 3, coarsening="auto", moves=False).cut(n_clusters=2)
    for cluster in range(2):
        rows, components = mixture.sample(500, cluster=cluster)
        assert rows.shape == (500, 3)
        assert set(mixture.component_labels_[components]) == {cluster}
    assert len(set(components)) == np.sum(mixture.component_labels_ == cluster)
    with pytest.raises(ValueError, match="cluster must be one of 0, 1, got 2"):
        mixture.sample(cluster=2)


# --- beyond scikit-learn's


def clouds(n_clusters: int = 5, rows: int = 200, dim: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Well-separated unit Gaussians of falling size, and their labels."""
    rng = np.random.default_rng(1)
    sizes = [rows + 40 * (n_clusters - k) for k in range(n_clusters)]
    centres = 20 * rng.permutation(np.indices((3,) * dim).reshape(dim, -1).T)[:n_clusters]
    labels = np.repeat(np.arange(n_clusters), sizes)
    return centres[labels] + rng.normal(size=(len(labels), dim)), labels


def agreement(labels: np.ndarray, found: np.ndarray) -> float:
    return clustering_scores(labels, found).acc


@pytest.mark.parametrize("init_components", [1, None])
def test_moves_find_the_clusters_from_one_component_and_from_all(
    init_components: int | None,
) -> None:
    rows, labels = clouds()
    mixture = fitted(rows, 30, init_components=init_components)
    assert mixture.n_clusters_ == 5
    assert agreement(labels, mixture.predict(rows)) == 1
    if init_components:
        assert {move.kind for move in mixture.moves_} & {"split", "birth"}


@pytest.mark.parametrize("coarsening", [None, "auto"])
@pytest.mark.parametrize("n_clusters", [5, 8, 12])
def test_many_small_clusters_in_a_ring_are_all_found(n_clusters, coarsening) -> None:
    labels = np.repeat(np.arange(n_clusters), 100)
    angle = 2 * np.pi * labels / n_clusters
    radius = 8 / np.sin(np.pi / n_clusters)  # neighbours are 16 standard deviations apart
    ring = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    rows = ring + np.random.default_rng(0).normal(size=ring.shape)
    mixture = fitted(rows, 50, coarsening=coarsening)
    assert mixture.n_clusters_ == n_clusters
    assert agreement(labels, mixture.predict(rows)) == 1


def test_all_thirty_clusters_of_a_grid_are_found() -> None:
    labels = np.repeat(np.arange(30), 100)
    grid = 20 * np.column_stack([labels % 6, labels // 6])
    rows = grid + np.random.default_rng(0).normal(size=grid.shape)
    assert agreement(labels, fitted(rows, 50).predict(rows)) == 1


@pytest.mark.parametrize("shape", [(200, 20), (300, 100)])
def test_few_rows_of_noise_in_many_columns_are_one_component(shape) -> None:
    noise = np.random.default_rng(0).normal(size=shape)
    assert fitted(noise, 50).n_clusters_ == 1


def test_clusters_in_many_columns_are_found_with_few_rows() -> None:
    rows, labels = make_blobs(1000, 64, centers=5, cluster_std=3, random_state=0)
    mixture = fitted(rows, 50)
    assert mixture.n_clusters_ == 5
    assert agreement(labels, mixture.predict(rows)) == 1


def test_coarsening_turns_components_into_clusters_and_can_be_cut_again() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, size=(2, 600))
    bananas = np.concatenate(
        [
            np.column_stack([30 * side + 6 * np.cos(a), 6 * np.sin(a)])
            for side, a in enumerate(angle)
        ]
    ) + rng.normal(scale=0.3, size=(1200, 2))
    labels = np.repeat([0, 1], 600)
    mixture = fitted(bananas, 30, coarsening="auto")
    assert len(mixture.hierarchy_.leaves) > 2
    assert mixture.n_clusters_ == 2
    assert agreement(labels, mixture.predict(bananas)) == 1
    assert mixture.predict_proba(bananas).shape == (1200, 2)
    np.testing.assert_allclose(mixture.predict_proba(bananas).sum(1), 1, atol=1e-9)
    assert mixture.cut(n_clusters=4).n_clusters_ == 4
    assert set(mixture.predict(bananas)) == {0, 1, 2, 3}


def test_a_cut_without_a_hierarchy_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="fit with coarsening="):
        fitted(X).cut("auto")


def test_whole_weights_are_repeated_rows() -> None:
    rows, _ = clouds(3)
    weights = np.random.default_rng(0).integers(0, 4, size=len(rows))
    weighted = DirichletProcessGaussianMixture(6, random_state=0, tol=1e-9, max_iter=900)
    weighted.fit(rows, sample_weight=weights)
    repeated = fitted(np.repeat(rows, weights, axis=0), tol=1e-9, max_iter=900)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-3)
    np.testing.assert_allclose(weighted.means_[:3], repeated.means_[:3], atol=1e-4)


def test_gaussians_as_rows_add_their_variance() -> None:
    rows, _ = clouds(1)
    points, gaussians = (
        fitted(rows, 1),
        DirichletProcessGaussianMixture(1).fit(rows, var=np.full(rows.shape, 2.0)),
    )
    difference = gaussians.covariances_[0] - points.covariances_[0]
    np.testing.assert_allclose(difference, 2 * np.eye(2), atol=0.05)


@pytest.mark.parametrize("kind", ["memory map", "path", "callable"])
def test_rows_on_disk_are_fitted_as_rows_in_memory(kind: str, tmp_path: Path) -> None:
    rows, labels = clouds()
    rows = np.random.default_rng(0).permutation(np.column_stack([rows, labels]))
    rows, labels = np.ascontiguousarray(rows[:, :2]), rows[:, 2].astype(int)
    np.save(tmp_path / "rows.npy", rows)
    source = {
        "memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "path": tmp_path / "rows.npy",
        "callable": lambda: iter(np.array_split(rows, 7)),
    }[kind]
    streamed = fitted(source, 12)
    assert streamed.n_clusters_ == 5
    assert agreement(labels, streamed.predict(rows)) == 1
    assert streamed.lower_bound_ == pytest.approx(fitted(rows, 12).lower_bound_, rel=1e-4)


def test_a_stream_of_minibatches_finds_the_clusters() -> None:
    rows, labels = clouds()
    rng = np.random.default_rng(0)
    mixture = DirichletProcessGaussianMixture(12, random_state=0)
    for _ in range(40):
        mixture.partial_fit(rows[rng.choice(len(rows), 256)], n_rows=len(rows))
    assert agreement(labels, mixture.predict(rows)) > 0.95
    assert mixture.n_iter_ == 40


def test_a_stream_is_coarsened_as_a_fit_is() -> None:
    rows, labels = clouds()
    rng = np.random.default_rng(0)
    mixture = DirichletProcessGaussianMixture(12, coarsening="auto", random_state=0)
    for _ in range(40):
        mixture.partial_fit(rows[rng.choice(len(rows), 256)], n_rows=len(rows))
    assert mixture.hierarchy_.n_rows == pytest.approx(len(rows), rel=1e-3)
    assert mixture.n_clusters_ == 5
    assert mixture.predict_proba(rows).shape == (len(rows), 5)
    assert agreement(labels, mixture.predict(rows)) == 1
    assert mixture.cut(n_clusters=2).predict(rows).max() == 1


def test_a_gamma_prior_learns_the_concentration() -> None:
    rows, labels = clouds()
    mixture = fitted(rows, 20, weight_concentration_prior=(1.0, 1.0))
    assert agreement(labels, mixture.predict(rows)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_components": 0}, "init_components must be None or an integer >= 1"),
        ({"moves": ("split", "jump")}, "moves must be one of .*'jump'"),
        ({"coarsening": -3}, "coarsening must be None, 'auto' or a finite number > 0"),
        ({"weight_concentration_prior": (1.0, 0.0)}, "must be a finite number > 0, got 0"),
        ({"weight_concentration_prior": (1.0,)}, "must be a number or a pair"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_further_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(X, **options)


@pytest.mark.usefixtures("unchecked")
def test_bad_variances_and_weights_are_named() -> None:
    with pytest.raises(ValueError, match=r"var must have shape \(150, 3\), got \(150,\)"):
        DirichletProcessGaussianMixture().fit(X, var=np.ones(150))
    with pytest.raises(ValueError, match="var must be >= 0"):
        DirichletProcessGaussianMixture().fit(X, var=-np.ones(X.shape))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        DirichletProcessGaussianMixture().fit(X, sample_weight=-np.ones(150))
