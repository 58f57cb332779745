"""The models that are kept as saved models, so that a later version must still load them.

`python tests/saved_models.py` writes those of tests/saved that are not there yet. What is there
is never written again: it is what users of that version hold.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_blobs

import dimix
from deep_models import DEEP, fitted
from deep_models import rows as deep_rows

KEPT = Path(__file__).parent / "saved"
N_ROWS = 90


def rows() -> np.ndarray:
    """Three clusters in two dimensions."""
    X: np.ndarray = make_blobs(N_ROWS, 2, centers=3, cluster_std=0.6, random_state=0)[0]
    return X


def hierarchy() -> dimix.DirichletProcessGaussianMixture:
    """A fit with everything that a fit can have."""
    X = rows()
    return dimix.DirichletProcessGaussianMixture(
        5,
        coarsening="auto",
        weight_concentration_prior=(1.0, 1.0),
        mean_prior=X.mean(axis=0),
        covariance_prior=np.cov(X.T),
        moves=("merge", "delete"),
        random_state=0,
    ).fit(X)


def stream() -> dimix.DirichletProcessGaussianMixture:
    """A stream that can go on."""
    mixture = dimix.DirichletProcessGaussianMixture(4, covariance_type="diag", random_state=0)
    for block in np.split(rows(), 3):
        mixture.partial_fit(block)
    return mixture


MODELS = {"hierarchy": hierarchy, "stream": stream}


DEEP_ANSWERS = ("transform", "predict_proba", "score_samples")


def same(value: Any, other: Any) -> bool:
    """Equal to the bit, dataclasses and what they hold included."""
    if type(value) is not type(other):
        return False
    if isinstance(value, torch.Tensor | np.ndarray):
        one, two = np.asarray(value), np.asarray(other)
        alike = one.dtype == two.dtype and one.shape == two.shape
        return alike and np.array_equal(one, two, equal_nan=one.dtype != object)
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__
        return all(same(getattr(value, name), getattr(other, name)) for name in names)
    if isinstance(value, tuple | list):
        return len(value) == len(other) and all(map(same, value, other))
    return bool(value == other)


def main() -> None:
    """Write what is missing, each with the answers it gave."""
    _write_mixtures()
    _write_deep_models()


def _write_deep_models() -> None:
    X = deep_rows()
    for name in DEEP:
        folder, model = KEPT / f"{name}-1", fitted(name)
        if folder.exists():
            continue
        model.save(folder)
        answers = {ask: getattr(model, ask)(X) for ask in DEEP_ANSWERS if hasattr(model, ask)}
        np.savez(KEPT / f"{name}-1.npz", X=X, **answers)


def _write_mixtures() -> None:
    X = rows()
    for name, make in MODELS.items():
        folder, mixture = KEPT / f"{name}-1", make()
        if folder.exists():
            continue
        mixture.save(folder)
        np.savez(
            KEPT / f"{name}-1.npz",
            X=X,
            probabilities=mixture.predict_proba(X),
            scores=mixture.score_samples(X),
            samples=mixture.sample(20)[0],
        )


if __name__ == "__main__":
    main()
