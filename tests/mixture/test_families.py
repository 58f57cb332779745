"""The families against scipy's densities, quadrature and sampling."""

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from dimix.mixture import DiagonalCovariance, FullCovariance, GaussianFamily, NormalWishart
from mixture_cases import FAMILIES, plain, plain_feature, random_params

FULL, DIAG = FullCovariance(3), DiagonalCovariance(3)


def rows(n: int, dim: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, dim)))


def test_full_features_are_the_distinct_products() -> None:
    z = rows(5, 3)
    i, j = np.triu_indices(3)
    expected = np.stack([np.concatenate([[1], r, np.outer(r, r)[i, j]]) for r in z.numpy()])
    np.testing.assert_allclose(FULL.features(z), expected, rtol=1e-15)
    assert FULL.n_features == expected.shape[1]


def test_diagonal_features_are_the_squares() -> None:
    z = rows(5, 3)
    expected = np.column_stack([np.ones(5), z, z.numpy() ** 2])
    np.testing.assert_allclose(DIAG.features(z), expected, rtol=1e-15)
    assert DIAG.n_features == expected.shape[1]


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_features_of_a_gaussian_are_the_mean_features_of_its_draws(family: GaussianFamily) -> None:
    mean, var = rows(1, 3), torch.tensor([[0.3, 1.0, 2.0]], dtype=torch.float64)
    draws = family.features(mean + var.sqrt() * rows(100_000, 3, seed=2))
    error = (draws.mean(0) - family.features(mean, var)[0]) / (draws.std(0) / len(draws) ** 0.5)
    assert error[1:].abs().max() < 4


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_features_are_differentiable(family: GaussianFamily) -> None:
    z, var = rows(2, 3).requires_grad_(), rows(2, 3).exp().requires_grad_()
    assert torch.autograd.gradcheck(family.features, (z, var))


def test_full_update_is_bayes_rule() -> None:
    """Posterior density = prior density × likelihood, up to one constant, anywhere."""
    prior, z = random_params(FULL, 1), rows(7, 3)
    weights = torch.rand(7, 1, dtype=torch.float64)
    posterior = FULL.update(prior, weights.mT @ FULL.features(z))
    rng = np.random.default_rng(0)
    constants = []
    for mu, precision in zip(*oracles.draw(plain(posterior)[0], 5, rng), strict=True):
        normal = stats.multivariate_normal(mu, np.linalg.inv(precision))
        log_joint = oracles.log_density(mu, precision, plain(prior)[0])
        log_joint += weights[:, 0].numpy() @ normal.logpdf(z)
        constants.append(log_joint - oracles.log_density(mu, precision, plain(posterior)[0]))
    np.testing.assert_allclose(constants, constants[0], rtol=1e-9)


def test_diagonal_update_is_that_of_each_feature_alone() -> None:
    prior, z = random_params(DIAG, 1), rows(7, 3)
    posterior = DIAG.update(prior, DIAG.features(z).sum(0, keepdim=True))
    alone = FullCovariance(1)
    for d in range(3):
        feature = NormalWishart(
            prior.mean[:, [d]],
            prior.mean_precision,
            prior.degrees_of_freedom,
            prior.scatter[:, [d], None],
        )
        expected = alone.update(feature, alone.features(z[:, [d]]).sum(0, keepdim=True))
        for ours, other in zip(plain_feature(posterior, d)[0], plain(expected)[0], strict=True):
            assert ours == pytest.approx(other)


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_reg_covar_adds_itself_to_the_scatter_once_a_row(family: GaussianFamily) -> None:
    prior, phi = random_params(family, 1), family.features(rows(7, 3))
    statistics = phi.sum(0, keepdim=True)
    ridge = type(family)(3, reg_covar=0.1).update(prior, statistics).scatter
    extra = ridge - family.update(prior, statistics).scatter
    expected = 0.7 * (torch.eye(3) if family is FULL else torch.ones(3))
    torch.testing.assert_close(extra[0], expected.double())


