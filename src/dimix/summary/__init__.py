"""A fitted model in a nutshell: the bundle that its report is made from, and the report.

`summarise` asks a fitted model everything that its report shows, of at most 100,000 rows;
`write_report` keeps that in a folder and writes the page beside it. What is left out of large
data, so that the page stays below 25 MB, the page says.
"""

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from dimix.records import FitBundle
from dimix.report import write_fit_report
from dimix.summary import choosing, pictures
from dimix.summary.asking import Array, components_of, course_of, settings_of, what_it_maps

__all__ = ["summarise", "write_report"]

MOST_POINTS = 100_000
MOST_VALUES = 3_000_000
"""Numbers in the columns: two bytes each in the page."""
NAME_LENGTH = 32
"""Characters of a name that are kept, its last."""
N_PICTURES, N_ROWS = 16, 2_000
"""Images, and rows of a table, that are shown beside their reconstructions."""
PACKAGES = ("dimix", "numpy", "scikit-learn", "torch")

Inverse = Callable[[Array], ArrayLike]


def summarise(
    model: Any,
    X: Any,
    *,
    y: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    inverse: Inverse | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> FitBundle:
    """What a report shows of a fitted model and of data that it may be asked about.

    Args:
        model: any fitted estimator of dimix, or a Pipeline that ends with one.
        X: rows ``[N, P]`` or images ``[N, H, W(, C)]``, as the model takes them.
        y: labels ``[N]`` to colour and to name by; the model never sees them.
        names: a text for each row or image, shown where one points at it.
        columns: names of a table's columns; None takes a DataFrame's own, or numbers.
        inverse: takes a table back from the model's units to those that shall be shown;
            ``StandardScaler.inverse_transform``, for one. None takes a Pipeline's own.
        title: of the page.
        notes: sentences for its end.
        seed: of the rows and pictures that are drawn at random where there are too many.

    Raises:
        ValueError: y, names or columns do not fit X.
    """
    if isinstance(model, Pipeline) and len(model) > 1:
        model, X, columns, inverse = _last_step(model, X, columns, inverse)
    n_rows = len(X)
    check_length("y", y, n_rows)
    check_length("names", names, n_rows)
    rng = np.random.default_rng(seed)
    rows = choosing.subsample(n_rows, MOST_POINTS, rng)
    data = taken(X, rows)
    components = components_of(model, data, n_rows)
    clusters = components.clusters()
    assigned = components.probabilities.argmax(1)
    distance = choosing.distance_from_mean(components.latents, assigned)
    map_xy, directions = choosing.plane(components.latents, clusters)
    ranked = np.lexsort((distance, -components.probabilities.max(1)))
    is_image = np.ndim(data) > 2
    shown = (
        _pictures(model, data, components.samples, choosing.by_rank(ranked, assigned), rng)
        if is_image
        else _table(model, data, components.samples, clusters, columns, inverse, rng)
    )
    top, probability = choosing.most_probable(components.probabilities)
    return FitBundle(
        title=title or f"{type(model).__name__} of {n_rows:,} {'images' if is_image else 'rows'}",
        n_rows=n_rows,
        map_xy=map_xy.astype(np.float32),
        map_name=f"{what_it_maps(model)}, {directions}",
        rows=rows,
        components=top,
        probabilities=probability,
        distance=distance.astype(np.float32),
        names=tuple(str(names[i])[-NAME_LENGTH:] for i in rows) if names is not None else (),
        settings=settings_of(model),
        versions={"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        notes=(*notes, *_left_out(n_rows, len(rows)), *shown.pop("notes", ())),
        **components.tree(),
        **course_of(model),
        **_labels(y, rows),
        **shown,
    )


def write_report(model: Any, X: Any, folder: str | Path, **about: Any) -> Path:
    """Write `report.html`, and the bundle that it is made from, into a folder; its path.

    ``about`` is what `summarise` takes besides.
    """
    summarise(model, X, **about).save(Path(folder))
    return write_fit_report(Path(folder))


def _last_step(
    pipeline: Pipeline, X: Any, columns: Sequence[str] | None, inverse: Inverse | None
) -> tuple[Any, Any, Sequence[str] | None, Inverse | None]:
    """The model that a pipeline ends with, and its data; names of columns, if they are as many."""
    before = pipeline[:-1]
    given = tuple(getattr(X, "columns", ())) if columns is None else columns
    X = before.transform(X)
    named = np.ndim(X) == 2 and len(given) == np.shape(X)[1]
    return (
        pipeline[-1],
        X,
        given if named else None,
        inverse or getattr(before, "inverse_transform", None),
    )


def check_length(name: str, values: Any, expected: int) -> None:
    """Refuse an argument that does not have a value for each of what it is about."""
    if values is not None and len(values) != expected:
        raise ValueError(f"{name} must have length {expected}, as X has; found {len(values)}")


def taken(X: Any, rows: Int64[np.ndarray, " n"]) -> Any:
    """Some rows; a DataFrame's remain one, since the model knows its columns by name."""
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows]


def _left_out(n_rows: int, n_points: int) -> list[str]:
    if n_points == n_rows:
        return []
    return [f"The map shows {n_points:,} of {n_rows:,} rows, drawn at random."]


def _labels(y: ArrayLike | None, rows: Int64[np.ndarray, " n"]) -> dict[str, Any]:
    if y is None:
        return {}
    names, codes = np.unique(np.asarray(y)[rows], return_inverse=True)
    return {"labels": codes.astype(np.int64), "label_names": tuple(map(str, names.tolist()))}


def _pictures(
    model: Any,
    images: Shaped[np.ndarray, "n ..."],
    samples: Array | None,
    order: Int64[np.ndarray, " n"],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The bundle's parts that are images; ``order`` says whose thumbnails matter most."""
    draw = pictures.Drawer(images)
    points = pictures.within_budget(draw.shape, order, rng)
    shown: dict[str, Any] = {
        "thumbnails": draw(images[points]),
        "thumbnail_points": points,
        "notes": pictures.said_of(len(points), len(images)),
    }
    if samples is not None:
        n_components, n_draws = samples.shape[:2]
        shown["samples"] = draw.decoded(samples.reshape(-1, *samples.shape[2:])).reshape(
            n_components, n_draws, *draw.shape
        )
    if hasattr(model, "reconstruct"):
        few = images[rng.permutation(len(images))[:N_PICTURES]]
        shown["originals"] = draw(few)
        shown["reconstructions"] = draw.decoded(model.reconstruct(few))
    return shown


def _table(
    model: Any,
    data: Any,
    samples: Array | None,
    clusters: Int64[np.ndarray, " n"],
    columns: Sequence[str] | None,
    inverse: Inverse | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The bundle's parts that are rows of columns, in the units that `inverse` gives."""
    width = np.shape(data)[1]
    names = [*getattr(data, "columns", range(width))] if columns is None else [*columns]
    if len(names) != width:
        raise ValueError(f"columns must name the {width} columns of X, found {len(names)} names")

    def in_units(rows: Any) -> Array:
        flat = np.asarray(rows, dtype=np.float64).reshape(-1, width)
        back = np.asarray(flat if inverse is None else inverse(flat))
        return back.reshape(np.shape(rows)).astype(np.float32)

    values = in_units(data)
    kept = choosing.telling_columns(values, clusters, max(1, MOST_VALUES // len(values)))
    shown: dict[str, Any] = {
        "columns": values[:, kept],
        "column_names": tuple(str(names[j]) for j in kept),
        "notes": [] if len(kept) == width else [
            f"Shown are {len(kept)} of {width} columns: those that differ most between clusters."
        ],
    }  # fmt: skip
    if samples is not None:
        shown["samples"] = in_units(samples)[..., kept]
    if hasattr(model, "reconstruct"):
        few = taken(data, rng.permutation(len(values))[:N_ROWS])
        shown["originals"] = in_units(few)[:, kept]
        shown["reconstructions"] = in_units(model.reconstruct(few))[:, kept]
    return shown
