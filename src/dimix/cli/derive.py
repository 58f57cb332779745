"""What a fit says of data: `predict`, `embed`, `reconstruct`, block by block; and `sample`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from jaxtyping import Float, Int64, Shaped

from dimix.cli.folder import Fit, open_fit, read_preparation
from dimix.cli.options import Split
from dimix.cli.output import AsJson, answering, console_for, print_json, tell
from dimix.cli.writing import ARRAYS, TABLES, Columns, check_out, free, writing

if TYPE_CHECKING:
    from dimix.data import Data
    from dimix.data.base import Kind

Rows = Shaped[np.ndarray, "n *shape"]
Folder = Annotated[Path, typer.Argument(help="A folder that `dimix fit` wrote.")]
Source = Annotated[str, typer.Argument(help="Data like those of the fit, in any form.")]
Out = Annotated[Path, typer.Option(help="The file to write.")]


def predict(
    folder: Folder,
    data: Source,
    out: Out,
    draws: Annotated[
        int, typer.Option(min=0, help="Draws of z for log_likelihood; 0 leaves it out.")
    ] = 32,
    split: Split = "train",
    as_json: AsJson = False,
) -> None:
    """Write each row's cluster, its probability, log-likelihood and component: .csv or .parquet.

    Example: dimix predict runs/table new.csv --out clusters.csv
    """

    def block(fit: Fit, X: Rows) -> Columns:
        return predictions(fit.model, X, draws)

    through(folder, data, out, tuple(TABLES), split, block, as_json)


def embed(
    folder: Folder, data: Source, out: Out, split: Split = "train", as_json: AsJson = False
) -> None:
    """Write the latent mean of each row: .npy, .csv or .parquet.

    Example: dimix embed runs/table new.csv --out latents.npy
    """

    def block(fit: Fit, X: Rows) -> Columns:
        latents = need(fit, "transform", "embed")(X)
        if out.suffix.lower() in ARRAYS:
            return {"latent": latents}
        return {f"z{d}": column for d, column in enumerate(latents.T)}

    through(folder, data, out, (*ARRAYS, *TABLES), split, block, as_json)


def reconstruct(
    folder: Folder, data: Source, out: Out, split: Split = "train", as_json: AsJson = False
) -> None:
    """Write what becomes of each row when it is encoded and decoded, in the data's units.

    A table as .npy, .csv or .parquet; images as .npy, with values from 0 to 1 for bytes.

    Example: dimix reconstruct runs/table new.csv --out again.csv
    """

    def block(fit: Fit, X: Rows) -> Columns:
        again = need(fit, "reconstruct", "reconstruct")(X)
        return as_columns(fit, fit.preparation.undo(again), out)

    through(folder, data, out, (*ARRAYS, *TABLES), split, block, as_json)


def sample(
    folder: Folder,
    out: Out,
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 100,
    cluster: Annotated[
        int | None, typer.Option(min=0, help="Only of this cluster; default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw from the model: .npz (X and labels), .npy; a table also .csv, .parquet; images .png.

    Example: dimix sample runs/images --n 64 --out samples.png
    """
    with answering():
        check_out(out, (".npz", ".png", *ARRAYS, *TABLES))
        check_form(read_preparation(folder).kind, out)
        fit = open_fit(folder)
        X, labels = draw(fit.model, n, cluster)
        write_samples(fit, fit.preparation.undo(X), labels, out)
    report_written(n, out, as_json)


def check_form(kind: "Kind", out: Path) -> None:
    """Raise if samples of data of this kind are not written in the form of the file's ending."""
    whole = (*ARRAYS, ".npz")
    what, forms = (
        ("a table", (*TABLES, *whole)) if kind == "table" else ("images", (".png", *whole))
    )
    if out.suffix.lower() not in forms:
        raise ValueError(
            f"samples of {what} are written as {', '.join(forms)}, not as {out.suffix}"
        )


def through(
    folder: Path,
    source: str,
    out: Path,
    endings: Sequence[str],
    split: Literal["train", "test"],
    columns_of: Callable[[Fit, Rows], Columns],
    as_json: bool,
) -> None:
    """Take data through a fit, block by block, into a file."""
    from dimix.data import blocks

    n_rows = 0
    with answering():
        check_out(out, endings, source)
        fit = open_fit(folder)
        selection = fit.preparation.selection(split)
        with writing(out) as sink:
            for block in blocks(source, selection):
                X = fit.preparation.apply(block, source)
                sink.write(named(block, columns_of(fit, X), out))
                n_rows += len(block)
    report_written(n_rows, out, as_json)


def named(block: "Data", columns: Columns, out: Path) -> Columns:
    """Columns below the names of the rows, which come first in a table."""
    if block.names is None or out.suffix.lower() in ARRAYS:
        return columns
    return {free("name", columns): block.names, **columns}


def report_written(n_rows: int, out: Path, as_json: bool) -> None:
    """Say what was written."""
    tell(console_for(as_json), f"{n_rows:,} rows: {out}")
    if as_json:
        print_json({"n_rows": n_rows, "out": str(out)})


