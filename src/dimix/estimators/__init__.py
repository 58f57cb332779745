"""The deep models behind fit / transform / predict / sample."""

from dimix.estimators.algorithm1 import Algorithm1
from dimix.estimators.base import DeepEstimator
from dimix.estimators.clusterer import DeepClusterer
from dimix.estimators.gmvae import GMVAE
from dimix.estimators.infinite import DeepInfiniteMixture
from dimix.estimators.vae import VAE

__all__ = ["GMVAE", "VAE", "Algorithm1", "DeepClusterer", "DeepEstimator", "DeepInfiniteMixture"]
