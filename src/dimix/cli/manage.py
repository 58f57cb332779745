"""A fit as a whole: `info` shows it, `cut` takes another level of its tree, `export` ships it."""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from dimix.cli.clusters import clusters_by_size, clusters_in
from dimix.cli.derive import Folder
from dimix.cli.fit import Labels, Rows, labels_of, print_result, same_data
from dimix.cli.folder import (
    DATA,
    MODEL,
    REPORT,
    REQUEST,
    RESULT,
    TRAINING,
    Fit,
    Request,
    digest,
    open_fit,
    read_json,
    read_preparation,
    read_request,
    write_json,
)
from dimix.cli.options import prepared
from dimix.cli.output import BAD_INPUT, AsJson, answering, console_for, print_json, tell

SHOWN = ("kind", "shape", "dtype")
"""Of the data."""


def info(folder: Folder, as_json: AsJson = False) -> None:
    """Show what a folder holds: the request, the data, how far the fit is, its clusters.

    Example: dimix info runs/table
    """
    console = console_for(as_json)
    with answering():
        request = asdict(read_request(folder))
        data = read_preparation(folder).to_json() if (folder / DATA).exists() else {}
        result = read_json(folder, RESULT) if (folder / RESULT).exists() else None
        state = state_of(folder)
    for name, value in request.items():
        if value not in (None, {}, ()):
            tell(console, f"{name}: {value}")
    tell(console, "data: " + "  ".join(f"{k} {data[k]}" for k in SHOWN if k in data))
    tell(console, f"state: {state}")
    if result:
        print_result(result, folder, console)
    if as_json:
        print_json({"request": request, "data": data or None, "state": state, "result": result})


def state_of(folder: Path) -> str:
    """How far a fit has come, in words."""
    if (folder / RESULT).exists():
        return "complete"
    if (folder / MODEL).exists():
        return "trained; `dimix resume` adds clusters and report"
    curves = (folder / TRAINING).glob("**/curves.csv")
    latest = max(curves, key=lambda file: file.stat().st_mtime, default=None)
    if latest is None:
        return "not begun; `dimix resume` goes on"
    step = "" if latest.parent.name == TRAINING else f" ({latest.parent.name})"
    n_epochs = len(latest.read_text("utf-8").splitlines()) - 1
    return f"in training{step}, epoch {n_epochs} is done; `dimix resume` goes on"


def cut(
    folder: Folder,
    n_clusters: Annotated[int | None, typer.Option(min=1, help="So many clusters.")] = None,
    n_eff: Annotated[
        float | None, typer.Option(min=0, help="Rows' worth of trust in a Gaussian shape.")
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="The tree's widest gap.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for it; default: change this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take another level of the hierarchy, without training.

    Example: dimix cut runs/table --n-clusters 5 --out runs/table-5
    """
    console = console_for(as_json)
    with answering():
        fit = open_fit(folder)
        if not hasattr(fit.model, "hierarchy_"):
            raise ValueError(f"{folder}: a model of kind {fit.request.model} has no hierarchy")
        if sum([n_clusters is not None, n_eff is not None, auto]) != 1:
            raise ValueError("cut takes one of --n-clusters, --n-eff and --auto")
        how = "auto" if auto else None
        fit.model.cut(how, n_clusters=n_clusters, n_eff=n_eff)
        with console.status("looking at the data again"):
            result = cut_result(fit, [fit.model.hierarchy_.gap.diagnosis] if auto else [])
        if out is None:
            write_cut(fit, folder, result)
        else:
            beside(out, lambda place: copy_cut(fit, place, result))
    print_result(result, out or folder, console)
    if as_json:
        print_json(result | {"folder": str(out or folder)})


def cut_result(fit: Fit, notes: list[str]) -> dict[str, Any]:
    """The result at another cut.

    Where the data are no longer there, or no longer those of the fit, sizes are the tree's, and
    what else needs the data is not known.

    Raises:
        ValueError: the fit was stopped before it had a result.
    """
    if not (fit.folder / RESULT).exists():
        raise ValueError(
            f"{fit.folder}: this fit has a model, but no {RESULT} yet; `dimix resume {fit.folder}` "
            "adds clusters and report"
        )
    before, tree = read_json(fit.folder, RESULT), fit.model.hierarchy_
    rows = rows_again(fit.request)
    if rows is None:
        shares = np.bincount(fit.model.component_labels_[tree.leaves], tree.shares)
        found, scores = clusters_by_size(before["n_rows"] * shares), None
        notes = [*notes, "the data are not there as they were: sizes are the tree's"]
    else:
        found, scores = clusters_in(fit.model, *rows)
    return before | {
        "n_clusters": len(found),
        "clusters": [asdict(cluster) for cluster in found],
        "scores": scores,
        "notes": notes,
    }


def rows_again(request: Request) -> tuple[Rows, Labels | None] | None:
    """The rows of a fit and their labels, or None where they cannot be read as they were."""
    try:
        data, _, X = prepared(request.source, request.selection(), standardize=request.standardize)
        same_data(request, digest(data.X))
        return X, labels_of(request, data)
    except BAD_INPUT:
        return None


def write_cut(fit: Fit, folder: Path, result: dict[str, Any]) -> None:
    """Model, result and report at another cut."""
    from dimix.records import FitBundle
    from dimix.report import write_fit_report

    fit.model.save(folder / MODEL, overwrite=True)
    write_json(folder, RESULT, result)
    if (folder / REPORT).is_dir():
        bundle = FitBundle.load(folder / REPORT)
        replace(bundle, n_clusters=result["n_clusters"]).save(folder / REPORT)
        write_fit_report(folder / REPORT)


def copy_cut(fit: Fit, folder: Path, result: dict[str, Any]) -> None:
    """The same in a folder of its own."""
    for name in (REQUEST, DATA):
        shutil.copy2(fit.folder / name, folder / name)
    if (fit.folder / REPORT).is_dir():
        shutil.copytree(fit.folder / REPORT, folder / REPORT)
    write_cut(fit, folder, result)


def beside(folder: Path, write: Callable[[Path], None]) -> None:
    """Make a folder that appears whole or not at all.

    Raises:
        FileExistsError: it is there already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and nothing in it was changed")
    place = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    place.mkdir(parents=True)
    try:
        write(place)
        place.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def export(
    folder: Folder,
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    as_json: AsJson = False,
) -> None:
    """Write the model as ONNX: embedding and clusters in one graph.

    Its input is as the model sees it: bytes divided by 255, tables standardised by data.json.

    Example: dimix export runs/images --onnx images.onnx
    """
    with answering():
        if onnx.suffix.lower() != ".onnx":
            raise ValueError(f"--onnx must end in .onnx; found {onnx.name!r}")
        fit = open_fit(folder)
        from dimix.export import export_onnx

        export_onnx(fit.model, onnx)
    tell(console_for(as_json), f"model: {onnx}")
    if as_json:
        print_json({"out": str(onnx)})
