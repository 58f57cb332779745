"""The infinite mixture of Gaussians: arrays in, arrays out, no network here.

The model is v_k ~ Beta(1, α), π_k = v_k ∏_{j<k} (1 - v_j), (μ_k, Λ_k) ~ Normal-Wishart,
c ~ π, z | c = k ~ N(μ_k, Λ_k⁻¹); it is fitted by mean-field q(v) q(μ, Λ) q(c) with
q(c > T) = 0. Whatever is asked of it is two matrix products and one closed-form update:

    logits      L = Φ ηᵀ         then  R = softmax(L)
    statistics  S = Rᵀ Φ         then  η ← update(prior, S)

Symbols, the same in every file (index order: row n, component k, feature d):

    ======  =========  ==========================================================
    symbol  shape      meaning
    ======  =========  ==========================================================
    x                  an observation; this package sees only its latent z
    z       [N, D]     latents, measured from the centre of the data
    c       [N]        component of each row
    v       [T]        stick fractions; v_T stays free
    π       [T]        weights
    μ, Λ    [T, D..]   mean and precision of each component
    r, R    [N, T]     responsibilities q(c)
    α                  concentration of the sticks
    T                  truncation: the most components there may be
    m, κ               mean of μ_k, and its precision in units of Λ_k
    ν, P               degrees of freedom of Λ_k, and W⁻¹, the inverse scale matrix ("scatter")
    Φ       [N, F]     E_q[T(z)], the expected sufficient statistics of each row
    η       [T, F]     expected natural parameters, E[log π] in the first column
    S       [T, F]     statistics of each component; the first column counts rows
    L       [N, T]     logits: E[log π_k + log N(z_n | μ_k, Λ_k)]
    ======  =========  ==========================================================

All parameters and statistics are float64; Φ, L and R have the dtype of the data.
"""

from dimix.mixture.concentration import GammaConcentration
from dimix.mixture.descent import Clusters, build_hierarchy
from dimix.mixture.estimator.dirichlet_process import DirichletProcessGaussianMixture
from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
)
from dimix.mixture.hierarchy import Hierarchy
from dimix.mixture.inference.batch import FitResult, collect, fit_batch, sweep
from dimix.mixture.inference.blocks import Blocks, blocks_of
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.inference.memoized import fit_memoized
from dimix.mixture.inference.stochastic import StochasticState, stochastic_step
from dimix.mixture.moves.search import MOVES, Move, improve
from dimix.mixture.posterior import Bound, MixturePosterior, MixturePrior, by_size, update
from dimix.mixture.sticks import Sticks

__all__ = [
    "MOVES",
    "Blocks",
    "Bound",
    "Clusters",
    "DiagonalCovariance",
    "DirichletProcessGaussianMixture",
    "FeatureChunks",
    "FitResult",
    "FullCovariance",
    "GammaConcentration",
    "GaussianFamily",
    "Hierarchy",
    "MixturePosterior",
    "MixturePrior",
    "Move",
    "NormalWishart",
    "SphericalCovariance",
    "Sticks",
    "StochasticState",
    "TiedCovariance",
    "blocks_of",
    "build_hierarchy",
    "by_size",
    "collect",
    "fit_batch",
    "fit_memoized",
    "improve",
    "stochastic_step",
    "sweep",
    "update",
]
