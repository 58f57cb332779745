"""The mixtures that are kept as saved models, so that a later version must still load them.

`python tests/saved_models.py` writes those of tests/saved that are not there yet. What is there
is never written again: it is what users of that version hold.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs

import dimix

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


def main() -> None:
    """Write what is missing, each with the answers it gave."""
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
