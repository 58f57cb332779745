"""Warm starts, streams after fits, devices, and the sample that stands for many rows."""

from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.estimator import rows as rows_module
from dimix.mixture.estimator.rows import Rows, moments, sample_of
from mixture_cases import blobs
from pretend_device import pretend

X = blobs(150, 3).numpy()
TYPES = ["full", "tied", "diag", "spherical"]
types = pytest.mark.parametrize("covariance_type", TYPES)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand the estimator what its annotations rule out: that it must answer for itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def mixture(n_components: int = 6, **options: Any) -> DirichletProcessGaussianMixture:
    return DirichletProcessGaussianMixture(
        n_components, **{"max_iter": 500, "random_state": 0, "moves": False, **options}
    )


# --- warm starts


@types
@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_warm_start_goes_on_where_the_last_fit_ended(
    covariance_type: str, allow_missing: bool
) -> None:
    if allow_missing and covariance_type in ("tied", "spherical"):
        pytest.skip("takes no gaps")
    options = {"covariance_type": covariance_type, "allow_missing": allow_missing}
    straight = mixture(**options, tol=0, max_iter=8)
    in_steps = mixture(**options, tol=0, max_iter=4, warm_start=True)
    for model in (straight, in_steps, in_steps):
        with pytest.warns(UserWarning, match="raise max_iter"):
            model.fit(X)
    np.testing.assert_allclose(in_steps.means_, straight.means_, rtol=1e-9, atol=1e-9)
    assert in_steps.lower_bound_ == pytest.approx(straight.lower_bound_, rel=1e-12)


@types
def test_a_warm_start_on_moved_rows_moves_with_them(covariance_type: str) -> None:
    model = mixture(covariance_type=covariance_type, warm_start=True).fit(X[:100])
    means, cold = model.means_, mixture(covariance_type=covariance_type)
    model.set_params(max_iter=0).fit(X + np.array([50.0, 0, 0]))
    np.testing.assert_allclose(model.means_, means, rtol=1e-9, atol=1e-9)  # not yet updated
    assert model.posterior_.prior.centre[0] > 40
    # Near rows of the same kind it needs fewer updates than from nowhere.
    near = X + np.array([0.01, 0, 0])
    model.set_params(max_iter=500).fit(X).fit(near)
    assert model.n_iter_ < cold.fit(near).n_iter_


def test_without_warm_start_a_fit_forgets_the_last() -> None:
    model = mixture().fit(X[:80] + 3)
    np.testing.assert_array_equal(model.fit(X).means_, mixture().fit(X).means_)


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({"n_components": 5}, X, "n_components must be 6, that of the last fit"),
        ({"covariance_type": "diag"}, X, "covariance_type, allow_missing and the number"),
        ({}, X[:, :2], "X has 2 features, but DirichletProcessGaussianMixture is expecting 3"),
        ({}, lambda: iter([X[:, :2]]), "covariance_type, allow_missing and the number of columns"),
    ],
)
def test_a_warm_start_that_cannot_be_says_why(
    change: dict[str, Any], rows: Any, message: str
) -> None:
    model = mixture(warm_start=True).fit(X).set_params(**change)
    with pytest.raises(ValueError, match=message):
        model.fit(rows)


def test_a_stream_begins_anew_after_a_fit_elsewhere() -> None:
    model = mixture().partial_fit(X).fit(X + 100)
    with pytest.warns(UserWarning, match="what fit found is forgotten"):
        model.partial_fit(X + 100)
    assert model.means_[0].min() > 50
    assert model.n_iter_ == 1


def test_nothing_of_an_earlier_fit_is_left() -> None:
    of_fit = {"hierarchy_", "moves_", "lower_bounds_", "lower_bound_", "converged_"}
    model = mixture(coarsening="auto").fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    assert of_fit < vars(model).keys()
    model.set_params(coarsening=None).fit(lambda: iter([X]))
    assert not vars(model).keys() & {"hierarchy_", "feature_names_in_"}
    with pytest.warns(UserWarning, match="what fit found is forgotten"):
        model.partial_fit(X)
    assert not vars(model).keys() & of_fit


