"""The judge of the benchmarks against the dense oracle and against our own bound."""

import numpy as np
import pytest
import torch
from benchmarks.mixture import judge
from sklearn.mixture import BayesianGaussianMixture

import oracles
from dimix import DirichletProcessGaussianMixture
from mixture_cases import blobs


def dense(x: np.ndarray, prior: judge.Prior, q: judge.Mixture) -> float:
    """The same bound by the oracle."""
    components = list(zip(q.mean, q.kappa, q.dof, q.scatter, strict=True))
    before = (prior.mean, prior.kappa, prior.dof, prior.scatter)
    return oracles.dense_bound(x, before, components, list(zip(q.a, q.b, strict=True)), prior.alpha)


def test_bound_of_sklearn_is_the_dense_formula() -> None:
    x = blobs(40, 2).numpy() + 5
    theirs = BayesianGaussianMixture(n_components=4, max_iter=500, random_state=0).fit(x)
    prior, q = judge.default_prior(x, 4), judge.of_sklearn(theirs)
    for order in (q, q.by_size(prior.alpha)):
        assert judge.bound(x, prior, order) == pytest.approx(dense(x, prior, order), rel=1e-9)


def test_bound_of_ours_is_what_it_reports() -> None:
    x = blobs(60, 3).numpy() + 5
    ours = DirichletProcessGaussianMixture(
        5, random_state=0, tol=1e-6, max_iter=500, covariance_prior="empirical"
    ).fit(x)
    judged = judge.bound(x, judge.default_prior(x, 5), judge.of_dimix(ours.posterior_))
    assert judged == pytest.approx(ours.lower_bound_, rel=1e-10)


def test_order_by_size_keeps_the_components_and_raises_the_bound() -> None:
    x = blobs(80, 2).numpy()
    theirs = BayesianGaussianMixture(n_components=3, max_iter=500, random_state=0).fit(x)
    prior, q = judge.default_prior(x, 3), judge.of_sklearn(theirs)
    smallest_first = judge.Mixture(*(part[::-1] for part in vars(q.by_size(prior.alpha)).values()))
    ordered = smallest_first.by_size(prior.alpha)
    np.testing.assert_allclose(ordered.a, np.sort(q.a)[::-1])
    np.testing.assert_allclose(ordered.b, q.by_size(prior.alpha).b)
    assert judge.bound(x, prior, ordered) > judge.bound(x, prior, smallest_first)


def test_prior_is_that_of_scikit_learn() -> None:
    x = blobs(50, 3).numpy()
    prior = judge.default_prior(x, 4)
    theirs = BayesianGaussianMixture(n_components=4, max_iter=500).fit(x)
    ours = DirichletProcessGaussianMixture(4, covariance_prior="empirical").fit(x).posterior_.prior
    np.testing.assert_allclose(prior.scatter, theirs.covariance_prior_)
    np.testing.assert_allclose(prior.scatter, ours.components.scatter[0])
    assert prior.alpha == theirs.weight_concentration_prior_ == ours.concentration
    assert prior.dof == theirs.degrees_of_freedom_prior_ == ours.components.degrees_of_freedom
    assert prior.kappa == theirs.mean_precision_prior_ == ours.components.mean_precision
    torch.testing.assert_close(torch.from_numpy(prior.mean), ours.centre)
