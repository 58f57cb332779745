"""The mixture's posterior against dense formulas, enumeration and quadrature."""

from dataclasses import FrozenInstanceError
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import oracles
from dimix.mixture import (
    DiagonalCovariance,
    FeatureChunks,
    FullCovariance,
    GaussianFamily,
    MixturePosterior,
    by_size,
    collect,
    fit_batch,
    sweep,
    update,
)
from mixture_cases import blobs, make_prior, plain, plain_feature, random_start

FULL, DIAG = FullCovariance(2), DiagonalCovariance(2)


def started(family: GaussianFamily, n: int = 12, n_components: int = 3) -> tuple:
    chunks, prior = FeatureChunks(family, blobs(n, family.dim)), make_prior(family)
    return chunks, random_start(chunks, prior, n_components)


def bound_of(chunks: FeatureChunks, posterior: MixturePosterior) -> float:
    return posterior.bound(sweep(chunks, posterior)[1]).total


def test_bound_of_the_full_family_is_the_dense_formula() -> None:
    chunks, posterior = started(FULL)
    sticks = posterior.sticks
    expected = oracles.dense_bound(
        chunks.z.numpy(),
        plain(posterior.prior.components)[0],
        plain(posterior.components),
        list(zip(sticks.a.tolist(), sticks.b.tolist(), strict=True)),
        posterior.prior.concentration,
    )
    assert bound_of(chunks, posterior) == pytest.approx(expected, rel=1e-10)


def test_bound_names_its_terms() -> None:
    _, posterior = started(FULL)
    bound = posterior.bound(-10.0)
    kl = posterior.family.kl(posterior.components, posterior.prior.components).sum()
    assert bound.allocation == -10
    assert bound.sticks == pytest.approx(-float(posterior.sticks.kl()))
    assert bound.components == pytest.approx(-float(kl))
    assert bound.total == bound.allocation + bound.sticks + bound.components


def test_bound_of_one_full_component_is_the_log_evidence() -> None:
    """With T = 1 mean field is exact, so that every constant must be right."""
    chunks, posterior = started(FULL, n_components=1)
    prior = posterior.prior
    expected = oracles.log_evidence(
        chunks.z.numpy(), plain(prior.components)[0], prior.concentration, 1
    )
    assert bound_of(chunks, posterior) == pytest.approx(expected, rel=1e-12)


def test_bound_of_one_diagonal_component_is_the_log_evidence() -> None:
    chunks, posterior = started(DIAG, n_components=1)
    prior, z = posterior.prior, chunks.z.numpy()
    features = [plain_feature(prior.components, d)[0] for d in range(2)]
    of_sticks = oracles.log_evidence(z[:, :1], features[0], prior.concentration, 1)
    expected = of_sticks + oracles.log_marginal(z[:, 1:], features[1])
    assert bound_of(chunks, posterior) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bound_is_below_the_evidence_of_all_assignments(seed: int) -> None:
    family = FullCovariance(1)
    prior = make_prior(family)
    chunks = FeatureChunks(family, blobs(6, 1, seed))
    result = fit_batch(chunks, random_start(chunks, prior, 2, seed), tol=1e-10, max_iter=500)
    evidence = oracles.log_evidence(
        chunks.z.numpy(), plain(prior.components)[0], prior.concentration, 2
    )
    gap = evidence - result.bounds[-1].total
    assert 0 < gap < 3


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_empty_components_at_the_end_leave_the_bound_of_the_rest(family: GaussianFamily) -> None:
    prior = make_prior(family)
    chunks, posterior = started(family)
    statistics, _ = sweep(chunks, posterior)
    empty = torch.zeros(4, family.n_features, dtype=torch.float64)
    few, many = update(prior, statistics), update(prior, torch.cat([statistics, empty]))
    # The global terms do not move at all; more room can only raise the allocation's.
    allocations = [sweep(chunks, posterior)[1] for posterior in (few, many)]
    assert many.bound(0.0).total == pytest.approx(few.bound(0.0).total, rel=1e-12)
    assert allocations[1] >= allocations[0]


