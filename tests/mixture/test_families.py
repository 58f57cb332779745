"""The families against scipy's densities, quadrature and sampling."""

import numpy as np
import pytest
import torch
from scipy import stats

import family_oracles
import oracles
from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
    base,
)
from mixture_cases import FAMILIES, parts, plain, plain_feature, random_params

FULL, TIED, DIAG, BALL = ALL = [kind(3) for kind in FAMILIES]
NAMES = {FULL: "full", TIED: "tied", DIAG: "diag", BALL: "spherical"}

every_family = pytest.mark.parametrize("family", ALL, ids=NAMES.values())


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


def test_spherical_features_end_in_the_squared_length() -> None:
    z = rows(5, 3)
    expected = np.column_stack([np.ones(5), z, np.linalg.norm(z, axis=1) ** 2])
    np.testing.assert_allclose(BALL.features(z), expected, rtol=1e-14)
    assert BALL.n_features == expected.shape[1]


@every_family
def test_features_of_a_gaussian_are_the_mean_features_of_its_draws(family: GaussianFamily) -> None:
    mean, var = rows(1, 3), torch.tensor([[0.3, 1.0, 2.0]], dtype=torch.float64)
    draws = family.features(mean + var.sqrt() * rows(100_000, 3, seed=2))
    error = (draws.mean(0) - family.features(mean, var)[0]) / (draws.std(0) / len(draws) ** 0.5)
    assert error[1:].abs().max() < 4


@every_family
def test_features_are_differentiable(family: GaussianFamily) -> None:
    z, var = rows(2, 3).requires_grad_(), rows(2, 3).exp().requires_grad_()
    assert torch.autograd.gradcheck(family.features, (z, var))


@every_family
def test_update_and_evidence_are_bayes_rule(family: GaussianFamily) -> None:
    """Prior density × likelihood / posterior density = evidence, at any parameters."""
    kind, prior, z = NAMES[family], random_params(family, 1), rows(7, 3)
    weights = torch.rand(2, 7, dtype=torch.float64)
    statistics = weights @ family.features(z)
    posterior = parts(family.update(prior, statistics))
    two = (*(p.repeat(2, 0) for p in parts(prior)[:2]), *_priors_of(family, prior, 2))
    samples = family_oracles.draw(kind, posterior, 5, np.random.default_rng(0))
    evidence = float(family.log_evidence(prior, statistics).sum())
    for mu, precision in zip(*samples, strict=True):
        log_joint = family_oracles.log_density(kind, two, mu, precision)
        normals = family_oracles.log_normals(z.numpy(), mu, precision)
        log_joint += float((weights.numpy() * normals.T).sum())
        log_posterior = family_oracles.log_density(kind, posterior, mu, precision)
        assert log_joint - log_posterior == pytest.approx(evidence, rel=1e-10)


def _priors_of(family: GaussianFamily, prior: NormalWishart, n: int) -> list[np.ndarray]:
    """ν and scatter of ``n`` components' prior: one, if they share it."""
    repeats = 1 if family is TIED else n
    return [p.repeat(repeats, 0) for p in parts(prior)[2:]]


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


@every_family
def test_reg_covar_adds_itself_to_the_scatter_once_a_row(family: GaussianFamily) -> None:
    prior, phi = random_params(family, 1), family.features(rows(7, 3))
    statistics = phi.sum(0, keepdim=True)
    ridge = type(family)(3, reg_covar=0.1).update(prior, statistics).scatter
    extra = ridge - family.update(prior, statistics).scatter
    shapes = {FULL: torch.eye(3), TIED: torch.eye(3), DIAG: torch.ones(3), BALL: torch.tensor(1)}
    torch.testing.assert_close(extra[0], 0.7 * shapes[family].double())


@every_family
def test_expected_log_normal_by_sampling(family: GaussianFamily) -> None:
    params, z = random_params(family, 2), rows(4, 3)
    predicted = family.features(z) @ family.expected_natural(params).mT
    samples = family_oracles.draw(NAMES[family], parts(params), 100_000, np.random.default_rng(0))
    draws = family_oracles.log_normals(z.numpy(), *samples)
    error = (draws.mean(0) - predicted.numpy()) / (draws.std(0) / len(draws) ** 0.5)
    assert np.abs(error).max() < 4


@every_family
def test_expected_log_normal_and_kl_term_by_term(family: GaussianFamily) -> None:
    params, prior, z = random_params(family, 2), random_params(family, 1, seed=2), rows(4, 3)
    kind = NAMES[family]
    predicted = family.features(z) @ family.expected_natural(params).mT
    expected = family_oracles.expected_log_normals(kind, parts(params), z.numpy())
    np.testing.assert_allclose(predicted, expected, rtol=1e-9)
    expected_kl = family_oracles.kl(kind, parts(params), parts(prior))
    assert float(family.kl(params, prior).sum()) == pytest.approx(expected_kl, rel=1e-8)


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


