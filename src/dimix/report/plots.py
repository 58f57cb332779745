"""Plot helpers: each draws one kind of panel on matplotlib axes and returns them.

They take arrays and know neither cells nor files; `figures` decides what is drawn from what.
Those whose names begin with `plot_` are for users: axes may be left out, and pyplot's current
ones are then drawn on.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from scipy.cluster.hierarchy import dendrogram

from dimix.records import Move

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#6b7280",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 110,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.parse_math": False,  # a row's name is text, whatever it contains
}

# Ten colours chosen to be told apart with any colour vision: M. A. Petroff, "Accessible color
# sequences for data visualization", arXiv:2107.02270.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
# A row keeps its colour and its marker in every figure; rows seldom seen together share a colour.
ROW_STYLES = {
    "vae": ("#3f90da", "o"),
    "gmvae": ("#e76300", "s"),
    "algorithm1-soft": ("#832db6", "^"),
    "algorithm1-hard": ("#bd1f01", "v"),
    "algorithm1-pretrained": ("#717581", "D"),
    "infinite": ("#bd1f01", "*"),
    "infinite-k10": ("#92dadd", "h"),
    "vae+kmeans": ("#94a4a2", "X"),
    "vae+gmm": ("#ffa90e", "P"),
    "vae+dpgmm": ("#3f90da", "o"),
    "vae+dpgmm-50": ("#3f90da", "o"),
    "gmvae+dpgmm": ("#a96b59", "s"),
    "gmvae+dpgmm-50": ("#a96b59", "s"),
}
OTHER_STYLE = ("#111827", "*")
# Clusters of one class share its colour in these shades: towards white above 0, black below.
SHADES = (0.0, -0.45, 0.45, -0.25, 0.25)
SMALLEST_WEIGHT = 1e-6
EFFECTIVE_SHARE = 0.005  # the share above which a record counts a cluster as effective

Curves = Mapping[str, Float[np.ndarray, " E"]]
Colours = Float[np.ndarray, "n 3"]


@runtime_checkable
class Tree(Protocol):
    """A merge tree as scipy takes it, with heights log(n_rows / N_eff)."""

    @property
    def linkage(self) -> Float[np.ndarray, "M 4"]:
        """Nodes, height, number of components of each merge."""

    @property
    def n_rows(self) -> float:
        """The rows under the root."""


def row_style(row: str, points: int) -> dict[str, Any]:
    """Colour and marker of a row's line through so many points."""
    colour, marker = ROW_STYLES.get(row, OTHER_STYLE)
    return {
        "color": colour,
        "marker": marker,
        "markersize": 4,
        "markevery": max(1, points // 10),
    }


def curve(ax: Axes, row: str, curves: Curves, column: str, **style: Any) -> Axes:
    """One column by epoch, if the row has it."""
    if column in curves and "epoch" in curves:
        ax.plot(curves["epoch"], curves[column], **row_style(row, len(curves["epoch"])), **style)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def loss_panel(ax: Axes, runs: Mapping[str, Curves], title: str) -> Axes:
    """Training (dashed) and validation loss (solid) by epoch; a log axis if they span much."""
    for row, curves in runs.items():
        curve(ax, row, curves, "train_loss", linestyle="--", alpha=0.6)
        curve(ax, row, curves, "val_loss", label=row)
    ax.set(title=title, xlabel="epoch", ylabel="nats per image")
    losses = np.concatenate([line.get_ydata() for line in ax.lines] or [np.ones(1)])
    losses = losses[np.isfinite(losses)]
    if losses.size and losses.min() > 0 and losses.max() > 20 * losses.min():
        log_axis(ax, lambda loss: f"{loss:g}")
    return with_legend(ax)


def score_panel(ax: Axes, runs: Mapping[str, Curves], column: str, title: str) -> Axes:
    """A score between 0 and 1 by epoch."""
    for row, curves in runs.items():
        curve(ax, row, curves, column, label=row)
    ax.set(title=title, xlabel="epoch", ylim=(0, 1))
    return with_legend(ax)


def log_axis(ax: Axes, text: Callable[[float], str]) -> Axes:
    """A log axis whose powers of ten are written by `text`, the ticks between them bare."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda value, position: text(value))
    ax.yaxis.set_minor_formatter(NullFormatter())
    return ax


def with_legend(ax: Axes) -> Axes:
    """A legend, if there is anything to name."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
    return ax


def tile(
    images: UInt8[np.ndarray, "R C H W *rgb"], gap: int = 2, ground: int = 0
) -> UInt8[np.ndarray, "P Q *rgb"]:
    """Rows of images as one picture, with a gap of ``ground`` between neighbours."""
    edges = ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0))[: images.ndim]
    padded = np.pad(images, edges, constant_values=ground)
    rows, columns, height, width, *rgb = padded.shape
    picture = padded.swapaxes(1, 2).reshape(rows * height, columns * width, *rgb)
    return picture[: rows * height - gap, : columns * width - gap]


