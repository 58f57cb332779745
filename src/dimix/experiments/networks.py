"""The grid's networks: each trained once, in a folder of its own, and shared by its rows."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from dimix.estimators import GMVAE, VAE, Algorithm1, DeepEstimator
from dimix.experiments.problem import Problem
from dimix.experiments.rows import NetworkName
from dimix.metrics import clustering_scores
from dimix.models.algorithm1 import Gumbel
from dimix.training import LAST

PRETRAINING_SHARE = 0.7  # the paper's 70 of 100 epochs


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained estimator with what its rows share: the latents and one plane to draw them in."""

    estimator: DeepEstimator
    problem: Problem

    @cached_property
    def train_latents(self) -> NDArray[np.floating[Any]]:
        """Latent means of the training images, [N, D]."""
        return self.estimator.transform(self.problem.train.images)

    @cached_property
    def test_latents(self) -> NDArray[np.floating[Any]]:
        """Latent means of the test images, [N, D]."""
        return self.estimator.transform(self.problem.test.images)

    @cached_property
    def test_plane(self) -> NDArray[np.float32]:
        """Test latents in the first two principal components of the training latents, [N, 2]."""
        plane = PCA(2, random_state=0).fit(self.train_latents)
        xy: NDArray[np.float32] = plane.transform(self.test_latents).astype(np.float32)
        return xy


@dataclass(frozen=True)
class Workshop:
    """Trains the networks of one latent dimension and seed, each at most once."""

    problem: Problem
    folder: Path
    latent_dim: int
    seed: int
    epochs: int

    def network(self, name: NetworkName) -> TrainedNetwork:
        """Train the network, or load it if its checkpoint is that of its last epoch."""
        estimator = self._gmvae() if name == "gmvae" else self._plain(name)
        return TrainedNetwork(estimator, self.problem)

    def _plain(self, name: NetworkName) -> DeepEstimator:
        if name == "vae":
            return self._fit(VAE(**self._common(name)), name)
        if name == "algorithm1-pretrained":
            start = self._gmvae_start()
            return self._fit(Algorithm1(**self._common(name), pretrained=start), name)
        gumbel: Gumbel = "hard" if name == "algorithm1-hard" else "soft"
        return self._fit(Algorithm1(**self._common(name), gumbel=gumbel), name)

    def _gmvae_start(self) -> DeepEstimator:
        """The GMVAE after 70% of its epochs, kept because Algorithm 1 may start from it."""
        epochs = max(1, round(PRETRAINING_SHARE * self.epochs))
        return self._fit(GMVAE(**self._common("gmvae-start") | {"epochs": epochs}), "gmvae-start")

    def _gmvae(self) -> DeepEstimator:
        """The whole GMVAE: goes on from where its start stopped."""
        checkpoint = self.folder / "gmvae" / LAST
        if not checkpoint.exists():
            self._gmvae_start()
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            beside = checkpoint.with_suffix(".part")
            shutil.copy(self.folder / "gmvae-start" / LAST, beside)
            beside.replace(checkpoint)
        return self._fit(GMVAE(**self._common("gmvae")), "gmvae")

    def _common(self, name: str) -> dict[str, Any]:
        return {
            "latent_dim": self.latent_dim,
            "epochs": self.epochs,
            "random_state": self.seed,
            "checkpoint_dir": self.folder / name,
            "progress": f"{name} Z={self.latent_dim} seed={self.seed}",
        }

    def _fit(self, estimator: DeepEstimator, name: str) -> DeepEstimator:
        clusters = name != "vae"
        return estimator.fit(
            self.problem.train.images,
            X_val=self.problem.validation.images,
            scorer=self._validation_scores if clusters else None,
        )

    def _validation_scores(self, estimator: Any) -> dict[str, float]:
        validation = self.problem.validation
        scores = clustering_scores(validation.labels, estimator.predict(validation.images))
        return {
            "val_acc": scores.acc,
            "val_nmi": scores.nmi,
            "val_n_clusters": float(scores.n_clusters),
        }
