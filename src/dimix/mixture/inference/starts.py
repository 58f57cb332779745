"""Starting responsibilities, by scikit-learn's names and with its random draws."""

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

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
