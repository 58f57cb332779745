"""The mixture's posterior against dense formulas, enumeration and quadrature."""

from dataclasses import FrozenInstanceError
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import family_oracles
import oracles
from dimix.mixture import (
    FeatureChunks,
    MixturePosterior,
    by_size,
    collect,
    fit_batch,
    sweep,
    update,
)
from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.families import FullCovariance, GaussianFamily
from dimix.mixture.sticks import stick_evidence
from mixture_cases import (
    FAMILIES,
    blobs,
    make_prior,
    parts,
    plain,
    plain_feature,
    random_start,
)

FULL, TIED, DIAG, BALL = ALL = [kind(2) for kind in FAMILIES]
NAMES = {FULL: "full", TIED: "tied", DIAG: "diag", BALL: "spherical"}
GAMMA = GammaConcentration(2.0, 0.5)

every_family = pytest.mark.parametrize("family", ALL, ids=NAMES.values())
every_concentration = pytest.mark.parametrize("concentration", [0.8, GAMMA], ids=["known", "gamma"])


def started(
    family: GaussianFamily,
    n: int = 12,
    n_components: int = 3,
    concentration: float | GammaConcentration = 0.8,
) -> tuple:
    prior = make_prior(family, concentration)
    chunks = FeatureChunks(family, blobs(n, family.dim))
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


@every_family
@every_concentration
def test_bound_is_the_dense_formula(
    family: GaussianFamily, concentration: float | GammaConcentration
) -> None:
    """Σ_n logsumexp and the KLs, each from scipy's densities."""
    chunks, posterior = started(family, concentration=concentration)
    kind, q, sticks = NAMES[family], parts(posterior.components), posterior.sticks
    log_normals = family_oracles.expected_log_normals(kind, q, chunks.z.numpy())
    log_weights = sticks.expected_log_weights().numpy()  # against quadrature in test_sticks
    allocation = np.logaddexp.reduce(log_weights + log_normals, axis=1).sum()
    of_components = family_oracles.kl(kind, q, parts(posterior.prior.components))
    of_sticks = float(sticks.kl() + sticks.concentration_kl())
    assert bound_of(chunks, posterior) == pytest.approx(
        allocation - of_components - of_sticks, rel=1e-9
    )


@every_family
@every_concentration
@pytest.mark.parametrize("reg_covar", [0.0, 0.05])
def test_bound_is_a_closed_function_of_the_responsibilities(
    family: GaussianFamily, concentration: float | GammaConcentration, reg_covar: float
) -> None:
    """B(R) = A(n) + Σ_k g(S_k) + H(R) is the bound at the globals that R asks for."""
    family = type(family)(2, reg_covar)
    chunks, start = started(family, n=30, concentration=concentration)
    resp = torch.cat([start.log_responsibilities(phi).exp() for _, phi in chunks])
    statistics = collect(chunks, resp)
    entropy = -float(torch.xlogy(resp, resp).sum())
    prior = start.prior
    evidence = float(
        stick_evidence(statistics[:, 0], prior.concentration)
        + family.log_evidence(prior.components, statistics).sum()
    )
    posterior = update(prior, statistics)
    expected_log_joint = float((posterior.natural_parameters * statistics).sum())
    expected = posterior.bound(expected_log_joint + entropy).total
    assert evidence + entropy == pytest.approx(expected, rel=1e-12)


@every_family
@every_concentration
def test_bound_rises_at_every_step(
    family: GaussianFamily, concentration: float | GammaConcentration
) -> None:
    chunks, start = started(family, n=60, n_components=5, concentration=concentration)
    totals = [bound.total for bound in fit_batch(chunks, start, tol=0, max_iter=60).bounds]
    steps = np.diff(totals)
    assert (steps > -1e-12 * abs(totals[-1])).all()
    assert totals[-1] > totals[0] + 1


def test_bound_names_its_terms() -> None:
    _, posterior = started(FULL, concentration=GAMMA)
    bound = posterior.bound(-10.0)
    kl = posterior.family.kl(posterior.components, posterior.prior.components).sum()
    assert bound.allocation == -10
    assert bound.sticks == pytest.approx(-float(posterior.sticks.kl()))
    assert bound.components == pytest.approx(-float(kl))
    assert bound.concentration == pytest.approx(-float(posterior.sticks.concentration_kl()))
    assert bound.concentration < 0
    terms = (bound.allocation, bound.sticks, bound.components, bound.concentration)
    assert bound.total == pytest.approx(sum(terms))


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


@every_family
@every_concentration
def test_empty_components_at_the_end_leave_the_bound_of_the_rest(
    family: GaussianFamily, concentration: float | GammaConcentration
) -> None:
    chunks, posterior = started(family, concentration=concentration)
    prior = posterior.prior
    statistics, _ = sweep(chunks, posterior)
    empty = torch.zeros(4, family.n_features, dtype=torch.float64)
    few, many = update(prior, statistics), update(prior, torch.cat([statistics, empty]))
    # The global terms do not move at all; more room can only raise the allocation's.
    allocations = [sweep(chunks, posterior)[1] for posterior in (few, many)]
    assert many.bound(0.0).total == pytest.approx(few.bound(0.0).total, rel=1e-12)
    if concentration is GAMMA:  # they are left out of q(c)
        assert allocations[1] == pytest.approx(allocations[0], rel=1e-14)
        torch.testing.assert_close(many.log_density(chunks.z), few.log_density(chunks.z))
    else:
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


@every_family
def test_predictive_density_is_the_mean_density_of_drawn_mixtures(family: GaussianFamily) -> None:
    chunks, posterior = started(family, n=40)
    rng = np.random.default_rng(0)
    n, z = 20_000, chunks.z.numpy()[:3]
    a, b = posterior.sticks.a.numpy(), posterior.sticks.b.numpy()
    v = stats.beta(a, b).rvs((n, 3), random_state=rng)
    rest = np.cumprod(1 - v, axis=1)
    weights = np.column_stack([v * np.column_stack([np.ones(n), rest[:, :-1]]), rest[:, -1]])
    # The fourth component is one without rows; a tied one has the precision of the others.
    everything = [
        np.concatenate([q, p]) if len(q) > 1 else q
        for q, p in zip(parts(posterior.components), parts(posterior.prior.components), strict=True)
    ]
    samples = family_oracles.draw(NAMES[family], tuple(everything), n, rng)
    normals = family_oracles.log_normals(z, *samples)
    draws = (weights[:, None] * np.exp(normals)).sum(2)
    predicted = posterior.log_density(torch.from_numpy(z) + posterior.prior.centre).exp().numpy()
    error = (draws.mean(0) - predicted) / (draws.std(0) / n**0.5)
    assert np.abs(error).max() < 4


@every_family
def test_log_responsibilities_without_rows_have_gradients(family: GaussianFamily) -> None:
    """A stick that is not used has log weight -1e30 and no gradient, not NaN."""
    chunks, posterior = started(family, concentration=GAMMA)
    statistics, _ = sweep(chunks, posterior)
    statistics = torch.cat([statistics, torch.zeros_like(statistics[:1])])
    z = blobs(3, 2, seed=5).requires_grad_()
    fuller = update(posterior.prior, statistics)
    log_resp = fuller.log_responsibilities(fuller.features(z.float()))
    torch.logsumexp(log_resp[:, :2], dim=1).sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()
    assert (log_resp[:, 3] < -1e29).all()


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
