"""The pictures of the pages, drawn from data and records by the code of today.

    python docs/figures.py            draw docs/figures/*.png again

Two are of mixtures that the pages' own examples fit, one of a recorded run.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Ellipse
from scipy.cluster.hierarchy import dendrogram
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from dimix import DirichletProcessGaussianMixture
from dimix.records import read_cell
from dimix.report.figures import component_labels
from dimix.report.plots import image_panel

RECORD = Path(__file__).parent.parent / "results/infinite-mnist/cells/z10-seed1/infinite"
FOLDER = Path(__file__).parent / "figures"
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
GREY = "#555555"


def bananas() -> tuple[np.ndarray, DirichletProcessGaussianMixture]:
    """Three clusters, two of them bent, so that each of these takes several Gaussians."""
    rng = np.random.default_rng(0)
    bent = []
    for centre, turn in (((0, 0), 1), ((8, 0), -1)):
        angle, radius = rng.uniform(-0.9, 0.9, 800), rng.normal(3, 0.3, 800)
        arc = np.column_stack([radius * np.sin(angle), turn * (3 - radius * np.cos(angle))])
        bent.append(arc + centre)
    X = np.concatenate([*bent, rng.normal((4, -2.5), 0.6, (400, 2))])
    mixture = DirichletProcessGaussianMixture(20, coarsening="auto", random_state=0)
    return X, mixture.fit(X)


def digits() -> tuple[np.ndarray, np.ndarray, DirichletProcessGaussianMixture]:
    """scikit-learn's 8 by 8 digits in 16 principal components."""
    images = load_digits().images
    Z = PCA(16, random_state=0).fit_transform(images.reshape(len(images), -1))
    mixture = DirichletProcessGaussianMixture(30, coarsening="auto", random_state=0)
    return images, Z, mixture.fit(Z)


def draw_components(axes: Axes, X: np.ndarray, mixture: DirichletProcessGaussianMixture) -> None:
    """Rows by cluster, and each component with rows as its ellipse of two deviations."""
    labels = mixture.predict(X)
    axes.scatter(*X.T, s=4, c=[COLOURS[label] for label in labels], alpha=0.5, linewidths=0)
    for k in mixture.hierarchy_.leaves:
        values, vectors = np.linalg.eigh(mixture.covariances_[k])
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        width, height = 4 * np.sqrt(values[::-1])
        colour = COLOURS[mixture.component_labels_[k]]
        axes.add_patch(
            Ellipse(mixture.means_[k], width, height, angle=angle, fill=False, ec=colour, lw=1.5)
        )
        axes.annotate(str(k), mixture.means_[k], ha="center", va="center", weight="bold")
    axes.set(aspect="equal", xticks=[], yticks=[])


def draw_tree(axes: Axes, mixture: DirichletProcessGaussianMixture) -> list[int]:
    """The merge tree and where "auto" cuts it; the components from left to right."""
    tree, gap = mixture.hierarchy_, mixture.hierarchy_.gap
    drawn = dendrogram(
        tree.linkage,
        ax=axes,
        labels=[str(k) for k in tree.leaves],
        color_threshold=0,
        above_threshold_color=GREY,
    )
    low, high = (np.log(tree.n_rows / n_eff) for n_eff in (gap.n_eff_high, gap.n_eff_low))
    axes.axhspan(low, high, color=COLOURS[0], alpha=0.15, lw=0)
    axes.set(ylabel="log(N / N_eff)", ylim=(0, 1.1 * max(tree.heights[-1], high)))
    axes.text(
        0.005, (low + high) / 2, f"{gap.n_clusters} clusters", transform=axes.get_yaxis_transform(),
        va="center", color=COLOURS[0], weight="bold", bbox={"fc": "white", "lw": 0, "alpha": 0.8},
    )  # fmt: skip
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    return [int(tree.leaves[leaf]) for leaf in drawn["leaves"]]


def draw_mixture(file: Path) -> None:
    """Left the rows and their components, right the tree that makes clusters of these."""
    X, mixture = bananas()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 3.2), width_ratios=(3, 2), layout="constrained"
    )
    draw_components(left, X, mixture)
    draw_tree(right, mixture)
    right.set_xlabel("component")
    save(figure, file)


def draw_digits(file: Path) -> None:
    """The tree of the digits, below each leaf the mean image of its component."""
    images, Z, mixture = digits()
    figure, axes = plt.subplots(figsize=(9, 4))
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.11, top=0.99)
    order = draw_tree(axes, mixture)
    axes.set_xticks([])
    shares = mixture.predict_components_proba(Z)
    for i, k in enumerate(order):
        mean = np.average(images, axis=0, weights=shares[:, k])
        box = OffsetImage(mean, zoom=2.6, cmap="gray_r", interpolation="nearest")
        place = (10 * i + 5, 0)  # where scipy's dendrogram has its leaves
        axes.add_artist(
            AnnotationBbox(box, place, xybox=(0, -16), boxcoords="offset points", frameon=False)
        )
    save(figure, file)


def draw_samples(file: Path, record: Path = RECORD) -> None:
    """Ten samples from each cluster of the deep infinite mixture on MNIST, and its share."""
    bundle = read_cell(record).bundle
    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    image_panel(axes, bundle.samples, component_labels(len(bundle.samples), bundle.weights))
    save(figure, file)


def save(figure: plt.Figure, file: Path) -> None:
    """Write a picture that is the same each time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    draw_mixture(FOLDER / "mixture.png")
    draw_digits(FOLDER / "digits-tree.png")
    draw_samples(FOLDER / "mnist-samples.png")
