"""The grid's networks: each trained once, in a folder of its own, and shared by its rows."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from dimix.estimators import (
    GMVAE,
    VAE,
    Algorithm1,
    DeepClusterer,
    DeepEstimator,
    DeepInfiniteMixture,
)
from dimix.experiments.problem import Problem, Split
from dimix.experiments.rows import NetworkName
from dimix.metrics import clustering_scores
from dimix.models.algorithm1 import Gumbel
from dimix.training import LAST, Device, DivergedError

PRETRAINING_SHARE = 0.7  # the paper's 70 of 100 epochs


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained estimator with what its rows share: the latents and one plane to draw them in.

    note: what there is to say of the training, such as that it diverged.
    seconds: of the fit; of one that went on with an earlier run's, its epochs' at the least.
    """

    estimator: DeepEstimator
    problem: Problem
    note: str = ""
    seconds: float = 0.0

    @cached_property
    def train_latents(self) -> NDArray[np.float64]:
        """Latent means of the training images, [N, D]."""
        return self._latents(self.problem.train)

    @cached_property
    def test_latents(self) -> NDArray[np.float64]:
        """Latent means of the test images, [N, D]."""
        return self._latents(self.problem.test)

    def _latents(self, split: Split) -> NDArray[np.float64]:
        # float64: at Z = 64 most latents are unused and have next to no variance
        return self.estimator.transform(split.images).astype(np.float64)

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
    device: Device = "cpu"

    def network(self, name: NetworkName) -> TrainedNetwork:
        """Train the network, or load it if its checkpoint is that of its last epoch."""
        if name == "vae":
            return self._fit(VAE(**self._common(name)))
        if name == "gmvae":
            return self._gmvae()
        if name in ("infinite", "infinite-k10"):
            return self._infinite(name)
        if name == "algorithm1-pretrained":
            start = self._gmvae_start().estimator
            return self._fit(Algorithm1(**self._common(name), pretrained=start))
        gumbel: Gumbel = "hard" if name == "algorithm1-hard" else "soft"
        return self._fit(Algorithm1(**self._common(name), gumbel=gumbel))

    def _infinite(self, name: NetworkName) -> TrainedNetwork:
        """Our own model, at its defaults, its numbers of epochs among them.

        The pre-training is the same whether K is known or not: the second takes the first's.
        """
        n_clusters = 10 if name == "infinite-k10" else None
        other = "infinite" if name == "infinite-k10" else "infinite-k10"
        self._go_on_from(f"{other}/pretraining", f"{name}/pretraining")
        own = self._common(name) | {"epochs": None}
        return self._fit(DeepInfiniteMixture(**own, n_clusters=n_clusters))

    def _gmvae_start(self) -> TrainedNetwork:
        """The GMVAE after 70% of its epochs, kept because Algorithm 1 may start from it."""
        epochs = max(1, round(PRETRAINING_SHARE * self.epochs))
        return self._fit(GMVAE(**self._common("gmvae-start") | {"epochs": epochs}))

    def _gmvae(self) -> TrainedNetwork:
        """The whole GMVAE: goes on from where its start stopped."""
        if not (self.folder / "gmvae" / LAST).exists():
            self._gmvae_start()
            self._go_on_from("gmvae-start", "gmvae")
        return self._fit(GMVAE(**self._common("gmvae")))

    def _go_on_from(self, one: str, other: str) -> None:
        """Copy the checkpoint of one training, if there is one, to another that has none."""
        source, checkpoint = (self.folder / name / LAST for name in (one, other))
        if checkpoint.exists() or not source.exists():
            return
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        beside = checkpoint.with_suffix(".part")
        shutil.copy(source, beside)
        beside.replace(checkpoint)

    def _common(self, name: str) -> dict[str, Any]:
        return {
            "latent_dim": self.latent_dim,
            "likelihood": "bernoulli",
            "epochs": self.epochs,
            "device": self.device,
            "random_state": self.seed,
            "checkpoint_dir": self.folder / name,
            "progress": f"{name} Z={self.latent_dim} seed={self.seed}",
        }

    def _fit(self, estimator: DeepEstimator) -> TrainedNetwork:
        """Fit; one of the paper's that diverges is left as it was after its last good epoch."""
        started, note = perf_counter(), ""
        try:
            self._fit_on_images(estimator)
        except DivergedError as error:
            if error.good_epochs == 0 or isinstance(estimator, DeepInfiniteMixture):
                raise
            note = str(error)
            self._fit_on_images(estimator.set_params(epochs=error.good_epochs))
        epochs = sum(row["seconds"] for row in estimator.history_)
        seconds = max(perf_counter() - started, epochs)
        return TrainedNetwork(estimator, self.problem, note, seconds)

    def _fit_on_images(self, estimator: DeepEstimator) -> DeepEstimator:
        clusters = isinstance(estimator, DeepClusterer)
        return estimator.fit(
            self.problem.train.images,
            X_val=self.problem.validation.images,
            scorer=self._validation_scores if clusters else None,
        )

    def _validation_scores(self, estimator: Any) -> dict[str, float]:
        images, labels = self.problem.validation.images, self.problem.validation.labels
        scores = clustering_scores(labels, estimator.predict(images))
        return {
            "val_latent_sd": float(estimator.transform(images).std()),
            "val_acc": scores.acc,
            "val_nmi": scores.nmi,
            "val_n_clusters": float(scores.n_clusters),
        }