def image_panel(ax: Axes, images: UInt8[np.ndarray, "R C H W *rgb"], labels: Sequence[str]) -> Axes:
    """Rows of images, each row with its label: grey ones dark on white, or in colour."""
    gap, in_colour = 2, images.ndim == 5
    ax.imshow(tile(images, gap, ground=255 if in_colour else 0), cmap="gray_r", vmin=0, vmax=255)
    height = images.shape[2]
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(images)) * (height + gap) + (height - 1) / 2, labels)
    ax.tick_params(length=0, labelsize=8)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def class_colours(labels: Integer[np.ndarray, " n"]) -> Colours:
    """A colour for each point's class."""
    palette = np.array([to_rgb(colour) for colour in PALETTE])
    return np.take(palette, labels % len(PALETTE), axis=0)


def cluster_colours(
    clusters: Integer[np.ndarray, " n"], labels: Integer[np.ndarray, " n"]
) -> Colours:
    """A colour for each point's cluster: that of its commonest class, in a shade of its own.

    The largest cluster of a class has the class's own colour, so that a point whose colour
    differs from that in `class_colours` is one that the clusters and the labels disagree on.
    """
    colours = np.empty((len(clusters), 3))
    taken: Counter[int] = Counter()
    names, sizes = np.unique(clusters, return_counts=True)
    for name in names[np.argsort(-sizes, kind="stable")]:
        members = clusters == name
        classes, counts = np.unique(labels[members], return_counts=True)
        common = classes[counts.argmax()]
        step = SHADES[taken[int(common)] % len(SHADES)]
        base = class_colours(common[None])
        colours[members] = base + abs(step) * (float(step > 0) - base)
        taken[int(common)] += 1
    return colours


