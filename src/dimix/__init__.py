"""Deep Infinite MIXtures: variational autoencoders whose latent is a mixture that finds its K."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what tools see; at run time each name is imported at its first use
    from dimix.estimators import GMVAE, VAE, Algorithm1, DeepInfiniteMixture
    from dimix.mixture import DirichletProcessGaussianMixture
    from dimix.persistence import load
    from dimix.summary import write_report

__version__ = version("dimix")
__all__ = [
    "GMVAE",
    "VAE",
    "Algorithm1",
    "DeepInfiniteMixture",
    "DirichletProcessGaussianMixture",
    "__version__",
    "load",
    "write_report",
]

_HOMES = {
    "GMVAE": "dimix.estimators",
    "VAE": "dimix.estimators",
    "Algorithm1": "dimix.estimators",
    "DeepInfiniteMixture": "dimix.estimators",
    "DirichletProcessGaussianMixture": "dimix.mixture",
    "load": "dimix.persistence",
    "write_report": "dimix.summary",
}
"""The module of each public name: PyTorch and Lightning take seconds that a name may not need."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
