"""Tiny deep models of every class, fitted once for all tests that only look at them."""

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import make_blobs

import dimix
from dimix.nets import MLP

QUICK: dict[str, Any] = {
    "latent_dim": 2,
    "architecture": MLP((6,)),
    "epochs": 3,
    "batch_size": 30,
    "learning_rate": 1e-2,
    "random_state": 0,
    "progress": False,
}
DEEP: dict[str, dict[str, Any]] = {
    "VAE": {},
    "GMVAE": {"n_components": 3, "w_dim": 1},
    "Algorithm1": {"n_components": 3},
    "DeepInfiniteMixture": {"n_components": 6, "pretrain_epochs": 60, "n_clusters": 3},
}
"""The classes, and what each is given besides ``QUICK``."""


def rows() -> np.ndarray:
    """Three clusters in three dimensions."""
    X = make_blobs(120, 3, centers=3, cluster_std=0.4, random_state=0)[0]
    scaled: np.ndarray = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    return scaled


def fitted(name: str, **given: Any) -> Any:
    """A fitted model of a class; a copy, so that tests may change it."""
    return deepcopy(_fitted(name, **given))


def of_some_latents() -> Any:
    """A flagship that has more latents than its mixture is of."""
    return fitted("DeepInfiniteMixture", latent_dim=5, mixture_dim=2)


@cache
def _fitted(name: str, **given: Any) -> Any:
    return getattr(dimix, name)(**QUICK | DEEP[name] | given).fit(rows())
