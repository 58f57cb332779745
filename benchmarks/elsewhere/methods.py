"""What clusters a data set: ours by default, and three plain methods beside it.

Of some images, also ours with a pre-training that is bound by all of N(0, I), and trained longer.

Labels only score. K-means and the finite mixture are told the number of classes; the others
are not.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
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


def infinite(data: DataSet, seed: int, **parameters: float) -> Any:
    return DeepInfiniteMixture(random_state=seed, progress=False, **parameters)


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
WHOLLY: Mapping[str, float] = {"pretrain_prior_weight": 1.0}
LONGER: Mapping[str, float] = {"pretrain_epochs": 350, "epochs": 370}
OURS_WHOLLY, OURS_LONGER = (
    f"{OURS}, {', '.join(f'{name}={value}' for name, value in parameters.items())}"
    for parameters in (WHOLLY, LONGER)
)
METHODS: Mapping[str, Callable[[DataSet, int], Any]] = {
    OURS: infinite,
    OURS_WHOLLY: partial(infinite, **WHOLLY),
    OURS_LONGER: partial(infinite, **LONGER),
    "DirichletProcessGaussianMixture, 10 PCs": mixture,
    "GaussianMixture, 10 PCs, K known": finite_mixture,
    "KMeans, K known": k_means,
}
ON_SOME: Mapping[str, tuple[str, ...]] = {
    OURS_WHOLLY: ("mnist-5k", "digits", "characters"),
    OURS_LONGER: ("characters",),
}
"""The data sets of methods that are not for all."""


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
