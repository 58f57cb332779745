"""Which figure is drawn from which cells, and saved under what name.

Each function yields the drawings of one section at one latent dimension, from whatever the
cells hold: a cell without the arrays that a figure needs is passed over.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dimix.records import Bundle, Cell, atomic_write
from dimix.report.grid import latent_dims_of, lowest_seed, network_of
from dimix.report.plots import (
    EFFECTIVE_SHARE,
    SMALLEST_WEIGHT,
    STYLE,
    class_colours,
    cluster_colours,
    image_panel,
    latent_panel,
    loss_panel,
    name_groups,
    score_panel,
    weight_panel,
)

WIDTH = 10.0  # inches, of a figure that fills the page
COLOURS = 128  # in a file's palette
BLOCK = 17  # component rows stacked before the next column of them begins


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and what is said about it; `name` is its file's, without the ending."""

    name: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class SavedFigure:
    """A figure's file, its section of the page, and its size in pixels."""

    section: str
    latent_dim: int
    file: Path
    caption: str
    alt: str
    width: int
    height: int


def panels(
    rows: int, columns: int, height: float, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each row of the given height in inches."""
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def training_curves(cells: Sequence[Cell]) -> Iterator[Drawing]:
    """Loss, accuracy and NMI by epoch of every network."""
    runs = {c.record.row: c.curves for c in cells if c.curves}
    if not runs:
        return
    printed = {row: c for row, c in runs.items() if row.startswith("algorithm1")}
    bounds = {row: c for row, c in runs.items() if row not in printed}
    figure, axes = panels(2, 2, 3.1)
    loss_panel(axes[0], bounds, "Loss: negative bound (dashed: training, solid: validation)")
    loss_panel(axes[1], printed, "Loss of Algorithm 1: reconstruction (dashed: training)")
    score_panel(axes[2], runs, "val_acc", "Validation accuracy")
    score_panel(axes[3], runs, "val_nmi", "Validation NMI")
    ends = [
        f"{row}: accuracy {c['val_acc'][-1]:.2f}, NMI {c['val_nmi'][-1]:.2f}"
        for row, c in runs.items()
        if {"val_acc", "val_nmi"} <= c.keys()
    ]
    yield Drawing(
        "curves",
        "Loss, accuracy and NMI by epoch; the scores are on the validation images.",
        f"Line plots by epoch for {', '.join(runs)}. Last epoch: {'; '.join(ends) or 'no scores'}.",
        figure,
    )


def reconstructions(cells: Sequence[Cell]) -> Iterator[Drawing]:
    """Test images, and below each what the network makes of it."""
    for cell in cells:
        before, after = cell.bundle.originals, cell.bundle.reconstructions
        if before is None or after is None:
            continue
        row = cell.record.row
        figure, axes = panels(1, 1, 1.1, width=5)
        image_panel(axes[0], np.stack([before, after]), ("original", "reconstruction"))
        yield Drawing(
            f"reconstructions-{quote(row, safe='+')}",
            f"{row}: original above reconstruction.",
            f"{len(before)} test images above their reconstructions by {row}.",
            figure,
        )


def latent_maps(cells: Sequence[Cell]) -> Iterator[Drawing]:
    """For each network its test latents, by label and by each of its rows' clusters."""
    for network in dict.fromkeys(network_of(c.record.row) for c in cells):
        mapped = [
            c for c in cells if network_of(c.record.row) == network and c.bundle.map_xy is not None
        ]
        if mapped:
            yield latent_map(network, mapped)


def latent_map(network: str, cells: Sequence[Cell]) -> Drawing:
    """One network's latents: the labels first, then the clusters of every row on it."""
    found = [c for c in cells if n_clusters(c.bundle) > 1]
    columns = min(3, 1 + len(found))
    rows = math.ceil((1 + len(found)) / columns)
    figure, axes = panels(rows, columns, 3.3, width=WIDTH * columns / 3)
    label_panel(axes[0], cells[0].bundle)
    for ax, cell in zip(axes[1:], found, strict=False):
        cluster_panel(ax, cell)
    for ax in axes[1 + len(found) :]:
        ax.set_axis_off()
    names = ", ".join(c.record.row for c in found) or "no row, since none has more than one"
    return Drawing(
        f"map-{quote(network, safe='+')}",
        f"Test latents of {network}, coloured by label and by cluster.",
        f"Scatter plots of the latents of {network}: by label, and by cluster for {names}.",
        figure,
    )


def n_clusters(bundle: Bundle) -> int:
    """How many clusters the map shows."""
    return 0 if bundle.map_clusters is None else len(np.unique(bundle.map_clusters))


def label_panel(ax: Axes, bundle: Bundle) -> Axes:
    """The map coloured by label; grey where there are none."""
    assert bundle.map_xy is not None
    if bundle.map_labels is None:
        grey = np.full((len(bundle.map_xy), 3), 0.5)
        return latent_panel(ax, bundle.map_xy, grey, "test latents")
    latent_panel(ax, bundle.map_xy, class_colours(bundle.map_labels), "by label")
    return name_groups(ax, bundle.map_xy, bundle.map_labels)


def cluster_panel(ax: Axes, cell: Cell) -> Axes:
    """The map coloured by a row's clusters."""
    xy, clusters, labels = (
        cell.bundle.map_xy,
        cell.bundle.map_clusters,
        cell.bundle.map_labels,
    )
    assert xy is not None
    assert clusters is not None
    colours = class_colours(clusters) if labels is None else cluster_colours(clusters, labels)
    title = f"by cluster: {cell.record.row} ({n_clusters(cell.bundle)})"
    return latent_panel(ax, xy, colours, title)


def component_samples(cells: Sequence[Cell]) -> Iterator[Drawing]:
    """Ten draws from every component of every row that has them, heaviest component first."""
    for cell in cells:
        if cell.bundle.samples is not None:
            yield sample_sheet(cell.record.row, cell.bundle)


def sample_sheet(row: str, bundle: Bundle) -> Drawing:
    """One row's draws; beyond a page's height the components go on in further columns."""
    images = bundle.samples
    assert images is not None
    labels = component_labels(len(images), bundle.weights)
    columns = math.ceil(len(images) / BLOCK)
    per_column = math.ceil(len(images) / columns)
    figure, axes = panels(1, columns, 0.25 + 0.29 * per_column, width=WIDTH * columns / 3)
    for i, ax in enumerate(axes):
        part = slice(i * per_column, (i + 1) * per_column)
        blank = np.zeros((per_column - len(images[part]), *images.shape[1:]), np.uint8)
        image_panel(ax, np.concatenate([images[part], blank]), [*labels[part], *[""] * len(blank)])
    count = "its one component" if len(images) == 1 else f"each of {len(images)} components"
    return Drawing(
        f"samples-{quote(row, safe='+')}",
        f"{row}: ten samples from {count}.",
        f"Images decoded from ten samples of {count} of {row}, heaviest first.",
        figure,
    )


def component_labels(n: int, weights: Float[np.ndarray, " T"] | None) -> list[str]:
    """A component's weight in per cent, or else its number."""
    if weights is None or len(weights) != n:
        return [str(k + 1) for k in range(n)]
    return [f"{100 * w:.1f}%" if w >= 5e-4 else "< 0.1%" for w in weights]


def sorted_weights(cells: Sequence[Cell]) -> Iterator[Drawing]:
    """The mixtures' weights, a panel for each number of components."""
    weights = {c.record.row: c.bundle.weights for c in cells}
    present = {row: w for row, w in weights.items() if w is not None}
    sizes = sorted({len(w) for w in present.values()})
    if not sizes:
        return
    figure, axes = panels(1, len(sizes), 3.6, width=WIDTH * min(1.0, len(sizes) / 2))
    for ax, size in zip(axes, sizes, strict=True):
        shown = {row: w for row, w in present.items() if len(w) == size}
        weight_panel(ax, shown, f"{size} components")
    smallest = "; ".join(f"{row} {w.min():.1g}" for row, w in present.items())
    yield Drawing(
        "weights",
        f"Expected weights in falling order, log axis. Dotted: {EFFECTIVE_SHARE:.1%} of the data. "
        f"A weight below {SMALLEST_WEIGHT:g} is drawn there.",
        f"Sorted mixture weights. Smallest weight of each row: {smallest}.",
        figure,
    )


SECTIONS: dict[str, Callable[[Sequence[Cell]], Iterator[Drawing]]] = {
    "curves": training_curves,
    "reconstructions": reconstructions,
    "maps": latent_maps,
    "samples": component_samples,
    "weights": sorted_weights,
}


def save_figures(cells: Sequence[Cell], folder: Path) -> list[SavedFigure]:
    """Draw and save every figure of every latent dimension, for its lowest seed."""
    with matplotlib.style.context(["default", STYLE]):
        return list(_save_all(cells, folder))


def _save_all(cells: Sequence[Cell], folder: Path) -> Iterable[SavedFigure]:
    for section, draw in SECTIONS.items():
        for latent_dim in latent_dims_of(c.record for c in cells):
            for drawing in draw(lowest_seed(cells, latent_dim)):
                file = folder / f"z{latent_dim}-{drawing.name}.png"
                width, height = save(drawing.figure, file)
                yield SavedFigure(
                    section, latent_dim, file, drawing.caption, drawing.alt, width, height
                )


def save(figure: Figure, file: Path) -> tuple[int, int]:
    """Write a figure as PNG; returns its size in pixels."""
    png, size = as_png(figure)
    with atomic_write(file, "wb") as out:
        out.write(png)
    return size


def as_png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    """A PNG whose bytes depend on the drawing alone, and its size in pixels.

    A palette in place of full colour makes it, and so the page, a quarter of the size. The
    octree keeps the colours of thin lines, which Pillow's default melts into their neighbours.
    """
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 0})
    full = Image.open(drawn).convert("RGB")
    picture = full.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    picture.save(packed, "PNG", optimize=True)
    return packed.getvalue(), picture.size