def test_what_fit_reads_in_blocks_can_be_asked_about(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    pd.DataFrame(X, columns=names, index=np.arange(150) + 7).to_parquet(tmp_path / "x.parquet")
    np.save(tmp_path / "x.npy", X)
    for source in (tmp_path / "x.parquet", str(tmp_path / "x.npy"), lambda: iter([X[:90], X[90:]])):
        model = mixture(coarsening="auto")
        labels = model.fit_predict(source)
        rows = pd.DataFrame(X, columns=names) if str(source).endswith("parquet") else X
        np.testing.assert_array_equal(labels, model.predict(rows))
        np.testing.assert_allclose(model.predict_proba(source), model.predict_proba(rows))
        assert model.score(source) == pytest.approx(model.score(rows))


def test_fit_predict_takes_what_fit_takes() -> None:
    weights, var = np.arange(150.0) % 3 + 0.5, np.full_like(X, 0.01)
    labels = mixture().fit_predict(X, sample_weight=weights, var=var)
    alone = mixture().fit(X, sample_weight=weights, var=var)
    np.testing.assert_array_equal(labels, alone.predict(X))


# --- clusters and components


def test_clusters_and_components_can_both_be_had() -> None:
    model = mixture(coarsening="auto", moves=True).fit(X).cut(n_clusters=2)
    by_component = model.predict_components_proba(X)
    assert by_component.shape == (150, 6)
    labels = model.component_labels_
    pooled = np.column_stack([by_component[:, labels == c].sum(1) for c in range(2)])
    np.testing.assert_allclose(model.predict_proba(X), pooled, atol=1e-12)
    np.testing.assert_array_equal(model.predict_components(X), by_component.argmax(1))


def test_empty_components_are_counted() -> None:
    model = mixture(12, moves=True).fit(X)
    rows = model.predict_components_proba(X).sum(0)
    assert model.n_empty_ == (rows < 0.5).sum() > 0
    assert model.n_empty_ + model.n_clusters_ == 12


# --- devices


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_device_changes_nothing_but_where(device: Any) -> None:
    options = {"moves": True, "coarsening": "auto", "max_iter": 50}
    there, here = mixture(**options, device=device).fit(X), mixture(**options).fit(X)
    np.testing.assert_array_equal(there.means_, here.means_)
    np.testing.assert_array_equal(there.predict_proba(X), here.predict_proba(X))
    assert clone(there).device == device


FEW = X[:60]
GAPPY = np.where(np.abs(np.sin(17 * FEW)) < 0.2, np.nan, FEW)
GAPPY[:, 0] = FEW[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"covariance_type": "tied"}, FEW),
        ({"covariance_type": "diag", "allow_missing": True}, GAPPY),
        ({"allow_missing": True}, GAPPY),
        ({"covariance_type": "spherical"}, lambda: iter([FEW[:40], FEW[40:]])),
    ],
    ids=["tied", "diag with gaps", "full with gaps", "blocks"],
)
@pytest.mark.usefixtures("unchecked")  # to look at every shape takes far longer
def test_no_tensor_of_the_device_meets_one_of_the_cpu(options: dict[str, Any], rows: Any) -> None:
    options = {"moves": True, "coarsening": 5.0, "init_components": 1, "tol": 1e-2, **options}
    some = FEW if callable(rows) else rows
    here = mixture(4, **options).fit(rows)
    with pretend() as device:
        there = mixture(4, **options, device="cuda").fit(rows)
        probabilities = there.predict_proba(some)
        assert device.seen > 300
    assert here.moves_
    assert there.moves_ == here.moves_
    np.testing.assert_array_equal(there.means_, here.means_)
    np.testing.assert_array_equal(probabilities, here.predict_proba(some))


