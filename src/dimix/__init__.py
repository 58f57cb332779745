"""Deep Infinite MIXtures: variational autoencoders whose latent is a mixture that finds its K."""

from importlib.metadata import version

from dimix.estimators import GMVAE, VAE, Algorithm1
from dimix.mixture import DirichletProcessGaussianMixture

__version__ = version("dimix")
__all__ = ["GMVAE", "VAE", "Algorithm1", "DirichletProcessGaussianMixture", "__version__"]
