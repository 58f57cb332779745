"""Where a fit starts: responsibilities by scikit-learn's names and draws, or an earlier fit."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from dimix.mixture.gaps.diagonal import mean_imputed
from dimix.mixture.inference.batch import collect
from dimix.mixture.inference.chunks import FeatureChunks
from dimix.mixture.posterior import MixturePosterior, MixturePrior, by_size, update
from dimix.mixture.sticks import Sticks

Start = Callable[[Float[np.ndarray, "N D"], int, np.random.RandomState], Float[np.ndarray, "N K"]]


def kmeans(
    z: Float[np.ndarray, "N D"], n_components: int, rng: np.random.RandomState
) -> Float[np.ndarray, "N K"]:
    """Each row wholly in its K-means cluster."""
    with warnings.catch_warnings():
        # Fewer distinct rows than components is no fault here: the rest stay empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = KMeans(min(n_components, len(z)), n_init=1, random_state=rng).fit(z).labels_
    return _one_hot(np.arange(len(z)), labels, z, n_components)


def kmeans_plus_plus(
    z: Float[np.ndarray, "N D"], n_components: int, rng: np.random.RandomState
) -> Float[np.ndarray, "N K"]:
    """One row a component, drawn by k-means++; all other rows in none."""
    _, rows = kmeans_plusplus(z, min(n_components, len(z)), random_state=rng)
    return _one_hot(rows, np.arange(len(rows)), z, n_components)


def random_rows(
    z: Float[np.ndarray, "N D"], n_components: int, rng: np.random.RandomState
) -> Float[np.ndarray, "N K"]:
    """One row a component, drawn uniformly; all other rows in none."""
    rows = rng.choice(len(z), size=min(n_components, len(z)), replace=False)
    return _one_hot(rows, np.arange(len(rows)), z, n_components)


def random(
    z: Float[np.ndarray, "N D"], n_components: int, rng: np.random.RandomState
) -> Float[np.ndarray, "N K"]:
    """Uniform draws, scaled so that each row sums to one."""
    draws: Float[np.ndarray, "N K"] = rng.uniform(size=(len(z), n_components)).astype(z.dtype)
    draws /= draws.sum(axis=1, keepdims=True)
    return draws


STARTS: dict[str, Start] = {
    "kmeans": kmeans,
    "k-means++": kmeans_plus_plus,
    "random": random,
    "random_from_data": random_rows,
}


def _one_hot(
    rows: np.ndarray, labels: np.ndarray, z: Float[np.ndarray, "N D"], n_components: int
) -> Float[np.ndarray, "N K"]:
    responsibilities = np.zeros((len(z), n_components), dtype=z.dtype)
    responsibilities[rows, labels] = 1
    return responsibilities


def start_from(
    chunks: FeatureChunks,
    prior: MixturePrior,
    *,
    kind: str,
    n_start: int,
    n_components: int,
    rng: np.random.RandomState,
    reorder: bool = True,
) -> MixturePosterior:
    """The posterior of starting responsibilities of ``n_start`` components, the rest empty.

    ``kind`` is a name in ``STARTS``. Where values are missing, the draws see the mean of their
    column.
    """
    z = mean_imputed(chunks.z)[0].numpy() if bool(chunks.z.isnan().any()) else chunks.z.numpy()
    statistics = collect(chunks, torch.from_numpy(STARTS[kind](z, n_start, rng)))
    if reorder:
        statistics = by_size(statistics)
    empty = statistics.new_zeros(n_components - n_start, statistics.shape[1])
    return update(prior, torch.cat([statistics, empty]))


def carried_over(posterior: MixturePosterior, prior: MixturePrior) -> MixturePosterior:
    """A mixture as the start of another fit: under its prior, measured from its centre."""
    components = posterior.components
    shift = posterior.prior.centre - prior.centre
    counts = posterior.counts
    return MixturePosterior(
        prior,
        Sticks.from_counts(counts, prior.concentration),
        replace(components, mean=components.mean + shift),
    )