@every_family
def test_kl_by_sampling(family: GaussianFamily) -> None:
    params, prior = random_params(family, 1, seed=1), random_params(family, 1, seed=2)
    kind, q, p = NAMES[family], parts(params), parts(prior)
    samples = zip(*family_oracles.draw(kind, q, 300, np.random.default_rng(0)), strict=True)
    log_ratio = [
        family_oracles.log_density(kind, q, *s) - family_oracles.log_density(kind, p, *s)
        for s in samples
    ]
    error = float(family.kl(params, prior)) - np.mean(log_ratio)
    assert abs(error) < 4 * np.std(log_ratio) / 300**0.5


@every_family
def test_kl_to_itself_is_zero(family: GaussianFamily) -> None:
    params = random_params(family, 4)
    assert float(family.kl(params, params).abs().max()) < 1e-12


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


def _reshaped(params: NormalWishart, family: GaussianFamily) -> NormalWishart:
    """Parameters at D = 1 in the shape of a family."""
    shapes = {DiagonalCovariance: (-1, 1), SphericalCovariance: (-1,)}
    scatter = params.scatter.reshape(shapes.get(type(family), (-1, 1, 1)))
    return NormalWishart(params.mean, params.mean_precision, params.degrees_of_freedom, scatter)


@pytest.mark.parametrize(
    ("kind", "n_components"),
    [(DiagonalCovariance, 2), (SphericalCovariance, 2), (TiedCovariance, 1)],
)
def test_the_families_agree_at_one_dimension(kind: type[GaussianFamily], n_components: int) -> None:
    full, other = FullCovariance(1, 0.01), kind(1, 0.01)
    prior, z = random_params(full, 1), rows(6, 1)
    prior_of_other = _reshaped(prior, other)
    phi = full.features(z)
    torch.testing.assert_close(phi, other.features(z))
    statistics = torch.rand(n_components, 6, dtype=torch.float64) @ phi
    of_full, of_other = full.update(prior, statistics), other.update(prior_of_other, statistics)
    torch.testing.assert_close(of_full.scatter, _reshaped(of_other, full).scatter)
    torch.testing.assert_close(full.expected_natural(of_full), other.expected_natural(of_other))
    torch.testing.assert_close(full.kl(of_full, prior), other.kl(of_other, prior_of_other))
    torch.testing.assert_close(
        full.log_evidence(prior, statistics), other.log_evidence(prior_of_other, statistics)
    )
    torch.testing.assert_close(full.log_predictive(of_full, z), other.log_predictive(of_other, z))
    last = n_components - 1
    torch.testing.assert_close(full.draw(of_full, last, z), other.draw(of_other, last, z))
    for read_out in ("covariance", "precision", "precision_cholesky"):
        square = getattr(full, read_out)(of_full)
        torch.testing.assert_close(square.flatten(), getattr(other, read_out)(of_other).flatten())


def test_predictive_of_the_diagonal_family_is_a_product_of_student_ts() -> None:
    params, z = random_params(DIAG, 2), rows(4, 3)
    expected = np.zeros((4, 2))
    for d in range(3):
        for k, (mean, kappa, dof, scatter) in enumerate(plain_feature(params, d)):
            scale = (scatter[0, 0] * (kappa + 1) / (kappa * dof)) ** 0.5
            expected[:, k] += stats.t.logpdf(z[:, d], dof, mean[0], scale)
    np.testing.assert_allclose(DIAG.log_predictive(params, z), expected, rtol=1e-10)


@pytest.mark.parametrize("family", [FULL, TIED], ids=["full", "tied"])
def test_predictive_of_a_matrix_family_is_scipys_student_t(family: GaussianFamily) -> None:
    params, z = random_params(family, 2), rows(4, 3)
    expected = []
    for k, (mean, kappa) in enumerate(zip(params.mean, params.mean_precision, strict=True)):
        own = 0 if family is TIED else k
        dof, scatter = params.degrees_of_freedom[own], params.scatter[own]
        free = float(dof) - 3 + 1
        student = stats.multivariate_t(mean, scatter * (kappa + 1) / (kappa * free), free)
        expected.append(student.logpdf(z))
    np.testing.assert_allclose(family.log_predictive(params, z), np.transpose(expected), rtol=1e-9)


def test_predictive_of_the_spherical_family_is_scipys_student_t() -> None:
    params, z = random_params(BALL, 2), rows(4, 3)
    expected = []
    for mean, kappa, dof, scatter in zip(*parts(params), strict=True):
        shape = scatter / dof * (kappa + 1) / kappa * np.eye(3)
        expected.append(stats.multivariate_t(mean, shape, 3 * dof).logpdf(z))
    np.testing.assert_allclose(BALL.log_predictive(params, z), np.transpose(expected), rtol=1e-10)


