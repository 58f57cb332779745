"""`dimix fit` and `dimix resume`: from own data to a saved model, its clusters and its report."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from jaxtyping import Shaped
from rich.console import Console

from dimix.cli import models
from dimix.cli.clusters import Cluster, cluster_table, clusters_in
from dimix.cli.folder import (
    DATA,
    MODEL,
    REPORT,
    RESULT,
    TRAINING,
    Request,
    check_free,
    digest,
    read_json,
    read_request,
    write_json,
    write_request,
)
from dimix.cli.options import (
    Columns,
    Drop,
    ImageSize,
    LabelColumn,
    Parameters,
    Split,
    Standardize,
    parse_set,
    prepared,
    wanted,
)
from dimix.cli.output import (
    GOES_ON,
    UNEXPECTED,
    AsJson,
    answering,
    console_for,
    fail,
    print_json,
    tell,
)

if TYPE_CHECKING:
    from dimix.data import Data, Preparation

Rows = Shaped[np.ndarray, "N *shape"]
COLUMNS_TOLD = 12
"""Names of columns that are told; of a wide table the first."""
Labels = Shaped[np.ndarray, " N"]


def fit(
    data: Annotated[
        str,
        typer.Argument(
            help="A .npy, .npz, .csv or .parquet file, a folder of images or of IDX files, or "
            "digits, mnist-5k or mnist."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model, its clusters and report.")],
    model: Annotated[models.ModelName, typer.Option(help="Which model.")] = "infinite",
    labels: Annotated[
        Path | None, typer.Option(help="Known labels, one a row; they score, and no more.")
    ] = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    drop: Drop = None,
    image_size: ImageSize = None,
    split: Split = "train",
    standardize: Standardize = True,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    n_clusters: Annotated[
        int | None, typer.Option(min=1, help="Of infinite and mixture; default: found.")
    ] = None,
    n_components: Annotated[
        int | None, typer.Option(min=1, help="The most components there may be.")
    ] = None,
    latent_dim: Annotated[int | None, typer.Option(min=1, help="Latent features; 10.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    likelihood: Annotated[
        Literal["bernoulli", "gaussian"] | None, typer.Option(help="Default: by the data.")
    ] = None,
    architecture: Annotated[
        Literal["mlp", "conv"] | None, typer.Option(help="Default: by the data.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto; default cpu.")] = None,
    set_: Parameters = None,
    as_json: AsJson = False,
) -> None:
    """Cluster your data: train a model, save it, and say which clusters it found.

    The folder can be resumed at any moment: run the same command again, or `dimix resume`.

    Example: dimix fit table.csv --out runs/table --drop city
    """
    console = console_for(as_json)
    given = {
        "n_clusters": n_clusters,
        "n_components": n_components,
        "latent_dim": latent_dim,
        "epochs": epochs,
        "likelihood": likelihood,
        "architecture": architecture,
        "device": device,
    }
    with answering(GOES_ON):
        parameters = {k: v for k, v in given.items() if v is not None} | parse_set(set_)
        models.check_names(model, parameters)
        request = Request(
            source=absolute(data),
            sha256="",
            model=model,
            seed=seed,
            parameters=parameters,
            standardize=standardize,
            labels=None if labels is None else absolute(labels),
            **wanted(columns, drop, label_column, image_size, split),
        )
        result = run(request, out, console)
    if as_json:
        print_json(result)


def resume(
    folder: Annotated[Path, typer.Argument(help="A folder that `dimix fit` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Go on with a fit that was stopped, from its last finished epoch.

    Example: dimix resume runs/table
    """
    with answering(GOES_ON):
        result = run(read_request(folder), folder, console_for(as_json))
    if as_json:
        print_json(result)


def absolute(source: str | Path) -> str:
    """A path that holds wherever the fit is resumed from; the name of a data set as it is."""
    path = Path(source).expanduser()
    return str(path.resolve() if path.exists() else source)


def run(request: Request, out: Path, console: Console) -> dict[str, Any]:
    """Do what of a fit is still to do; its result.

    Everything is checked before anything is written. What is there is not done again.
    """
    data, preparation, X = prepared(
        request.source, request.selection(), standardize=request.standardize
    )
    request = same_data(request, digest(data.X))
    labels = labels_of(request, data)
    parameters, reasons = models.chosen(request.model, request.parameters, X)
    estimator = models.estimator(request.model, parameters, request.seed)
    models.check(estimator, X)
    check_free(out, request)
    if (out / RESULT).exists():
        tell(console, f"{out} is complete already, and nothing in it was changed")
        result = complete(out, request)
    else:
        for line in (*about_data(request, data, preparation, labels), *reasons):
            tell(console, line)
        write_request(out, request)
        write_json(out, DATA, preparation.to_json())
        fitted, notes = trained(estimator, X, request, out, quiet=console.quiet)
        result = result_of(fitted, X, labels, [*notes, *about_the_number(fitted, request)])
        leave_report(fitted, X, data, preparation, labels, out)
        write_json(out, RESULT, result)
    print_result(result, out, console)
    return result | {"folder": str(out)}


def complete(out: Path, request: Request) -> dict[str, Any]:
    """The result that is there, with a note if this request names other labels."""
    result, before = read_json(out, RESULT), read_request(out)
    given, known = ((r.labels, r.label_column) for r in (request, before))
    if given in (known, (None, None)):
        return result
    named = request.labels or f"the column {request.label_column!r}"
    note = f"complete already, and not scored again with {named}: give another folder for that"
    return result | {"notes": [*result["notes"], note]}