def need(fit: Fit, method: str, command: str) -> Callable[..., Any]:
    """A method of the model.

    Raises:
        ValueError: this kind of model cannot be asked that.
    """
    found: Callable[..., Any] | None = getattr(fit.model, method, None)
    if found is None:
        raise ValueError(f"{fit.folder}: a model of kind {fit.request.model} cannot {command}")
    return found


def predictions(model: Any, X: Rows, draws: int) -> Columns:
    """The columns of `predict`.

    Raises:
        ValueError: the model has no clusters.
    """
    from dimix.mixture.hierarchy import pool

    if not hasattr(model, "predict_proba"):
        raise ValueError(f"a {type(model).__name__} has no clusters: embed, reconstruct, sample")
    if hasattr(model, "predict_components_proba"):
        components = model.predict_components_proba(X)
        clusters = pool(components, model.component_labels_)
    else:
        components = clusters = model.predict_proba(X)
    known = {"log_likelihood": log_likelihood(model, X, draws)} if draws else {}
    return {
        "label": clusters.argmax(1),
        "probability": clusters.max(1),
        **known,
        "component": components.argmax(1),
    }


def log_likelihood(model: Any, X: Rows, draws: int) -> Float[np.ndarray, " n"]:
    """log p(x) in nats, of a deep model a bound by draws of z; NaN if the model has none."""
    if not hasattr(model, "score_samples"):
        return np.full(len(X), np.nan)
    deep = hasattr(model, "model_")
    values = model.score_samples(X, n_draws=draws) if deep else model.score_samples(X)
    return np.asarray(values, dtype=np.float64)


def draw(
    model: Any, n: int, cluster: int | None
) -> tuple[Float[np.ndarray, "n *shape"], Int64[np.ndarray, " n"] | None]:
    """Samples in the model's units, and the cluster of each if the model has clusters.

    Raises:
        ValueError: there is no such cluster, or there are none.
    """
    if not hasattr(model, "predict_proba"):
        if cluster is not None:
            raise ValueError(f"a {type(model).__name__} has no clusters: leave --cluster out")
        return model.sample(n), None
    sizes = cluster_weights(model)
    if cluster is not None and (cluster >= len(sizes) or sizes[cluster] == 0):
        raise ValueError(f"--cluster must be in 0..{len(sizes) - 1}; found {cluster}")
    X, labels = model.sample(n, cluster=cluster)
    return X, labels if hasattr(model, "model_") else model.component_labels_[labels]


def cluster_weights(model: Any) -> Float[np.ndarray, " C"]:
    """The mixing weight of each cluster."""
    if hasattr(model, "model_"):
        weights: Float[np.ndarray, " C"] = model.cluster_weights()
        return weights
    return np.bincount(model.component_labels_, model.weights_)


def as_columns(fit: Fit, X: Float[np.ndarray, "n *shape"], out: Path) -> Columns:
    """Rows in the data's units, as one array or as the table's columns.

    Raises:
        ValueError: images are to be written as a table.
    """
    if out.suffix.lower() in ARRAYS:
        return {"X": X}
    if fit.preparation.kind == "images":
        raise ValueError(f"images are written as {', '.join(ARRAYS)}, not as {out.suffix}")
    names = fit.preparation.columns or [f"x{j}" for j in range(X.shape[1])]
    return dict(zip(names, X.T, strict=True))


def write_samples(
    fit: Fit, X: Float[np.ndarray, "n *shape"], labels: Int64[np.ndarray, " n"] | None, out: Path
) -> None:
    """Samples in the form of the file's ending."""
    from dimix.records import atomic_write

    if out.suffix.lower() == ".npz":
        known: dict[str, Any] = {} if labels is None else {"labels": labels}
        with atomic_write(out, "wb") as file:
            np.savez_compressed(file, X=X, **known)
    elif out.suffix.lower() == ".png":
        write_picture(fit, X, out)
    else:
        columns = dict(as_columns(fit, X, out))
        if labels is not None and out.suffix.lower() not in ARRAYS:
            columns[free("label", columns)] = labels
        with writing(out) as sink:
            sink.write(columns)


def write_picture(fit: Fit, X: Float[np.ndarray, "n *shape"], out: Path) -> None:
    """Images side by side in one, as nearly square as they can be, as bright as in the report."""
    from dimix.data.checks import needed
    from dimix.records import atomic_write
    from dimix.summary.pictures import as_bytes

    across = int(np.ceil(np.sqrt(len(X))))
    down = -(-len(X) // across)
    sheet = np.zeros((across * down, *X.shape[1:]), dtype=np.uint8)
    sheet[: len(X)] = as_bytes(X, *extremes(fit))
    rows = sheet.reshape(down, across, *X.shape[1:]).swapaxes(1, 2)
    page = rows.reshape(down * X.shape[1], across * X.shape[2], *X.shape[3:])
    with atomic_write(out, "wb") as file:
        image = needed("PIL.Image", out).fromarray(page.squeeze())
        image.save(file, format="png")


def extremes(fit: Fit) -> tuple[float, float]:
    """Between which numbers the images lie that a model decodes; bytes are shares of 255."""
    if fit.preparation.dtype == "uint8":
        return 0.0, 1.0
    summary = fit.model.data_summary_
    return summary["min"], summary["max"]
