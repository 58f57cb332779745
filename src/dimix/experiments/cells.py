"""One cell of the table: its clusters scored, its arrays for the figures, its record."""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimix.estimators import DeepClusterer, DeepEstimator
from dimix.experiments.mixtures import LatentMixture, fit_mixture, heaviest_first
from dimix.experiments.networks import TrainedNetwork
from dimix.experiments.problem import Problem
from dimix.experiments.rows import Row
from dimix.metrics import clustering_scores
from dimix.records import Bundle
from dimix.training import Device, Ranks, resolve_precision

DRAWS, PICTURES, POINTS = 10, 10, 2000
PACKAGES = ("dimix", "torch", "lightning", "scikit-learn", "numpy", "scipy")
NOT_SETTINGS = ("checkpoint_dir", "logger", "pretrained", "progress", "random_state")
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row found: labels by split and what describes it."""

    train_labels: Labels
    test_labels: Labels
    bound: dict[str, float]
    settings: dict[str, Any]
    note: str = ""
    bundle: dict[str, Any] = field(default_factory=dict)

    def scores(self, problem: Problem) -> dict[str, dict[str, float]]:
        """Clustering scores by split."""
        return {
            "train": asdict(clustering_scores(problem.train.labels, self.train_labels)),
            "test": asdict(clustering_scores(problem.test.labels, self.test_labels)),
        }

    def full_bundle(self, network: TrainedNetwork, seed: int) -> Bundle:
        """The row's arrays and a map of some test latents, the same ones for every row."""
        labels = network.problem.test.labels
        some = np.random.default_rng(seed).permutation(len(labels))[:POINTS]
        return Bundle(
            map_xy=network.test_plane[some],
            map_labels=labels[some].astype(np.int16),
            map_clusters=self.test_labels[some].astype(np.int16),
            **self.bundle,
        )


def network_outcome(network: TrainedNetwork, seed: int) -> Outcome:
    """The row of a network by itself: its own clusters, or one for a VAE."""
    estimator, problem = network.estimator, network.problem
    train, test = problem.train.images, problem.test.images
    bundle = reconstructions(estimator, problem, seed)
    if isinstance(estimator, DeepClusterer):
        predict: Callable[[Any], Labels] = estimator.predict
        weights = estimator.cluster_weights()
        draws = [estimator.sample(DRAWS, k)[0] for k in heaviest_first(weights)]
        bundle["weights"] = np.sort(weights)[::-1]
        bundle["samples"] = to_bytes(np.stack(draws))
        note = ""
    else:
        predict = one_cluster
        bundle["samples"] = to_bytes(estimator.sample(DRAWS))[None]
        note = "one component: CS is 1 by definition and means nothing"
    return Outcome(
        predict(train),
        predict(test),
        {"train": estimator.score(train), "test": estimator.score(test)},
        network_settings(estimator),
        note,
        bundle,
    )


def mixture_outcome(row: Row, network: TrainedNetwork, seed: int) -> Outcome:
    """The row of a mixture fitted to a network's latents."""
    mixture = fit_mixture(row, network.train_latents, seed)
    score = mixture.score
    return Outcome(
        mixture.predict(network.train_latents),
        mixture.predict(network.test_latents),
        {}
        if score is None
        else {"train": score(network.train_latents), "test": score(network.test_latents)},
        network_settings(network.estimator) | {"mixture": mixture.settings},
        "" if score is None else "bound: mean log density of the latents",
        {
            "weights": np.sort(mixture.weights)[::-1],
            "samples": component_samples(mixture, network.estimator, seed),
        },
    )


def component_samples(
    mixture: LatentMixture, estimator: DeepEstimator, seed: int
) -> NDArray[np.uint8]:
    """Ten decoded draws from each component, heaviest first: [K, 10, H, W]."""
    rng = np.random.default_rng(seed)
    draws = [
        estimator.inverse_transform(mixture.sample(k, DRAWS, rng))
        for k in heaviest_first(mixture.weights)
    ]
    return to_bytes(np.stack(draws))


def reconstructions(estimator: DeepEstimator, problem: Problem, seed: int) -> dict[str, Any]:
    """Random test images before and after the network."""
    images = problem.test.images
    some = images[np.random.default_rng(seed).permutation(len(images))[:PICTURES]]
    return {"originals": some, "reconstructions": to_bytes(estimator.reconstruct(some))}


def one_cluster(images: NDArray[Any]) -> Labels:
    """Everything in one cluster: what a single Gaussian says."""
    return np.zeros(len(images), dtype=np.int64)


def to_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """[0, 1] to 0..255."""
    rounded: NDArray[np.uint8] = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8)
    return rounded


def network_settings(estimator: DeepEstimator) -> dict[str, Any]:
    """The estimator's parameters that shape the result."""
    device = torch.device(Ranks(estimator.device).accelerator)
    precision = resolve_precision(estimator.precision, device)
    settings = estimator.get_params(deep=False) | {"precision": precision}
    return {k: v for k, v in settings.items() if k not in NOT_SETTINGS}


def versions(device: Device = "cpu") -> dict[str, str]:
    """Python, packages, threads and GPU: what the last digits depend on besides the seed."""
    here = {"python": platform.python_version(), "threads": str(torch.get_num_threads())}
    if Ranks(device).accelerator == "cuda":
        here["gpu"] = torch.cuda.get_device_name()
    return here | {name: version(name) for name in PACKAGES}