def same_data(request: Request, sha256: str) -> Request:
    """The request with the checksum of its data, which a resumed one has already."""
    if request.sha256 not in ("", sha256):
        raise ValueError(
            f"{request.source}: the data have changed since the fit began; start another one"
        )
    return replace(request, sha256=sha256)


def labels_of(request: Request, data: "Data") -> Labels | None:
    """The labels that score: of the file that was given, or else the data's own."""
    from dimix.data import read_labels

    return data.labels if request.labels is None else read_labels(request.labels, len(data))


def about_data(
    request: Request,
    data: "Data",
    preparation: "Preparation",
    labels: Labels | None,
) -> list[str]:
    """What was read, and what becomes of it, in words."""
    from dimix.data.labels import TEXTS

    shape = " x ".join(map(str, data.X.shape[1:]))
    what = f"rows of {shape} columns" if data.kind == "table" else f"images of {shape}"
    lines = [f"data: {len(data):,} {what} from {request.source}", *about_columns(data)]
    if preparation.centre is not None:
        lines.append("columns brought to mean 0 and variance 1 (--no-standardize leaves them)")
    elif data.kind == "table":
        lines.append("columns left as they are")
    if Path(request.source).suffix.lower() in TEXTS and data.columns is None:
        lines.append("the first line holds numbers alone, and is taken for a row")
    if data.kind == "table" and data.names is not None:
        lines.append("a column called id, name, index or nothing names the rows, and is no data")
    if labels is not None:
        lines.append(f"labels: {len(np.unique(labels))} kinds; they score, and no more")
    return [*lines, f"model {request.model}, seed {request.seed}"]


def about_columns(data: "Data") -> list[str]:
    """Which columns of a table are the data, and what is odd about some."""
    from dimix.data.preparation import constant_columns, numbering_columns

    if data.kind != "table":
        return []
    lines = []
    if data.columns:
        more = len(data.columns) - COLUMNS_TOLD
        told = ", ".join(data.columns[:COLUMNS_TOLD])
        lines.append(f"columns: {told}{f' and {more:,} more' if more > 0 else ''}")
    if constant := constant_columns(data):
        lines.append(f"columns with one value alone, which tell nothing: {', '.join(constant)}")
    if numbering := numbering_columns(data):
        names = ", ".join(numbering)
        lines.append(f"columns that may number the rows, which --drop leaves out: {names}")
    return lines


def trained(
    estimator: Any, X: Rows, request: Request, out: Path, *, quiet: bool
) -> tuple[Any, list[str]]:
    """The fitted model, from where it was left, saved; and what was warned of meanwhile."""
    import dimix
    from dimix.training import DivergedError

    if (out / MODEL).exists():
        return dimix.load(out / MODEL), []
    if request.model != models.MIXTURE:
        progress = False if quiet else request.model
        estimator.set_params(checkpoint_dir=out / TRAINING, progress=progress)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            estimator.fit(X)
        except DivergedError as error:
            fail(str(error), UNEXPECTED)
        n_clusters = request.parameters.get("n_clusters")
        if request.model == models.MIXTURE and n_clusters is not None:
            estimator.cut(n_clusters=estimator.hierarchy_.supported(n_clusters))
    estimator.save(out / MODEL)
    return estimator, list(dict.fromkeys(str(warning.message) for warning in caught))


def result_of(model: Any, X: Rows, labels: Labels | None, notes: list[str]) -> dict[str, Any]:
    """What the fit came to: clusters, the bound, and scores if there are labels."""
    found, scores = clusters_in(model, X, labels)
    return {
        "model": type(model).__name__,
        "n_rows": len(X),
        "n_clusters": len(found),
        "clusters": [asdict(cluster) for cluster in found],
        "nats_per_sample": float(model.score(X)),
        "scores": scores,
        "notes": notes,
    }


def about_the_number(model: Any, request: Request) -> list[str]:
    """What the tree says of the number of clusters, unless that was given."""
    if not hasattr(model, "hierarchy_") or request.parameters.get("n_clusters") is not None:
        return []
    return [model.hierarchy_.gap.diagnosis]


def leave_report(
    model: Any,
    X: Rows,
    data: "Data",
    preparation: "Preparation",
    labels: Labels | None,
    out: Path,
) -> None:
    """The page that shows the fit, in its folder."""
    from dimix.summary import write_report

    write_report(
        model,
        X,
        out / REPORT,
        y=labels,
        names=data.names,
        columns=data.columns,
        inverse=preparation.undo if data.kind == "table" else None,
    )


def print_result(result: Mapping[str, Any], out: Path, console: Console) -> None:
    """The clusters, scores and where everything is, for people."""
    if result["clusters"]:
        console.print(cluster_table([Cluster(**one) for one in result["clusters"]]))
    for note in result["notes"]:
        tell(console, f"note: {note}")
    if result["scores"]:
        named = "  ".join(f"{k} {result['scores'][k]:.3f}" for k in ("acc", "nmi", "cs", "ari"))
        tell(console, f"against the labels: {named}")
    no_bound = result["model"] == "Algorithm1"
    what = "log p(x | z), no bound on log p(x)" if no_bound else "log p(x), or the bound on it"
    tell(console, f"{what}: {result['nats_per_sample']:.3f} nats a sample")
    tell(console, f"model: {out / MODEL}")
    if (out / REPORT / "report.html").exists():
        tell(console, f"report: {out / REPORT / 'report.html'}")