def test_order_by_size_has_the_highest_bound_of_all_orders() -> None:
    prior = make_prior(FULL)
    chunks, posterior = started(FULL, n=30)
    statistics, _ = sweep(chunks, posterior)

    def value(rows: torch.Tensor) -> float:
        """The bound at given responsibilities, but for their entropy, which has no order."""
        posterior = update(prior, rows)
        return float((posterior.natural_parameters * rows).sum()) + posterior.bound(0.0).total

    values = [value(statistics[list(order)]) for order in permutations(range(3))]
    assert value(by_size(statistics)) == pytest.approx(max(values))
    assert max(values) > min(values)


def test_log_responsibilities_are_differentiable_through_raw_rows() -> None:
    _, posterior = started(FULL)
    z = blobs(3, 2, seed=5).requires_grad_()
    var = torch.rand(3, 2, dtype=torch.float64).requires_grad_()

    def log_responsibilities(z: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
        return posterior.log_responsibilities(posterior.features(z, var))

    assert torch.autograd.gradcheck(log_responsibilities, (z, var))
    totals = log_responsibilities(z, var).exp().sum(1)
    torch.testing.assert_close(totals, torch.ones(3).double())


def test_raw_rows_are_measured_from_the_centre_in_their_own_dtype() -> None:
    _, posterior = started(DIAG)
    centre = posterior.prior.centre
    phi = posterior.features(centre[None].float())
    assert phi.dtype == torch.float32
    assert phi[0, 1:].abs().max() < 1e-6
    torch.testing.assert_close(posterior.means - centre, posterior.components.mean)


def test_predictive_density_integrates_to_one() -> None:
    _, posterior = started(FullCovariance(1))

    def density(z: float) -> float:
        return float(posterior.log_density(torch.tensor([[z]])).exp())

    total = sum(integrate.quad(density, *ends)[0] for ends in [(-np.inf, 0), (0, np.inf)])
    assert total == pytest.approx(1, abs=1e-5)


def test_predictive_density_is_the_mean_density_of_drawn_mixtures() -> None:
    chunks, posterior = started(FULL, n=40)
    rng = np.random.default_rng(0)
    n = 20_000
    z = chunks.z.numpy()[:3]
    a, b = posterior.sticks.a.numpy(), posterior.sticks.b.numpy()
    v = stats.beta(a, b).rvs((n, 3), random_state=rng)
    rest = np.cumprod(1 - v, axis=1)
    weights = np.column_stack([v * np.column_stack([np.ones(n), rest[:, :-1]]), rest[:, -1]])
    draws = np.zeros((len(z), n))
    everything = [*plain(posterior.components), plain(posterior.prior.components)[0]]
    for k, component in enumerate(everything):
        mu, precision = oracles.draw(component, n, rng)
        shift = z[:, None] - mu
        quadratic = np.einsum("rsi,sij,rsj->rs", shift, precision, shift)
        log_normal = 0.5 * (np.linalg.slogdet(precision)[1] - quadratic) - np.log(2 * np.pi)
        draws += weights[:, k] * np.exp(log_normal)
    predicted = posterior.log_density(torch.from_numpy(z) + posterior.prior.centre).exp().numpy()
    error = (draws.mean(1) - predicted) / (draws.std(1) / n**0.5)
    assert np.abs(error).max() < 4


def test_weights_sum_to_one_and_keep_their_ratios() -> None:
    _, posterior = started(FULL)
    expected = posterior.sticks.expected_weights()
    assert float(posterior.weights.sum()) == pytest.approx(1)
    torch.testing.assert_close(posterior.weights * expected.sum(), expected)


def test_a_posterior_is_immutable() -> None:
    chunks, posterior = started(FULL)
    with pytest.raises(FrozenInstanceError):
        posterior.sticks = posterior.sticks  # type: ignore[misc]
    before = posterior.natural_parameters.clone()
    update(posterior.prior, collect(chunks, torch.rand(len(chunks), 3)))
    torch.testing.assert_close(posterior.natural_parameters, before, rtol=0, atol=0)
