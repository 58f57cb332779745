"""Gaussian families: sufficient statistics T(z), conjugate update, E[log N], KL, evidence.

A covariance type is a class. It says which second moments it keeps and how the precision of
a component is distributed; everything that the types share is written once, in ``base``.
Each is the exact conjugate family; where scikit-learn's update for the type of the same name
differs, the class says how.

    ==================  ===========  =================  =========================================
    class               T(z)         F                  precision
    ==================  ===========  =================  =========================================
    FullCovariance      1, z, z zᵀ   1 + D + D(D+1)/2   a Wishart for each component
    TiedCovariance      1, z, z zᵀ   1 + D + D(D+1)/2   one Wishart that all components share
    DiagonalCovariance  1, z, z²     1 + 2 D            a Gamma for each component and feature
    SphericalCovariance 1, z, zᵀz    2 + D              a Gamma for each component
    ==================  ===========  =================  =========================================

Formulas: Bishop, Pattern Recognition and Machine Learning (2006), section 10.2 and appendix B,
and Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007).
"""

from dimix.mixture.families.base import GaussianFamily, NormalWishart
from dimix.mixture.families.diagonal import DiagonalCovariance
from dimix.mixture.families.full import FullCovariance
from dimix.mixture.families.spherical import SphericalCovariance
from dimix.mixture.families.tied import TiedCovariance

__all__ = [
    "DiagonalCovariance",
    "FullCovariance",
    "GaussianFamily",
    "NormalWishart",
    "SphericalCovariance",
    "TiedCovariance",
]