def test_expected_log_normal_of_the_full_family_by_sampling() -> None:
    params, z = random_params(FULL, 2), rows(4, 3)
    predicted = FULL.features(z) @ FULL.expected_natural(params).mT
    rng = np.random.default_rng(0)
    for k, component in enumerate(plain(params)):
        mu, precision = oracles.draw(component, 100_000, rng)
        shift = z.numpy()[:, None] - mu
        quadratic = np.einsum("nsi,sij,nsj->ns", shift, precision, shift)
        log_det = np.linalg.slogdet(precision)[1]
        draws = 0.5 * (log_det - 3 * np.log(2 * np.pi) - quadratic)
        error = (draws.mean(1) - predicted[:, k].numpy()) / (draws.std(1) / len(mu) ** 0.5)
        assert np.abs(error).max() < 4


def test_expected_log_normal_by_quadrature_at_one_dimension() -> None:
    family = FullCovariance(1)
    params, z = random_params(family, 1), 0.7
    predicted = family.features(torch.tensor([[z]]).double()) @ family.expected_natural(params).mT
    expected = oracles.expectation_1d(
        lambda mu, precision: stats.norm.logpdf(z, mu, precision**-0.5), plain(params)[0]
    )
    assert float(predicted) == pytest.approx(expected, rel=1e-7)


def test_expected_log_normal_of_the_diagonal_family_is_a_sum_over_features() -> None:
    params, z = random_params(DIAG, 2), rows(4, 3)
    predicted = DIAG.features(z) @ DIAG.expected_natural(params).mT
    expected = [
        [
            sum(
                oracles.expected_log_normal(row[[d]], plain_feature(params, d)[k]) for d in range(3)
            )
            for k in range(2)
        ]
        for row in z.numpy()
    ]
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)


def test_kl_by_quadrature_at_one_dimension() -> None:
    family = FullCovariance(1)
    params, prior = random_params(family, 1, seed=1), random_params(family, 1, seed=2)

    def log_ratio(mu: np.ndarray, precision: np.ndarray) -> np.ndarray:
        return sum(
            sign
            * (
                stats.norm.logpdf(mu, p[0][0], (p[1] * precision) ** -0.5)
                + stats.gamma.logpdf(precision, p[2] / 2, scale=2 / p[3][0, 0])
            )
            for sign, p in [(1, plain(params)[0]), (-1, plain(prior)[0])]
        )

    expected = oracles.expectation_1d(log_ratio, plain(params)[0])
    assert float(family.kl(params, prior)) == pytest.approx(expected, rel=1e-9)


def test_kl_of_the_full_family_by_sampling() -> None:
    params, prior = random_params(FULL, 1, seed=1), random_params(FULL, 1, seed=2)
    q, p = plain(params)[0], plain(prior)[0]
    samples = zip(*oracles.draw(q, 1000, np.random.default_rng(0)), strict=True)
    log_ratio = [oracles.log_density(*s, q) - oracles.log_density(*s, p) for s in samples]
    error = float(FULL.kl(params, prior)) - np.mean(log_ratio)
    assert abs(error) < 4 * np.std(log_ratio) / 1000**0.5


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_kl_to_itself_is_zero(family: GaussianFamily) -> None:
    params = random_params(family, 4)
    torch.testing.assert_close(family.kl(params, params), torch.zeros(4).double())


def test_kl_of_the_diagonal_family_is_a_sum_over_features() -> None:
    params, prior = random_params(DIAG, 2, seed=1), random_params(DIAG, 1, seed=2)
    alone = DiagonalCovariance(1)
    parts = [
        alone.kl(
            *(
                NormalWishart(
                    p.mean[:, [d]], p.mean_precision, p.degrees_of_freedom, p.scatter[:, [d]]
                )
                for p in (params, prior)
            )
        )
        for d in range(3)
    ]
    torch.testing.assert_close(DIAG.kl(params, prior), sum(parts))


