"""The data sets of the benchmarks: scikit-learn's real ones, and drawn shapes."""

from collections.abc import Callable

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

Draw = Callable[[np.random.RandomState], np.ndarray]


def clusters(
    rng: np.random.RandomState, sizes: list[int], dim: int, spread: float = 8.0
) -> np.ndarray:
    """Gaussians of random full covariance, means ``spread`` standard deviations apart or so."""
    parts = []
    for size in sizes:
        factor = random_axes(rng, dim)
        mean = rng.normal(size=dim) * spread / np.sqrt(2 * dim)
        parts.append(mean + rng.normal(size=(size, dim)) @ factor.T)
    return rng.permutation(np.concatenate(parts))


def random_axes(rng: np.random.RandomState, dim: int) -> np.ndarray:
    """Orthogonal columns, 0.5 to 1.5 long: a factor of a random covariance."""
    return np.asarray(np.linalg.qr(rng.normal(size=(dim, dim)))[0] * rng.uniform(0.5, 1.5, dim))


def _standard(x: np.ndarray) -> np.ndarray:
    return np.asarray(StandardScaler().fit_transform(x))


def _pca(x: np.ndarray, dim: int) -> np.ndarray:
    return np.asarray(PCA(dim, random_state=0).fit_transform(x))


def _pixels(name: str) -> Draw:
    """Colours of 2,000 pixels of a photograph, on a scale of 0 to 1."""

    def draw(rng: np.random.RandomState) -> np.ndarray:
        pixels = datasets.load_sample_image(name).reshape(-1, 3) / 255
        return pixels[rng.choice(len(pixels), 2000, replace=False)]

    return draw


def _heavy_tails(rng: np.random.RandomState) -> np.ndarray:
    x = clusters(rng, [400, 300, 200], 3, spread=15)
    return x + rng.standard_t(2.5, size=x.shape)


def _nested(rng: np.random.RandomState) -> np.ndarray:
    wide, narrow = 3 * rng.normal(size=(700, 2)), 0.3 * rng.normal(size=(300, 2))
    return np.concatenate([wide, narrow])


def _with_outliers(rng: np.random.RandomState) -> np.ndarray:
    return np.concatenate([clusters(rng, [300] * 3, 2), rng.uniform(-40, 40, size=(30, 2))])


def _spiral(rng: np.random.RandomState) -> np.ndarray:
    turn = rng.uniform(0, 4 * np.pi, 1200)
    curve = np.column_stack([turn * np.cos(turn), turn * np.sin(turn)])
    return curve + 0.3 * rng.normal(size=curve.shape)


DATA_SETS: dict[str, Draw] = {
    "iris": lambda rng: datasets.load_iris().data,
    "wine": lambda rng: _standard(datasets.load_wine().data),
    "breast cancer, 10 PCs": lambda rng: _pca(_standard(datasets.load_breast_cancer().data), 10),
    "diabetes": lambda rng: _standard(datasets.load_diabetes().data),
    "digits, 10 PCs": lambda rng: _pca(datasets.load_digits().data, 10),
    "digits, 20 PCs": lambda rng: _pca(datasets.load_digits().data, 20),
    "china.jpg, colours": _pixels("china.jpg"),
    "flower.jpg, colours": _pixels("flower.jpg"),
    "blobs, D=2": lambda rng: clusters(rng, [200] * 6, 2),
    "blobs, D=8, unequal": lambda rng: clusters(rng, [600, 300, 150, 80, 40, 20], 8),
    "blobs, D=16": lambda rng: clusters(rng, [150] * 8, 16),
    "overlapping blobs": lambda rng: clusters(rng, [200] * 6, 4, spread=3),
    "moons": lambda rng: datasets.make_moons(1000, noise=0.08, random_state=rng)[0],
    "circles": lambda rng: datasets.make_circles(1000, noise=0.05, factor=0.5, random_state=rng)[0],
    "swiss roll": lambda rng: datasets.make_swiss_roll(1500, noise=0.3, random_state=rng)[0],
    "spiral": _spiral,
    "uniform square": lambda rng: rng.uniform(size=(1000, 2)),
    "heavy tails": _heavy_tails,
    "small in large, with outliers": lambda rng: np.concatenate(
        [_nested(rng), _with_outliers(rng)]
    ),
    "duplicated rows": lambda rng: np.repeat(clusters(rng, [60] * 4, 3), 5, axis=0),
}
"""Twenty data sets of at most 2,000 rows; what is drawn is drawn from the generator given."""