def latent_panel(ax: Axes, xy: Float[np.ndarray, "n 2"], colours: Colours, title: str) -> Axes:
    """Points of a plane in their colours, axes to the same scale."""
    size = np.clip(10_000 / max(len(xy), 1), 1.5, 16)
    ax.scatter(xy[:, 0], xy[:, 1], s=size, c=colours, linewidths=0)
    ax.set(title=title, xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#d1d5db")
    return ax


def name_groups(ax: Axes, xy: Float[np.ndarray, "n 2"], groups: Integer[np.ndarray, " n"]) -> Axes:
    """Write each group's number at the median of its points."""
    halo = [withStroke(linewidth=3, foreground="white")]
    for group in np.unique(groups):
        x, y = np.median(xy[groups == group], axis=0)
        ax.text(x, y, str(group), weight="bold", ha="center", va="center", path_effects=halo)
    return ax


def weight_panel(ax: Axes, weights: Mapping[str, Float[np.ndarray, " T"]], title: str) -> Axes:
    """Mixtures' weights in falling order on a log axis, the smallest cut off from below."""
    for row, w in weights.items():
        ranks = np.arange(1, len(w) + 1)
        style = row_style(row, len(w)) | {"markevery": 1, "markersize": 3.5}
        ax.plot(ranks, np.maximum(w, SMALLEST_WEIGHT), label=row, **style)
    ax.axhline(EFFECTIVE_SHARE, color="#6b7280", linewidth=1, linestyle=":")
    ax.set(title=title, xlabel="component, heaviest first", ylabel="expected weight")
    log_axis(ax, lambda weight: f"{100 * weight:g}%")
    ax.set_ylim(SMALLEST_WEIGHT / 1.5, 1.5)
    return with_legend(ax)


def current(ax: Axes | None) -> Axes:
    """The axes that are given, or pyplot's current ones."""
    if ax is not None:
        return ax
    from matplotlib import pyplot  # chooses a display, which a report has no use for

    return pyplot.gca()


def plot_map(
    xy: Float[np.ndarray, "n 2"], clusters: Integer[np.ndarray, " n"], ax: Axes | None = None
) -> Axes:
    """Points of a plane in their clusters' colours, each cluster's number at its median."""
    n_clusters = len(np.unique(clusters))
    title = f"{n_clusters} clusters" if n_clusters > 1 else "one cluster"
    return name_groups(latent_panel(current(ax), xy, class_colours(clusters), title), xy, clusters)


def plot_dendrogram(hierarchy: Tree, ax: Axes | None = None) -> Axes:
    """The tree over components (`hierarchy_` of a fitted model), its heights as N_eff."""
    ax = current(ax)
    if not len(hierarchy.linkage):
        ax.set(title="one component, hence no tree", xticks=[], yticks=[])
        return ax
    dendrogram(hierarchy.linkage, ax=ax, color_threshold=0, above_threshold_color=PALETTE[0])
    powers = np.arange(int(np.log10(max(hierarchy.n_rows, 1))), -1, -1)
    ax.set_yticks(np.log(hierarchy.n_rows) - powers * np.log(10))
    ax.yaxis.set_major_formatter(
        FuncFormatter(lambda height, _: f"{hierarchy.n_rows * np.exp(-height):,.0f}")
    )
    top = 1.05 * float(hierarchy.linkage[-1, 2]) or 1.0
    ax.set(ylabel="N_eff", xlabel="component", ylim=(0, top))
    return ax


def plot_curves(history: Curves, moves: Sequence[Move] = (), ax: Axes | None = None) -> Axes:
    """Loss by epoch, training dashed; a mixture's bound by update. Epochs with moves are dotted.

    `history` and `moves` are those of a `FitBundle`.
    """
    ax = current(ax)
    if "bound" in history:
        ax.plot(history["update"], history["bound"], color=PALETTE[0], label="bound")
        ax.set(xlabel="update", ylabel="nats")
        return with_legend(ax)
    styles = {"train_loss": ("training", "--"), "val_loss": ("validation", "-")}
    for column, (label, line) in styles.items():
        if column in history:
            ax.plot(history["epoch"], history[column], line, color=PALETTE[0], label=label)
    for epoch in sorted({move.epoch for move in moves}):
        ax.axvline(epoch, color="#6b7280", linewidth=1, linestyle=":")
    ax.set(xlabel="epoch", ylabel="loss, nats per sample")
    return with_legend(ax)


def plot_samples(images: UInt8[np.ndarray, "R C H W *rgb"], ax: Axes | None = None) -> Axes:
    """Images in rows, a row a cluster, each with its number; in grey or colour."""
    return image_panel(current(ax), images, [str(k) for k in range(len(images))])


def plot_weights(weights: Float[np.ndarray, " T"], ax: Axes | None = None) -> Axes:
    """A mixture's weights in falling order on a log axis."""
    return weight_panel(current(ax), {"weights": np.sort(weights)[::-1]}, f"{len(weights)} weights")
