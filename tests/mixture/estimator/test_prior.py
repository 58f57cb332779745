"""Priors against scikit-learn's: the same names mean the same numbers, for every type."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import BayesianGaussianMixture

from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.estimator import prior
from dimix.mixture.estimator.arguments import FAMILIES
from dimix.mixture.estimator.neighbours import local_covariance
from dimix.mixture.estimator.rows import Rows, moments
from dimix.mixture.inference.batch import collect
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.posterior import MixturePosterior, MixturePrior, update

T = 3
GIVEN = {
    "full": np.diag([1.0, 2, 3]),
    "tied": np.diag([1.0, 2, 3]),
    "diag": np.array([1.0, 2, 3]),
    "spherical": 2.0,
}

every_type = pytest.mark.parametrize("covariance_type", FAMILIES)


def far_blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three blobs so far apart that every responsibility is 0 or 1, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(T), [60, 40, 20])
    return 100 * np.eye(3)[labels] + rng.normal(size=(120, 3)) * [1, 2, 0.5], labels


def prior_of(X: np.ndarray, covariance_type: str, **options: Any) -> MixturePrior:
    defaults: dict[str, Any] = {
        "weight_concentration_prior": 0.3,
        "mean_precision_prior": 0.7,
        "degrees_of_freedom_prior": 4.5,
        "reg_covar": 1e-2,
    }
    mixture = DirichletProcessGaussianMixture(
        T, covariance_type=covariance_type, **defaults | options
    )
    rows = Rows(X)
    return prior.prior_of(
        mixture,
        *moments(rows, covariance_type),
        lambda: local_covariance(rows, covariance_type),
    )


def posterior_of(prior: MixturePrior, X: np.ndarray, labels: np.ndarray) -> MixturePosterior:
    chunks = FeatureChunks(prior.family, torch.from_numpy(X) - prior.centre)
    return update(prior, collect(chunks, torch.from_numpy(np.eye(T)[labels])))


@every_type
@pytest.mark.parametrize("given", [False, True], ids=["default", "given"])
def test_covariances_are_those_of_scikit_learn(covariance_type: str, given: bool) -> None:
    X, _ = far_blobs()
    covariance = GIVEN[covariance_type] if given else None
    given_ours = covariance if given else "empirical"
    theirs = BayesianGaussianMixture(
        n_components=T,
        covariance_type=covariance_type,
        weight_concentration_prior=0.3,
        mean_precision_prior=0.7,
        degrees_of_freedom_prior=4.5,
        covariance_prior=covariance,
        reg_covar=1e-2,
        random_state=0,
    ).fit(X)
    given = prior_of(X, covariance_type, covariance_prior=given_ours)
    if covariance_type == "tied":  # whose prior weighs T times as much in scikit-learn
        scatter, dof = T * given.components.scatter[0].numpy(), T * 4.5
        given = prior_of(X, "tied", covariance_prior=scatter, degrees_of_freedom_prior=dof)
    ours = posterior_of(given, X, theirs.predict(X))
    family, params = ours.family, ours.components
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-9)
    np.testing.assert_allclose(family.covariance(params), theirs.covariances_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(family.precision(params), theirs.precisions_, rtol=1e-8, atol=1e-9)
    factor = family.precision_cholesky(params)
    np.testing.assert_allclose(factor, theirs.precisions_cholesky_, rtol=1e-8, atol=1e-9)


@every_type
def test_by_default_a_component_is_as_wide_as_a_neighbourhood(covariance_type):
    X, labels = far_blobs()
    defaults = {"degrees_of_freedom_prior": None, "mean_precision_prior": None}
    ours = prior_of(X, covariance_type, **defaults).components
    wide = prior_of(X, covariance_type, **defaults, covariance_prior="empirical").components
    assert wide.mean_precision == 1
    assert wide.degrees_of_freedom == 3
    within = np.mean([np.trace(np.cov(X[labels == k].T)) for k in range(T)])
    expected = ours.scatter[0].numpy() / ours.degrees_of_freedom.numpy()
    left = expected - wide.scatter[0].numpy() / T
    trace = {"diag": left.sum(), "spherical": 3 * left}.get(covariance_type) or np.trace(left)
    assert 0.2 * within < trace < within
    assert 0 < ours.mean_precision < 1


@every_type
def test_the_default_prior_follows_a_change_of_units(covariance_type):
    X, _ = far_blobs()
    units = 10.0 if covariance_type == "spherical" else np.array([0.1, 1.0, 100.0])
    defaults = {"degrees_of_freedom_prior": None, "mean_precision_prior": None, "reg_covar": 0.0}
    ours, other = (prior_of(x, covariance_type, **defaults).components for x in (X, X * units))
    factor = {"diag": np.square(units), "spherical": 100.0}.get(covariance_type)
    factor = np.outer(units, units) if factor is None else factor
    np.testing.assert_allclose(other.scatter[0], factor * ours.scatter[0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(other.mean_precision, ours.mean_precision, rtol=1e-6)


def test_equal_rows_are_one_neighbour_that_counts_as_often():
    X, _ = far_blobs()
    weights = np.random.default_rng(0).integers(1, 4, len(X))
    repeated = local_covariance(Rows(np.repeat(X, weights, axis=0)), "full")
    weighted = local_covariance(Rows(X, weights=weights.astype(float)), "full")
    np.testing.assert_allclose(repeated, weighted, rtol=1e-12)


def test_few_rows_and_gaps_have_a_neighbourhood():
    X, _ = far_blobs()
    assert np.all(local_covariance(Rows(X[:1]), "full") == 0)
    half = (X[1] - X[0]) / np.sqrt(2)
    np.testing.assert_allclose(local_covariance(Rows(X[:2]), "full"), np.outer(half, half))
    gaps = X.copy()
    gaps[::3, 1] = np.nan
    whole, with_gaps = (local_covariance(Rows(x), "diag") for x in (X, gaps))
    assert np.all((whole / 3 < with_gaps) & (with_gaps < 3 * whole))


def test_a_word_other_than_empirical_is_one_clear_error():
    X, _ = far_blobs()
    with pytest.raises(
        ValueError, match=r"covariance_prior must be None, .*'empirical', .* 'data'"
    ):
        DirichletProcessGaussianMixture(T, covariance_prior="data").fit(X)


@every_type
def test_a_covariance_of_the_wrong_shape_is_one_clear_error(covariance_type: str) -> None:
    X, _ = far_blobs()
    wrong = np.ones(2)
    with pytest.raises(ValueError, match=r"covariance_prior must have shape \(.*\), got \(2,\)"):
        prior_of(X, covariance_type, covariance_prior=wrong)


@every_type
def test_a_covariance_that_is_not_positive_is_one_clear_error(covariance_type: str) -> None:
    X, _ = far_blobs()
    with pytest.raises(ValueError, match=r"covariance_prior must be .*positive.*, got"):
        prior_of(X, covariance_type, covariance_prior=-np.asarray(GIVEN[covariance_type]))


@every_type
def test_rows_without_spread_get_reg_covar_as_their_prior(covariance_type: str) -> None:
    scatter = prior_of(np.ones((5, 3)), covariance_type).components.scatter[0]
    shapes = {"full": np.eye(3), "tied": np.eye(3), "diag": np.ones(3), "spherical": 1.0}
    np.testing.assert_allclose(scatter, 4.5e-2 * np.asarray(shapes[covariance_type]))
    with pytest.raises(ValueError, match="every row of X is the same"):
        prior_of(np.ones((5, 3)), covariance_type, reg_covar=0.0)


def test_a_gamma_prior_of_the_concentration_is_kept() -> None:
    X, labels = far_blobs()
    given = prior_of(X, "full", weight_concentration_prior=(1.0, 2.0))
    assert isinstance(given.concentration, GammaConcentration)
    assert vars(given.concentration) == {"shape": 1.0, "rate": 2.0}
    assert posterior_of(given, X, labels).sticks.concentration.shape == 1 + T