def test_the_families_agree_at_one_dimension() -> None:
    full, diag = FullCovariance(1, 0.01), DiagonalCovariance(1, 0.01)
    as_full, z = random_params(full, 1), rows(6, 1)
    as_diag = NormalWishart(
        as_full.mean, as_full.mean_precision, as_full.degrees_of_freedom, as_full.scatter[:, :, 0]
    )
    phi = full.features(z)
    torch.testing.assert_close(phi, diag.features(z))
    statistics = torch.rand(2, 6, dtype=torch.float64) @ phi
    of_full, of_diag = full.update(as_full, statistics), diag.update(as_diag, statistics)
    torch.testing.assert_close(of_full.scatter[:, :, 0], of_diag.scatter)
    torch.testing.assert_close(full.expected_natural(of_full), diag.expected_natural(of_diag))
    torch.testing.assert_close(full.kl(of_full, as_full), diag.kl(of_diag, as_diag))
    torch.testing.assert_close(full.log_predictive(of_full, z), diag.log_predictive(of_diag, z))
    torch.testing.assert_close(full.draw(of_full, 1, z), diag.draw(of_diag, 1, z))
    for read_out in ("covariance", "precision", "precision_cholesky"):
        square = getattr(full, read_out)(of_full)
        torch.testing.assert_close(square[:, :, 0], getattr(diag, read_out)(of_diag))


def test_predictive_of_the_full_family_is_scipys_student_t() -> None:
    params, z = random_params(FULL, 2), rows(4, 3)
    expected = []
    for mean, kappa, dof, scatter in plain(params):
        free = dof - 3 + 1
        student = stats.multivariate_t(mean, scatter * (kappa + 1) / (kappa * free), free)
        expected.append(student.logpdf(z))
    np.testing.assert_allclose(FULL.log_predictive(params, z), np.transpose(expected), rtol=1e-10)


def test_predictive_of_the_diagonal_family_is_a_product_of_student_ts() -> None:
    params, z = random_params(DIAG, 2), rows(4, 3)
    expected = np.zeros((4, 2))
    for d in range(3):
        for k, (mean, kappa, dof, scatter) in enumerate(plain_feature(params, d)):
            scale = (scatter[0, 0] * (kappa + 1) / (kappa * dof)) ** 0.5
            expected[:, k] += stats.t.logpdf(z[:, d], dof, mean[0], scale)
    np.testing.assert_allclose(DIAG.log_predictive(params, z), expected, rtol=1e-10)


@pytest.mark.parametrize("family", [FULL, DIAG])
def test_precision_covariance_and_factor_fit_together(family: GaussianFamily) -> None:
    params = random_params(family, 2)
    factor, precision = family.precision_cholesky(params), family.precision(params)
    covariance = family.covariance(params)
    if family is FULL:
        assert torch.equal(factor, factor.triu())
        torch.testing.assert_close(factor @ factor.mT, precision)
        torch.testing.assert_close(precision @ covariance, torch.eye(3).double().expand(2, 3, 3))
    else:
        torch.testing.assert_close(factor**2, precision)
        torch.testing.assert_close(precision * covariance, torch.ones(2, 3).double())


@pytest.mark.parametrize("kind", FAMILIES)
def test_draws_have_the_mean_and_spread_of_the_component(kind: type[GaussianFamily]) -> None:
    family = kind(2)
    params = random_params(family, 2)
    draws = family.draw(params, 1, rows(200_000, 2)).numpy()
    covariance = family.covariance(params)[1].numpy()
    expected = covariance if covariance.ndim == 2 else np.diag(covariance)
    np.testing.assert_allclose(draws.mean(0), params.mean[1], atol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.02)


def test_a_scatter_that_is_not_positive_definite_is_one_clear_error() -> None:
    params = random_params(FULL, 2)
    broken = NormalWishart(
        params.mean,
        params.mean_precision,
        params.degrees_of_freedom,
        params.scatter * torch.tensor([1.0, -1.0]).double()[:, None, None],
    )
    with pytest.raises(ValueError, match="component 1 is not positive definite"):
        FULL.precision(broken)
