"""The prior that the components of a first fit make."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.estimator.learned import learned_prior
from dimix.mixture.families import NormalWishart
from dimix.mixture.posterior import MixturePosterior

LEARNING = ("full", "diag", "spherical")


def narrow_blobs(n: int = 400, noise: int = 0) -> np.ndarray:
    """Three clusters in four columns, which some of plain noise follow."""
    X, _ = make_blobs(n, 4, centers=3, cluster_std=1.5, random_state=7)
    X = (X - X.mean(0)) / X.std(0)
    return np.hstack([X, np.random.default_rng(0).normal(size=(n, noise))])


def fitted(X: np.ndarray, **parameters) -> DirichletProcessGaussianMixture:
    return DirichletProcessGaussianMixture(10, random_state=0, **parameters).fit(X)


def divergence(posterior: MixturePosterior, first: NormalWishart, prior: NormalWishart) -> float:
    """From a prior, of the components that hold rows and of the one that was expected first."""
    kl = posterior.family.kl(posterior.components, prior)[posterior.counts >= 0.5]
    return float(kl.sum() + posterior.family.kl(first, prior).sum())


@pytest.mark.parametrize("covariance_type", LEARNING)
def test_components_diverge_least_from_the_learned_prior(covariance_type):
    posterior = fitted(
        narrow_blobs(), covariance_type=covariance_type, covariance_prior="empirical"
    ).posterior_
    first = posterior.prior.components
    learned = learned_prior(posterior, mean_precision=None, degrees_of_freedom=None).components
    least = divergence(posterior, first, learned)
    assert least < divergence(posterior, first, first)
    for factor in (0.8, 1.25):
        others = [
            replace(learned, mean_precision=factor * learned.mean_precision),
            replace(learned, scatter=factor * learned.scatter),
            replace(
                learned,
                degrees_of_freedom=factor * learned.degrees_of_freedom,
                scatter=factor * learned.scatter,
            ),
        ]
        for other in others:
            if other.degrees_of_freedom >= first.degrees_of_freedom:
                assert divergence(posterior, first, other) > least


@pytest.mark.parametrize("covariance_type", LEARNING)
def test_the_bound_is_higher_under_the_learned_prior(covariance_type):
    X = narrow_blobs(noise=4)
    learned = fitted(X, covariance_type=covariance_type)
    prior = learned.posterior_.prior.components
    assert prior.degrees_of_freedom >= (10 if covariance_type == "full" else 3)
    local = fitted(X, covariance_type=covariance_type, covariance_prior="local")
    assert learned.lower_bound_ > local.lower_bound_


def test_clusters_in_few_of_many_columns_are_found():
    X = narrow_blobs(600, noise=16)
    assert fitted(X, covariance_prior="local").n_clusters_ == 2
    assert fitted(X).n_clusters_ == 3


def test_what_is_given_is_not_learned():
    X = narrow_blobs()
    prior = fitted(X, degrees_of_freedom_prior=9, mean_precision_prior=0.3).posterior_.prior
    assert prior.components.degrees_of_freedom == pytest.approx(9)
    assert prior.components.mean_precision == pytest.approx(0.3)
    given = fitted(X, covariance_prior=np.eye(4)).posterior_.prior.components
    assert torch.equal(given.scatter[0], torch.eye(4, dtype=torch.float64))
    assert given.degrees_of_freedom == 4


def test_a_shared_precision_is_not_learned():
    tied = fitted(narrow_blobs(), covariance_type="tied").posterior_.prior.components
    assert tied.degrees_of_freedom == 6
    with pytest.raises(ValueError, match=r"'learned' needs .* of their own, got .*'tied'"):
        fitted(narrow_blobs(), covariance_type="tied", covariance_prior="learned")


def test_clusters_of_several_components_learn_nothing_from_each_other_unless_asked():
    X = narrow_blobs()
    coarse = fitted(X, coarsening="auto").posterior_.prior.components
    asked = fitted(X, coarsening="auto", covariance_prior="learned").posterior_.prior.components
    local = fitted(X, covariance_prior="local").posterior_.prior.components
    assert torch.equal(coarse.scatter, local.scatter)
    assert not torch.equal(asked.scatter, local.scatter)


def test_a_single_component_is_no_example():
    noise = np.random.default_rng(0).normal(size=(300, 4))
    learned, local = fitted(noise), fitted(noise, covariance_prior="local")
    assert learned.lower_bound_ == pytest.approx(local.lower_bound_)
    assert learned.n_clusters_ == 1


def test_a_warm_start_keeps_what_was_learned():
    X = narrow_blobs()
    mixture = fitted(X, warm_start=True)
    before, learned = mixture.lower_bound_, mixture.posterior_.prior.components
    kept = mixture.fit(X).posterior_.prior.components
    for name in ("mean_precision", "degrees_of_freedom", "scatter"):
        np.testing.assert_allclose(getattr(kept, name), getattr(learned, name))
    assert mixture.lower_bound_ >= before - 1e-3 * len(X)
    given = mixture.set_params(mean_precision_prior=0.3, degrees_of_freedom_prior=9).fit(X)
    prior = given.posterior_.prior.components
    assert (float(prior.mean_precision), float(prior.degrees_of_freedom)) == (0.3, 9)
    expected = learned.scatter / learned.degrees_of_freedom
    np.testing.assert_allclose(prior.scatter / 9, expected)
