"""Autoencoder, UMAP, infinite mixture: cheap and strong, and each step blind to the next.

UMAP is installed by pip into a virtual environment of its own, thrown away afterwards: nothing of
ours needs it. As is usual for clustering (McConville and others 2021, "N2D"), 20 neighbours and
no minimal distance; of the mixture the prior is scikit-learn's.
"""

import subprocess
import tempfile
import venv
from pathlib import Path

import numpy as np
from benchmarks.baselines.autoencoder import autoencoder, latents
from jaxtyping import Float, Int64
from torch import Tensor

from dimix import DirichletProcessGaussianMixture

PACKAGE, DIMENSIONS = "umap-learn==0.5.12", 10
SCRIPT = f"""
import numpy as np, sys, umap
seed, (train, test) = int(sys.argv[1]), (np.load("train.npy"), np.load("test.npy"))
model = umap.UMAP(n_components={DIMENSIONS}, n_neighbors=20, min_dist=0.0, random_state=seed)
np.save("train_umap.npy", model.fit_transform(train))
np.save("test_umap.npy", model.transform(test))
"""


def autoencoder_umap_mixture(
    train: Float[Tensor, "N P"], test: Float[Tensor, "M P"], seed: int
) -> Int64[np.ndarray, " M"]:
    """Labels of the test rows."""
    networks = autoencoder(train, seed)
    near, near_test = through_umap(latents(networks, train), latents(networks, test), seed)
    mixture = DirichletProcessGaussianMixture(
        50, coarsening="auto", random_state=seed, covariance_prior="empirical"
    )
    return mixture.fit(near).predict(near_test)


def through_umap(
    train: Float[np.ndarray, "N D"], test: Float[np.ndarray, "M D"], seed: int
) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "M E"]]:
    """UMAP fitted to the first, and what it makes of both."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        venv.create(folder / "env", with_pip=True)
        python = str(folder / "env" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        np.save(folder / "train.npy", train)
        np.save(folder / "test.npy", test)
        subprocess.run([python, "-c", SCRIPT, str(seed)], cwd=folder, check=True)
        made = np.load(folder / "train_umap.npy"), np.load(folder / "test_umap.npy")
    return made
