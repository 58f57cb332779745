"""What clusters a data set: ours by default, and three plain methods beside it.

Of some images, also ours with a pre-training that is bound less to N(0, I).

Labels only score. K-means and the finite mixture are told the number of classes; the other two
are not.
"""

import warnings
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
from benchmarks.elsewhere.data import DataSet
from benchmarks.record import Case, rounded
from benchmarks.scores import scores
from jaxtyping import Float, Shaped
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from dimix import DeepInfiniteMixture, DirichletProcessGaussianMixture

COMPONENTS = 10
"""Principal components of the mixtures' rows, as many as the deep model has latents, or columns."""
LIGHT = 0.25
"""Weight of the prior in a pre-training on images where 1 is the default."""


def infinite(data: DataSet, seed: int) -> Any:
    return DeepInfiniteMixture(random_state=seed, progress=False)


def infinite_lightly(data: DataSet, seed: int) -> Any:
    return infinite(data, seed).set_params(pretrain_prior_weight=LIGHT)


def mixture(data: DataSet, seed: int) -> Any:
    model = DirichletProcessGaussianMixture(50, coarsening="auto", random_state=seed)
    return make_pipeline(components(data, seed), model)


def finite_mixture(data: DataSet, seed: int) -> Any:
    model = GaussianMixture(n_classes(data), n_init=10, random_state=seed)
    return make_pipeline(components(data, seed), model)


def k_means(data: DataSet, seed: int) -> Any:
    return KMeans(n_classes(data), n_init=10, random_state=seed)


def n_classes(data: DataSet) -> int:
    return len(np.unique(data.train_labels))


def components(data: DataSet, seed: int) -> PCA:
    return PCA(min(COMPONENTS, *flat(data.train).shape), random_state=seed)


OURS = "DeepInfiniteMixture"
OURS_LIGHTLY = f"{OURS}, pretrain_prior_weight={LIGHT}"
METHODS: Mapping[str, Callable[[DataSet, int], Any]] = {
    OURS: infinite,
    OURS_LIGHTLY: infinite_lightly,
    "DirichletProcessGaussianMixture, 10 PCs": mixture,
    "GaussianMixture, 10 PCs, K known": finite_mixture,
    "KMeans, K known": k_means,
}
ON_SOME: Mapping[str, tuple[str, ...]] = {OURS_LIGHTLY: ("mnist-5k", "digits", "characters")}
"""The data sets of a method that is not for all."""


def case(method: str, data: DataSet, seed: int) -> Case:
    """Scores of one fit on the rows it saw and on those held out, and its seconds."""
    deep = method.startswith(OURS)
    train, test = (X if deep else flat(X) for X in (data.train, data.test))
    model = METHODS[method](data, seed)
    started = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train)
    seconds = perf_counter() - started
    scored = {"train": (train, data.train_labels), "test": (test, data.test_labels)}
    return {
        "rows": len(train),
        "shape": list(data.train.shape[1:]),
        "classes": n_classes(data),
        "seconds": rounded(seconds, 3),
        **{part: scores(model.predict(X), labels) for part, (X, labels) in scored.items()},
    }


def flat(X: Shaped[np.ndarray, "N *shape"]) -> Float[np.ndarray, "N P"]:
    """Rows of numbers; bytes as shares of 255."""
    scale = 255 if X.dtype == np.uint8 else 1
    return X.reshape(len(X), -1).astype(np.float64) / scale
