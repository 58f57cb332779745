"""The estimator on rows with missing values: what is observed is used, and nothing made up."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import logsumexp

from dimix.metrics import clustering_scores
from dimix.mixture import DirichletProcessGaussianMixture
from mixture_cases import blobs

TYPES = ["diag", "full"]
types = pytest.mark.parametrize("covariance_type", TYPES)


def clouds(share: float = 0.25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of four separate Gaussians, the same with gaps, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(range(4), [160, 120, 90, 60])
    rows = 12 * rng.normal(size=(4, 4))[labels] + rng.normal(size=(len(labels), 4))
    gaps = rng.random(rows.shape) < share
    gaps[np.arange(len(rows)), rng.integers(4, size=len(rows))] = False
    return rows, np.where(gaps, np.nan, rows), labels


def fitted(X: Any, n_components: int = 10, **options: Any) -> DirichletProcessGaussianMixture:
    given = {name: options.pop(name) for name in ("sample_weight", "var") if name in options}
    options = {"max_iter": 500, "random_state": 0, "allow_missing": True, **options}
    return DirichletProcessGaussianMixture(n_components, **options).fit(X, **given)


@types
@pytest.mark.parametrize("init_components", [1, None])
def test_clusters_are_found_in_spite_of_gaps(
    covariance_type: str, init_components: int | None
) -> None:
    rows, gappy, labels = clouds()
    mixture = fitted(gappy, covariance_type=covariance_type, init_components=init_components)
    assert (mixture.n_clusters_, mixture.n_empty_) == (4, 6)
    assert clustering_scores(labels, mixture.predict(gappy)).acc == 1
    assert clustering_scores(labels, mixture.predict(rows)).acc == 1
    assert bool(init_components) == any(move.kind == "split" for move in mixture.moves_)
    assert len(mixture.lower_bounds_) == mixture.n_iter_


@types
def test_without_gaps_the_option_changes_nothing(covariance_type: str) -> None:
    X = blobs(120, 3).numpy()
    options = {"covariance_type": covariance_type, "coarsening": "auto"}
    with_, without = fitted(X, **options), fitted(X, **options, allow_missing=False)
    assert with_.lower_bound_ == pytest.approx(without.lower_bound_, rel=1e-10)
    np.testing.assert_allclose(with_.means_, without.means_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(with_.score_samples(X), without.score_samples(X), rtol=1e-8)
    np.testing.assert_array_equal(with_.component_labels_, without.component_labels_)


@types
@pytest.mark.parametrize("allow", [0.0, 0.3])
def test_density_of_what_is_observed_is_the_whole_one_integrated(
    covariance_type: str, allow: float
) -> None:
    """By quadrature over the missing value, which knows no pattern and no marginal."""
    X = blobs(80, 2).numpy()
    X[np.random.default_rng(1).random(80) < allow, 1] = np.nan
    mixture = fitted(X, 4, covariance_type=covariance_type)

    def density(value: float) -> float:
        return float(np.exp(mixture.score_samples(np.array([[1.3, value]]))[0]))

    expected = np.log(quad(density, -200, 200, points=[-5, 0, 5], limit=200)[0])
    found = mixture.score_samples(np.array([[1.3, np.nan], [1.3, 0.5]]))
    assert found[0] == pytest.approx(expected, abs=1e-3)
    assert found[1] == pytest.approx(np.log(density(0.5)))


def test_probabilities_of_a_gappy_row_weigh_the_components_by_what_it_has() -> None:
    _, gappy, _ = clouds()
    mixture = fitted(gappy, covariance_type="diag", moves=False)
    row = np.array([[np.nan, 3.0, np.nan, np.nan]])
    params = mixture.posterior_.components
    kappa, dof = (params.mean_precision[:, 1], params.degrees_of_freedom[:, 1])  # type: ignore[index]
    z = 3.0 - torch.from_numpy(mixture.means_[:, 1])
    rate = params.scatter[:, 1] / 2
    logits = 0.5 * (torch.digamma(dof / 2) - rate.log() - 1 / kappa - dof / (2 * rate) * z**2)
    logits += mixture.posterior_.sticks.expected_log_weights()
    expected = np.exp(logits.numpy() - logsumexp(logits.numpy()))
    np.testing.assert_allclose(mixture.predict_proba(row)[0], expected, atol=1e-12)


@types
def test_weights_are_repeated_rows(covariance_type: str) -> None:
    _, gappy, _ = clouds()
    counts = np.random.default_rng(0).integers(0, 4, size=len(gappy))
    options = {"covariance_type": covariance_type, "tol": 1e-9, "moves": False}
    weighted = fitted(gappy, 4, sample_weight=counts, **options)
    repeated = fitted(np.repeat(gappy, counts, axis=0), 4, **options)
    # The prior is learned from a first fit that stops earlier.
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-6)


@types
def test_variances_of_rows_add_to_those_of_components(covariance_type: str) -> None:
    _, gappy, _ = clouds()
    variances = np.where(np.isnan(gappy), np.nan, 2.0)  # of what is missing, unknown as well
    options = {"covariance_type": covariance_type, "mean_precision_prior": 1e-6}
    points = fitted(gappy[:160], 1, **options)
    gaussians = fitted(gappy[:160], 1, var=variances[:160], **options)
    added = gaussians.covariances_[0] - points.covariances_[0]
    spread = added.diagonal() if covariance_type == "full" else added
    np.testing.assert_allclose(spread, 2, rtol=0.1)


@types
def test_a_hierarchy_over_rows_with_gaps(covariance_type: str) -> None:
    _, gappy, labels = clouds()
    mixture = fitted(gappy, covariance_type=covariance_type, coarsening="auto")
    assert mixture.n_clusters_ == 4
    assert clustering_scores(labels, mixture.predict(gappy)).acc == 1
    assert mixture.cut(n_clusters=2).predict_proba(gappy).shape == (len(gappy), 2)
    assert mixture.predict_components_proba(gappy).shape == (len(gappy), 10)


def test_a_stream_with_gaps() -> None:
    _, gappy, labels = clouds()
    mixture = DirichletProcessGaussianMixture(
        10, covariance_type="diag", allow_missing=True, random_state=0
    )
    order = np.random.default_rng(0)
    for _ in range(30):
        mixture.partial_fit(gappy[order.choice(len(gappy), 128)], n_rows=len(gappy))
    assert clustering_scores(labels, mixture.predict(gappy)).acc > 0.95


# --- hostile input


def test_gaps_that_were_not_announced_name_the_option() -> None:
    _, gappy, _ = clouds()
    with pytest.raises(ValueError, match="Input X contains NaN: allow_missing=True"):
        fitted(gappy, allow_missing=False)


@pytest.mark.parametrize("covariance_type", ["tied", "spherical"])
def test_types_that_take_no_gaps_say_which_do(covariance_type: str) -> None:
    with pytest.raises(ValueError, match="needs covariance_type 'full' or 'diag', got"):
        fitted(clouds()[1], covariance_type=covariance_type)


@types
def test_rows_and_columns_without_any_value_are_named(covariance_type: str) -> None:
    _, gappy, _ = clouds()
    gappy[7] = np.nan
    with pytest.raises(ValueError, match=r"must have a value .* but row 7 has none"):
        fitted(gappy, covariance_type=covariance_type)
    rows, _, _ = clouds()
    mixture = fitted(rows, 4, covariance_type=covariance_type)
    with pytest.raises(ValueError, match=r"must have a value .* but row 7 has none"):
        mixture.predict(gappy)
    rows[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"must have a value .* but column 2 has none"):
        fitted(rows, covariance_type=covariance_type)


@types
def test_infinity_is_never_a_gap(covariance_type: str) -> None:
    rows, _, _ = clouds()
    rows[3, 1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        fitted(rows, covariance_type=covariance_type)


def test_a_full_stream_says_what_takes_gaps() -> None:
    with pytest.raises(ValueError, match=r"partial_fit takes missing values with .*'diag'"):
        DirichletProcessGaussianMixture(allow_missing=True).partial_fit(clouds()[1])
