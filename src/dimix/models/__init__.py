"""Generative models, one a file; each maps a batch x [B, P] to an `Objective`."""

from dimix.models.algorithm1 import Algorithm1
from dimix.models.gmvae import GMVAE
from dimix.models.infinite import DeepInfiniteMixture
from dimix.models.objective import Model, Objective, bound
from dimix.models.vae import VAE

__all__ = ["GMVAE", "VAE", "Algorithm1", "DeepInfiniteMixture", "Model", "Objective", "bound"]
