"""Independent references: the same quantities by slow, plain and different means.

Nothing here imports dimix. A Normal-Wishart is a tuple (m, κ, ν, P) of numpy arrays: mean [D],
precision of the mean, degrees of freedom and P = W⁻¹ [D, D].
"""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
from scipy import stats
from scipy.special import betaln, multigammaln, psi

NormalWishart = tuple[np.ndarray, float, float, np.ndarray]


def expected_log_det(params: NormalWishart) -> float:
    """E[log |Λ|] of a Wishart."""
    _, _, dof, scatter = params
    dim = len(scatter)
    digammas = sum(psi((dof + 1 - i) / 2) for i in range(1, dim + 1))
    return float(digammas + dim * np.log(2) - np.linalg.slogdet(scatter)[1])


def expected_log_normal(z: np.ndarray, params: NormalWishart) -> float:
    """E[log N(z | μ, Λ⁻¹)], term by term."""
    mean, kappa, dof, scatter = params
    dim = len(mean)
    distance = (z - mean) @ np.linalg.inv(scatter) @ (z - mean)
    quadratic = dim / kappa + dof * distance
    return float(0.5 * (expected_log_det(params) - dim * np.log(2 * np.pi) - quadratic))


def log_density(mu: np.ndarray, precision: np.ndarray, params: NormalWishart) -> float:
    """Log of the Normal-Wishart density at (μ, Λ), from scipy's densities."""
    mean, kappa, dof, scatter = params
    normal = stats.multivariate_normal(mean, np.linalg.inv(kappa * precision))
    return float(normal.logpdf(mu) + stats.wishart(dof, np.linalg.inv(scatter)).logpdf(precision))


