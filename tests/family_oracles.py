"""Independent references for every covariance type, from scipy's densities and draws.

Nothing here imports dimix. A ``kind`` is "full", "tied", "diag" or "spherical"; its parameters
are a tuple (m, κ, ν, P) of arrays: means [K, D], precisions of the means [K], degrees of freedom
and inverse scales in the shape of the kind ("tied": one for all). Precisions here are always
matrices [K, D, D], whatever the kind.
"""

import numpy as np
from scipy import integrate, stats
from scipy.special import multigammaln, psi

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def draw(
    kind: str, params: Parts, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of (μ [n, K, D], Λ [n, K, D, D]), all components at once."""
    mean, kappa, _, _ = params
    precision = _draw_precisions(kind, params, n, rng)
    scale = np.linalg.cholesky(np.linalg.inv(kappa[:, None, None] * precision))
    noise = rng.normal(size=(n, *mean.shape))
    return mean + np.einsum("nkij,nkj->nki", scale, noise), precision


def log_density(kind: str, params: Parts, mu: np.ndarray, precision: np.ndarray) -> float:
    """Log of the joint density of all (μ_k, Λ_k) [K, D], [K, D, D]; a tied Λ counts once."""
    mean, kappa, _, _ = params
    of_means = sum(
        stats.multivariate_normal(mean[k], np.linalg.inv(kappa[k] * precision[k])).logpdf(mu[k])
        for k in range(len(mean))
    )
    return float(of_means) + _log_density_of_precisions(kind, params, precision)


def log_normals(z: np.ndarray, mu: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Log N(z_n | μ_k, Λ_k⁻¹) [..., N, K] for μ [..., K, D]."""
    shift = z[:, None] - mu[..., None, :, :]
    quadratic = np.einsum("...nki,...kij,...nkj->...nk", shift, precision, shift)
    log_det = np.linalg.slogdet(precision)[1][..., None, :]
    return 0.5 * (log_det - quadratic - z.shape[1] * np.log(2 * np.pi))


def expected_log_normals(kind: str, params: Parts, z: np.ndarray) -> np.ndarray:
    """E[log N(z_n | μ_k, Λ_k⁻¹)] [N, K], term by term."""
    mean, kappa, _, _ = params
    dim, precision = mean.shape[1], expected_precisions(kind, params)
    shift = z[:, None] - mean
    quadratic = dim / kappa + np.einsum("nki,kij,nkj->nk", shift, precision, shift)
    return 0.5 * (_expected_log_dets(kind, params) - dim * np.log(2 * np.pi) - quadratic)


def kl(kind: str, params: Parts, prior: Parts) -> float:
    """KL(q(μ, Λ) ‖ p(μ, Λ)) over all components, against a prior of one component."""
    mean, kappa, _, _ = params
    mean_0, kappa_0 = prior[0][0], prior[1][0]
    total = 0.0
    for k, precision in enumerate(expected_precisions(kind, params)):
        shift = mean[k] - mean_0
        ratio = kappa_0 / kappa[k]
        total += 0.5 * len(mean_0) * (ratio - 1 - np.log(ratio))
        total += 0.5 * kappa_0 * shift @ precision @ shift
    return total + _kl_of_precisions(kind, params, prior)


def expected_precisions(kind: str, params: Parts) -> np.ndarray:
    """E[Λ_k] [K, D, D]."""
    mean, _, dof, scatter = params
    n_components, dim = mean.shape
    if kind in ("full", "tied"):
        return np.broadcast_to(
            dof[:, None, None] * np.linalg.inv(scatter), (n_components, dim, dim)
        )
    return np.stack(
        [np.diag([gamma.mean() for gamma in _gammas(kind, params, k)]) for k in range(n_components)]
    )


def _expected_log_dets(kind: str, params: Parts) -> np.ndarray:
    mean, _, dof, scatter = params
    dim = mean.shape[1]
    if kind in ("full", "tied"):
        digammas = sum(psi((dof + 1 - i) / 2) for i in range(1, dim + 1))
        return digammas + dim * np.log(2) - np.linalg.slogdet(scatter)[1]
    of_gammas = [
        [integrate.quad(lambda t, g=g: _weigh(g, t) * t, *_range(g))[0] for g in gammas]
        for gammas in (_gammas(kind, params, k) for k in range(len(mean)))
    ]
    return np.sum(of_gammas, axis=1)


def _gammas(kind: str, params: Parts, k: int) -> list:
    """The marginal Gamma of each entry of the diagonal of Λ_k; "spherical": all the same one."""
    mean, _, dof, scatter = params
    dim = mean.shape[1]
    if kind == "diag":
        return [stats.gamma(dof[k] / 2, scale=2 / scatter[k, d]) for d in range(dim)]
    return [stats.gamma(dim * dof[k] / 2, scale=2 / (dim * scatter[k]))] * dim


def _draw_precisions(kind: str, params: Parts, n: int, rng: np.random.Generator) -> np.ndarray:
    mean, _, dof, scatter = params
    n_components, dim = mean.shape
    if kind in ("full", "tied"):
        each = [
            stats.wishart(v, np.linalg.inv(p)).rvs(n, random_state=rng).reshape(n, 1, dim, dim)
            for v, p in zip(dof, scatter, strict=True)
        ]
        return np.broadcast_to(np.concatenate(each, axis=1), (n, n_components, dim, dim))
    precision = np.zeros((n, n_components, dim, dim))
    for k in range(n_components):
        gammas = _gammas(kind, params, k)
        n_own = 1 if kind == "spherical" else dim
        draws = np.stack([g.rvs(n, random_state=rng) for g in gammas[:n_own]], axis=1)
        precision[:, k, np.arange(dim), np.arange(dim)] = draws
    return precision


def _log_density_of_precisions(kind: str, params: Parts, precision: np.ndarray) -> float:
    _, _, dof, scatter = params
    if kind in ("full", "tied"):
        return float(
            sum(
                stats.wishart(v, np.linalg.inv(p)).logpdf(own)
                for v, p, own in zip(dof, scatter, precision[: len(dof)], strict=True)
            )
        )
    total = 0.0
    for k, own in enumerate(precision):
        gammas, entries = _gammas(kind, params, k), np.diag(own)
        n_own = 1 if kind == "spherical" else len(entries)
        total += sum(g.logpdf(e) for g, e in zip(gammas[:n_own], entries[:n_own], strict=True))
    return total


def _kl_of_precisions(kind: str, params: Parts, prior: Parts) -> float:
    if kind in ("full", "tied"):
        pairs = zip(params[2], params[3], strict=True)
        return sum(_kl_of_wisharts(v, p, prior[2][0], prior[3][0]) for v, p in pairs)
    total = 0.0
    for k in range(len(params[0])):
        pairs = list(zip(_gammas(kind, params, k), _gammas(kind, prior, 0), strict=True))
        for q, p in pairs[: 1 if kind == "spherical" else None]:
            total += integrate.quad(
                lambda t, q=q, p=p: _weigh(q, t) * (q.logpdf(np.exp(t)) - p.logpdf(np.exp(t))),
                *_range(q),
            )[0]
    return total


def _kl_of_wisharts(dof: float, scatter: np.ndarray, dof_0: float, scatter_0: np.ndarray) -> float:
    """-H[q] - E[log p], from scipy's entropy."""
    dim, scale = len(scatter), np.linalg.inv(scatter)
    digammas = sum(psi((dof + 1 - i) / 2) for i in range(1, dim + 1))
    log_det = digammas + dim * np.log(2) + np.linalg.slogdet(scale)[1]
    expected_log_prior = 0.5 * (
        (dof_0 - dim - 1) * log_det
        - dof * np.trace(scatter_0 @ scale)
        - dof_0 * dim * np.log(2)
        + dof_0 * np.linalg.slogdet(scatter_0)[1]
    ) - multigammaln(dof_0 / 2, dim)
    return float(-stats.wishart(dof, scale).entropy() - expected_log_prior)


def _weigh(gamma: stats.rv_continuous, t: float) -> float:
    """The density of log λ."""
    return float(gamma.pdf(np.exp(t)) * np.exp(t))


def _range(gamma: stats.rv_continuous) -> tuple[float, float]:
    """Where the density of log λ is not negligible."""
    return float(np.log(gamma.ppf(1e-15))), float(np.log(gamma.isf(1e-15)))
