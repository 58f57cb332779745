"""Tied covariance: one Wishart precision that all components share."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from dimix.mixture.families.base import NormalWishart
from dimix.mixture.families.full import FullCovariance


class TiedCovariance(FullCovariance):
    """One covariance for all components: Λ ~ Wishart, μ_k | Λ ~ N(m, (κ Λ)⁻¹).

    T(z) is that of the full family. The parameters hold one ν ``[1]`` and one scatter
    ``[1, D, D]``, to which every component adds its rows and its spread. ``kl`` and
    ``log_evidence`` do not fall apart into components: they are one number ``[1]``.

    scikit-learn's "tied" is not the conjugate update: it adds to ν and to the scatter of the
    prior what the components add on average instead of in sum (N / T rows), so that its prior
    weighs T times as much. Its bound counts the normaliser of the Wishart T times.
    """

    def precision(self, params: NormalWishart) -> Float64[Tensor, "D D"]:
        """E[Λ] = ν W."""
        return super().precision(params)[0]

    def precision_cholesky(self, params: NormalWishart) -> Float64[Tensor, "D D"]:
        """Upper-triangular U with U Uᵀ = E[Λ]."""
        return super().precision_cholesky(params)[0]

    def covariance(self, params: NormalWishart) -> Float64[Tensor, "D D"]:
        """E[Λ]⁻¹ = scatter / ν."""
        return super().covariance(params)[0]

    def unseen(self, params: NormalWishart, prior: NormalWishart) -> NormalWishart:
        """The mean of the prior, with the precision that the rows of the others have taught."""
        return NormalWishart(
            prior.mean, prior.mean_precision, params.degrees_of_freedom, params.scatter
        )

    def merge_evidence(
        self,
        prior: NormalWishart,
        statistics: Float64[Tensor, "K F"],
        pairs: Int64[Tensor, "P 2"],
    ) -> Float64[Tensor, " P"]:
        """The change of ``log_evidence`` when the two rows of a pair become one.

        With u = Σ_n r_n (z_n - m₀), a component adds its second moments less u uᵀ / κ to the
        scatter. A merge thus changes the scatter by U C Uᵀ, U = [u_a, u_b], and the matrix
        determinant lemma gives every pair from one K by K product.
        """
        params = self.update(prior, statistics)
        kappa, kappa_0 = params.mean_precision, prior.mean_precision
        kappa_ab = kappa[pairs].sum(1) - kappa_0
        change = torch.diag_embed(1 / kappa[pairs]) - 1 / kappa_ab[:, None, None]
        u = (statistics[:, 1 : 1 + self.dim] - statistics[:, :1] * prior.mean).mT
        solved = torch.cholesky_solve(u, params.scatter_cholesky[0])
        determinant = torch.eye(2, dtype=torch.float64) + change @ _among(u.mT @ solved, pairs)
        of_means = self.dim * (kappa[pairs].log().sum(1) - (kappa_ab * kappa_0).log())
        gain: Tensor = of_means - params.degrees_of_freedom * torch.linalg.slogdet(determinant)[1]
        if self.reg_covar > 0:
            # The trace of the precision, which falls by the Woodbury formula.
            fall = torch.linalg.solve(determinant, change) * _among(solved.mT @ solved, pairs)
            ridge = self.reg_covar * statistics[:, 0].sum() * params.degrees_of_freedom
            gain = gain - ridge * fall.sum((1, 2))
        return 0.5 * gain

    def _pool(self, each: Float64[Tensor, "K *any"]) -> Float64[Tensor, "1 *any"]:
        """What the components add to the precision: all to the same."""
        return each.sum(0, keepdim=True)


def _among(
    products: Float64[Tensor, "K K"], pairs: Int64[Tensor, "P 2"]
) -> Float64[Tensor, "P 2 2"]:
    """The four products among the two of each pair."""
    return products[pairs[:, :, None], pairs[:, None, :]]
