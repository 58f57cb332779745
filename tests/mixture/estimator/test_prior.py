"""Priors against scikit-learn's: the same names mean the same numbers, for every type."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import BayesianGaussianMixture

from dimix.mixture import WIDE_PRIOR, DirichletProcessGaussianMixture
from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.estimator import prior
from dimix.mixture.estimator.arguments import FAMILIES
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
    return prior.prior_of(mixture, *moments(Rows(X), covariance_type))


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
def test_by_default_clusters_are_narrower_than_the_data_and_means_as_wide(covariance_type):
    X, _ = far_blobs()
    wide = prior_of(X, covariance_type, **WIDE_PRIOR).components
    narrow = prior_of(X, covariance_type, mean_precision_prior=None).components
    volume = 3 ** (-1 / 3)  # √T clusters in three dimensions: variances, (√T)^(-2/D)
    np.testing.assert_allclose(narrow.scatter, volume * wide.scatter)
    np.testing.assert_allclose(narrow.scatter / narrow.mean_precision, wide.scatter)
    assert wide.mean_precision == 1


def test_a_word_other_than_empirical_is_one_clear_error():
    X, _ = far_blobs()
    with pytest.raises(ValueError, match=r"covariance_prior must be None, 'empirical', .* 'data'"):
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
    np.testing.assert_allclose(scatter, 1e-2 * np.asarray(shapes[covariance_type]))
    with pytest.raises(ValueError, match="every row of X is the same"):
        prior_of(np.ones((5, 3)), covariance_type, reg_covar=0.0)


def test_a_gamma_prior_of_the_concentration_is_kept() -> None:
    X, labels = far_blobs()
    given = prior_of(X, "full", weight_concentration_prior=(1.0, 2.0))
    assert isinstance(given.concentration, GammaConcentration)
    assert vars(given.concentration) == {"shape": 1.0, "rate": 2.0}
    assert posterior_of(given, X, labels).sticks.concentration.shape == 1 + T