def test_a_stream_runs_on_the_device() -> None:
    here = mixture().partial_fit(X).partial_fit(X[:80])
    with pretend() as device:
        there = mixture(device="cuda").partial_fit(X).partial_fit(X[:80])
        assert device.seen > 20
    np.testing.assert_array_equal(there.means_, here.means_)


def test_the_device_that_is_pretended_is_a_strict_one() -> None:
    with pretend():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there + there).device.type == "cuda"
        assert (there.cpu() + here).device.type == "cpu"
        with pytest.raises(RuntimeError, match="got cpu and cuda"):
            there + here
        with pytest.raises(RuntimeError, match="got cpu and cuda"):
            here += there
        with pytest.raises(RuntimeError, match="an index or value on cuda"):
            here[there > 0]
        with pytest.raises(TypeError, match="cuda tensor to numpy"):
            there.numpy()


@pytest.mark.parametrize("device", ["meta", "cuda:77", "moon", 3.5])
@pytest.mark.usefixtures("unchecked")
def test_a_device_that_is_not_there_is_named(device: Any) -> None:
    with pytest.raises(ValueError, match=f"device must be None or .* got {device!r}: "):
        mixture(device=device).fit(X)


# --- the rows of all ranks


def test_moments_of_rows_with_gaps_are_a_covariance() -> None:
    rows = np.where(np.random.default_rng(0).random(X.shape) < 0.4, np.nan, X)
    rows[:, 0] = X[:, 0]
    centre, covariance = moments(Rows(rows), "full")
    np.testing.assert_allclose(centre, np.nanmean(rows, axis=0))
    factor = len(X) / (len(X) - 1)
    np.testing.assert_allclose(covariance.diagonal(), factor * np.nanvar(rows, axis=0))
    both = ~np.isnan(rows[:, 1:]).any(axis=1)
    product = ((rows - centre)[both, 1] * (rows - centre)[both, 2]).sum() / (len(X) - 1)
    assert covariance[1, 2] == pytest.approx(product)
    assert np.linalg.eigvalsh(covariance).min() > 0
    _, variances = moments(Rows(rows), "diag")
    np.testing.assert_allclose(variances, covariance.diagonal())


def test_a_sample_stands_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(X, var=X**2, weights=np.arange(150.0))
    assert sample_of(rows, np.random.RandomState(0)).x is not None  # type: ignore[union-attr]
    monkeypatch.setattr(rows_module, "SAMPLE_ROWS", 40)
    few = sample_of(rows, np.random.RandomState(0))
    assert few is not None
    assert few.var is not None
    assert few.weights is not None
    assert few.x.shape == (40, 3)
    chosen = few.weights.astype(int)  # the weights are row numbers here
    assert len(set(chosen)) == 40
    np.testing.assert_array_equal(few.x, X[chosen])
    np.testing.assert_array_equal(few.var, X[chosen] ** 2)
    assert few.standing_for(1e6).counts.sum() == pytest.approx(1e6)


def test_weights_of_less_than_a_row_are_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"must sum to more than 1, got 0\.5"):
        mixture().fit(X, sample_weight=np.full(150, 0.5 / 150))


@pytest.mark.parametrize("before", [{"covariance_prior": np.eye(3) * 1e4}, "partial_fit"])
def test_only_a_prior_that_was_learned_is_kept(before: Any) -> None:
    model = mixture(moves=True, warm_start=True)
    if before == "partial_fit":
        model.partial_fit(X)
    else:
        model.set_params(**before).fit(X).set_params(covariance_prior=None)
    fresh = mixture(moves=True).fit(X)
    assert model.fit(X).n_clusters_ == fresh.n_clusters_
    dof = model.posterior_.prior.components.degrees_of_freedom
    assert dof == pytest.approx(fresh.posterior_.prior.components.degrees_of_freedom, rel=0.2)