@every_family
def test_evidence_is_the_chain_of_predictives(family: GaussianFamily) -> None:
    """Log p(z_1) + log p(z_2 | z_1) + …, the rows of two components in turn."""
    prior, z = random_params(family, 1), rows(7, 3)
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 1])
    statistics, total = torch.zeros(2, family.n_features, dtype=torch.float64), 0.0
    for row, k in zip(z, labels, strict=True):
        predictive = family.log_predictive(family.update(prior, statistics), row[None])
        total += float(predictive[0, k])
        statistics[k] += family.features(row[None])[0]
    assert float(family.log_evidence(prior, statistics).sum()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("kind", FAMILIES)
def test_evidence_by_quadrature_at_one_dimension(kind: type[GaussianFamily]) -> None:
    family = kind(1)
    prior, z = random_params(family, 1), rows(4, 1)
    weights = np.array([1.0, 0.3, 0.8, 0.5])
    statistics = 0.7 * torch.from_numpy(weights)[None] @ family.features(z)
    mean, kappa, dof, scatter = (p.flatten() for p in parts(prior))

    def likelihood(mu: np.ndarray, precision: np.ndarray) -> np.ndarray:
        log_normals = stats.norm.logpdf(z.numpy()[:, 0, None, None], mu, precision**-0.5)
        return np.exp(0.7 * np.tensordot(weights, log_normals, axes=1))

    plain_prior = (mean, kappa[0], dof[0], scatter[:, None])
    expected = np.log(oracles.expectation_1d(likelihood, plain_prior))
    assert float(family.log_evidence(prior, statistics)) == pytest.approx(expected, rel=1e-7)


@every_family
@pytest.mark.parametrize("reg_covar", [0.0, 0.05])
def test_evidence_is_what_the_update_gives_to_the_bound(
    family: GaussianFamily, reg_covar: float
) -> None:
    ridged, prior = type(family)(3, reg_covar), random_params(family, 1)
    statistics = 0.3 * torch.rand(4, 9, dtype=torch.float64) @ family.features(rows(9, 3))
    params = ridged.update(prior, statistics)
    expected = (ridged.expected_natural(params) * statistics).sum() - ridged.kl(params, prior).sum()
    evidence = ridged.log_evidence(prior, statistics)
    torch.testing.assert_close(evidence.sum(), expected, rtol=1e-12, atol=0)
    assert len(evidence) == (1 if family is TIED else 4)


@every_family
@pytest.mark.parametrize("reg_covar", [0.0, 0.05])
def test_merge_evidence_is_that_of_the_merged_statistics(
    family: GaussianFamily, reg_covar: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ridged, prior = type(family)(3, reg_covar), random_params(family, 1)
    statistics = torch.rand(5, 9, dtype=torch.float64) @ family.features(rows(9, 3))
    statistics[4] = 0  # an empty component merges at no gain
    pairs = torch.combinations(torch.arange(5), 2)
    monkeypatch.setattr(base, "PAIRS_BYTES", 3 * 8 * family.n_features)
    before = ridged.log_evidence(prior, statistics).sum()
    expected = []
    for a, b in pairs.tolist():
        merged = statistics.clone()
        merged[a] += merged[b]
        merged[b] = 0
        expected.append(ridged.log_evidence(prior, merged).sum() - before)
    predicted = ridged.merge_evidence(prior, statistics, pairs)
    torch.testing.assert_close(predicted, torch.stack(expected), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(
        predicted[pairs[:, 1] == 4], torch.zeros(4).double(), atol=1e-12, rtol=0
    )
    assert ridged.merge_evidence(prior, statistics, pairs[:0]).shape == (0,)


def test_a_tied_component_without_rows_has_the_precision_of_the_others() -> None:
    prior, phi = random_params(TIED, 1), TIED.features(rows(9, 3))
    statistics = torch.stack([phi.sum(0), torch.zeros_like(phi[0])])
    params = TIED.update(prior, statistics)
    predicted = TIED.log_predictive(TIED.unseen(params, prior), rows(4, 3, seed=3))
    expected = TIED.log_predictive(params, rows(4, 3, seed=3))[:, 1:]
    torch.testing.assert_close(predicted, expected)


@every_family
def test_precision_covariance_and_factor_fit_together(family: GaussianFamily) -> None:
    params = random_params(family, 2)
    factor, precision = family.precision_cholesky(params), family.precision(params)
    covariance = family.covariance(params)
    expected = family_oracles.expected_precisions(NAMES[family], parts(params))
    if family in (FULL, TIED):
        assert torch.equal(factor, factor.triu())
        torch.testing.assert_close(factor @ factor.mT, precision)
        torch.testing.assert_close(
            precision @ covariance, torch.eye(3).double().expand_as(precision)
        )
        np.testing.assert_allclose(precision.expand(2, 3, 3), expected)
    else:
        torch.testing.assert_close(factor**2, precision)
        torch.testing.assert_close(precision * covariance, torch.ones_like(precision))
        diagonals = expected.diagonal(axis1=1, axis2=2)
        np.testing.assert_allclose(precision.reshape(2, -1).expand(2, 3), diagonals)


@pytest.mark.parametrize("kind", FAMILIES)
def test_draws_have_the_mean_and_spread_of_the_component(kind: type[GaussianFamily]) -> None:
    family = kind(2)
    params = random_params(family, 2)
    draws = family.draw(params, 1, rows(200_000, 2)).numpy()
    own = 0 if kind is TiedCovariance else 1
    covariance = (params.scatter[own] / params.degrees_of_freedom[own]).numpy()
    expected = covariance if covariance.ndim == 2 else covariance * np.eye(2)
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