def draw(params: NormalWishart, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of (μ [n, D], Λ [n, D, D])."""
    mean, kappa, dof, scatter = params
    dim = len(mean)
    precisions = stats.wishart(dof, np.linalg.inv(scatter)).rvs(n, random_state=rng)
    precisions = np.reshape(precisions, (n, dim, dim))
    scale = np.linalg.cholesky(np.linalg.inv(kappa * precisions))
    return mean + np.einsum("nij,nj->ni", scale, rng.normal(size=(n, dim))), precisions


def expectation_1d(function: Callable[..., np.ndarray], params: NormalWishart) -> float:
    """E[function(μ, λ)] under a one-dimensional Normal-Wishart, by Gauss-Legendre quadrature.

    ``function`` takes and gives arrays. The nodes lie evenly in log λ and in units of the
    spread of μ given λ.
    """
    mean, kappa, dof, scatter = float(params[0][0]), params[1], params[2], float(params[3][0, 0])
    gamma = stats.gamma(dof / 2, scale=2 / scatter)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    low, high = np.log(gamma.ppf(1e-14)), np.log(gamma.isf(1e-14))
    precision = np.exp(low + (high - low) * (nodes + 1) / 2)
    of_precision = weights * (high - low) / 2 * gamma.pdf(precision) * precision
    units = 9 * nodes
    of_mu = 9 * weights * stats.norm.pdf(units)
    mu = mean + units * (kappa * precision[:, None]) ** -0.5
    return float(of_precision @ function(mu, precision[:, None]) @ of_mu)


def dense_bound(
    z: np.ndarray,
    prior: NormalWishart,
    components: list[NormalWishart],
    sticks: list[tuple[float, float]],
    concentration: float,
) -> float:
    """The mean-field bound with the best q(c): every expectation and entropy on its own."""
    log_v = [psi(a) - psi(a + b) for a, b in sticks]
    log_rest = [psi(b) - psi(a + b) for a, b in sticks]
    log_weights = np.array([log_v[k] + sum(log_rest[:k]) for k in range(len(sticks))])
    log_joint = log_weights + [[expected_log_normal(row, c) for c in components] for row in z]
    resp = np.exp(log_joint - log_joint.max(1, keepdims=True))
    resp /= resp.sum(1, keepdims=True)
    entropy_c = stats.entropy(resp, axis=1).sum()
    expected_prior_v = sum(np.log(concentration) + (concentration - 1) * r for r in log_rest)
    entropy_v = sum(stats.beta(a, b).entropy() for a, b in sticks)
    of_components = sum(_component_terms(component, prior) for component in components)
    likelihood = (resp * log_joint).sum()
    return float(likelihood + entropy_c + expected_prior_v + entropy_v + of_components)


def _component_terms(component: NormalWishart, prior: NormalWishart) -> float:
    """E[log p(μ, Λ)] + H[q(μ, Λ)]."""
    (mean, kappa, dof, scatter), (mean_0, kappa_0, dof_0, scatter_0) = component, prior
    dim, log_det, scale = len(mean), expected_log_det(component), np.linalg.inv(scatter)
    shift = (mean - mean_0) @ scale @ (mean - mean_0)
    prior_mean = 0.5 * (
        log_det
        + dim * np.log(kappa_0 / (2 * np.pi))
        - dim * kappa_0 / kappa
        - kappa_0 * dof * shift
    )
    # scipy's density at Λ = 1 gives the Wishart's normaliser.
    wishart_0 = stats.wishart(dof_0, np.linalg.inv(scatter_0))
    log_normaliser = wishart_0.logpdf(np.eye(dim)) + 0.5 * np.trace(scatter_0)
    prior_precision = (
        log_normaliser + 0.5 * (dof_0 - dim - 1) * log_det - 0.5 * dof * np.trace(scatter_0 @ scale)
    )
    entropy_mean = 0.5 * (dim * (1 + np.log(2 * np.pi)) - dim * np.log(kappa) - log_det)
    return float(prior_mean + prior_precision + entropy_mean + stats.wishart(dof, scale).entropy())


def log_marginal(z: np.ndarray, prior: NormalWishart) -> float:
    """Log p(z) of one Gaussian component, as a chain of Student t predictives."""
    mean, kappa, dof, scatter = prior
    dim, total = len(mean), 0.0
    for row in z:
        free = dof - dim + 1
        shape = scatter * (kappa + 1) / (kappa * free)
        total += float(stats.multivariate_t(mean, shape, free).logpdf(row))
        shift = row - mean
        scatter = scatter + kappa / (kappa + 1) * np.outer(shift, shift)
        mean = (kappa * mean + row) / (kappa + 1)
        kappa, dof = kappa + 1, dof + 1
    return total


def log_evidence(
    z: np.ndarray, prior: NormalWishart, concentration: float, n_components: int
) -> float:
    """Log Σ_c p(c) p(z | c) over every assignment to the first ``n_components``."""
    terms = []
    for labels in product(range(n_components), repeat=len(z)):
        c = np.array(labels)
        log_joint = 0.0
        for k in range(n_components):
            later = (c > k).sum()
            log_joint += betaln(1 + (c == k).sum(), concentration + later)
            log_joint -= betaln(1, concentration)
            log_joint += log_marginal(z[c == k], prior)
        terms.append(log_joint)
    return float(np.logaddexp.reduce(terms))


def responsibility_bound(
    z: np.ndarray,
    resp: np.ndarray,
    prior: NormalWishart,
    concentration: float,
    weights: np.ndarray | float = 1.0,
) -> float:
    """B(R): the bound at responsibilities R [N, K], the best globals put in, rows weighted.

    Sums over the rows themselves: no statistics. Equal weights s are the tempering by s.
    """
    soft = resp * np.broadcast_to(weights, len(z))[:, None]
    counts = np.sort(soft.sum(0))[::-1]
    of_sticks = sum(
        betaln(1 + n, concentration + counts[k + 1 :].sum()) - betaln(1, concentration)
        for k, n in enumerate(counts)
    )
    of_components = sum(_soft_log_marginal(z, column, prior) for column in soft.T)
    return float(of_sticks + of_components + np.broadcast_to(weights, len(z)) @ _entropies(resp))


def _entropies(resp: np.ndarray) -> np.ndarray:
    return np.array([stats.entropy(row) for row in resp])


def _soft_log_marginal(z: np.ndarray, soft: np.ndarray, prior: NormalWishart) -> float:
    """Log ∫ ∏_n N(z_n | μ, Λ⁻¹)^{r_n} p(μ, Λ): the ratio of Normal-Wishart normalisers."""
    mean, kappa, dof, scatter = prior
    dim, n = len(mean), float(soft.sum())
    if n == 0:
        return 0.0
    average = soft @ z / n
    within = (soft[:, None] * (z - average)).T @ (z - average)
    shift = average - mean
    after = scatter + within + kappa * n / (kappa + n) * np.outer(shift, shift)
    return float(
        -0.5 * n * dim * np.log(np.pi)
        + 0.5 * dim * np.log(kappa / (kappa + n))
        + multigammaln(0.5 * (dof + n), dim)
        - multigammaln(0.5 * dof, dim)
        + 0.5 * dof * np.linalg.slogdet(scatter)[1]
        - 0.5 * (dof + n) * np.linalg.slogdet(after)[1]
    )


def accuracy_by_permutation(labels_true: np.ndarray, labels_pred: np.ndarray) -> float:
    """Best share of rows matched by any one-to-one renaming of clusters to classes."""
    classes, clusters = np.unique(labels_true), np.unique(labels_pred)
    names = [*classes, *[None] * len(clusters)]
    return max(
        float(np.mean([dict(zip(clusters, chosen, strict=False))[p] == t for t, p in pairs]))
        for pairs in [list(zip(labels_true, labels_pred, strict=True))]
        for chosen in permutations(names, len(clusters))
    )
