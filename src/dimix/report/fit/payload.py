"""A bundle as the JSON that its page reads.

Arrays are base64 of little-endian numbers in as few bytes as what is shown needs: two for a
place on the map or a value in a column, one for a probability.
"""

import base64
import io
import json
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped, UInt8
from PIL import Image

from dimix.records import FitBundle
from dimix.report.page import flat

MISSING = 2**16 - 1
"""The code of a missing value, and of an unknown label."""
PER_DISTANCE = 1_000
"""Steps of the distance from a component's mean, in standard deviations."""
ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def bundle_json(bundle: FitBundle) -> str:
    """The bundle as JSON that may stand inside a script element."""
    parts = {
        "title": bundle.title,
        "nRows": bundle.n_rows,
        "points": points(bundle),
        "components": components(bundle),
        "columns": columns(bundle),
        "labels": labels(bundle),
        "pictures": pictures(bundle),
        "fidelity": fidelity(bundle),
        "course": course(bundle),
        "settings": list(flat(bundle.settings)),
        "versions": list(flat(bundle.versions)),
        "notes": bundle.notes,
    }
    text = json.dumps(parts, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def packed(array: Shaped[np.ndarray, "..."], dtype: str) -> dict[str, Any]:
    """An array as its type, shape and bytes."""
    data = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()
    return {
        "type": dtype,
        "shape": array.shape,
        "data": base64.b64encode(data).decode("ascii"),
    }


def points(bundle: FitBundle) -> dict[str, Any]:
    """What is said of each point; places are in steps of the map's longer side."""
    xy = bundle.map_xy.astype(np.float64)
    low, high = xy.min(0), xy.max(0)
    steps = (xy - low) * (MISSING / (float((high - low).max()) or 1.0))
    distance = np.minimum(bundle.distance * PER_DISTANCE, MISSING)
    return {
        "xy": packed(np.rint(steps), "uint16"),
        "mapName": bundle.map_name,
        "rows": packed(bundle.rows, "uint32"),
        "components": packed(bundle.components, "uint16"),
        "probabilities": packed(np.rint(bundle.probabilities * 255), "uint8"),
        "distance": packed(np.rint(distance), "uint16"),
        "names": bundle.names,
    }


def components(bundle: FitBundle) -> dict[str, Any]:
    """The components, the tree over them and where it is cut."""
    return {
        "sizes": bundle.sizes.tolist(),
        "linkage": None if bundle.linkage is None else bundle.linkage.tolist(),
        "nClusters": bundle.n_clusters,
        "autoClusters": bundle.auto_clusters,
        "autoNote": bundle.auto_note,
    }


def columns(bundle: FitBundle) -> dict[str, Any]:
    """The columns' values between their extremes, column by column, and samples of each."""
    if bundle.columns is None:
        return {"names": []}
    values = bundle.columns.astype(np.float64)
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(0)
    high = np.where(known, values, -np.inf).max(0)
    low, high = np.where(known.any(0), low, 0.0), np.where(known.any(0), high, 0.0)
    per_unit = (MISSING - 1) / np.where(high > low, high - low, 1)
    steps = (np.where(known, values, low) - low) * per_unit
    samples = bundle.samples
    return {
        "names": bundle.column_names,
        "codes": packed(np.where(known, np.rint(steps), MISSING).T, "uint16"),
        "low": low.tolist(),
        "high": high.tolist(),
        "samples": None if samples is None else packed(samples, "float32"),
    }


def labels(bundle: FitBundle) -> dict[str, Any] | None:
    """The label of each point, if there are any."""
    if bundle.labels is None:
        return None
    codes = np.where(bundle.labels < 0, MISSING, bundle.labels)
    return {"names": bundle.label_names, "codes": packed(codes, "uint16")}


def pictures(bundle: FitBundle) -> dict[str, Any] | None:
    """Every picture in one sprite: thumbnails, samples, originals, reconstructions."""
    if bundle.thumbnails is None or bundle.thumbnail_points is None:
        return None
    shape = bundle.thumbnails.shape[1:]
    rest = (bundle.samples, bundle.originals, bundle.reconstructions)
    parts = [bundle.thumbnails, *(p.reshape(-1, *shape) for p in rest if p is not None)]
    tiles = np.concatenate(parts).astype(np.uint8)
    per_row = max(1, int(np.ceil(np.sqrt(len(tiles) * shape[0] / shape[1]))))
    samples, originals = bundle.samples, bundle.originals
    return {
        "png": base64.b64encode(png(sprite(tiles, per_row))).decode("ascii"),
        "perRow": per_row,
        "height": shape[0],
        "width": shape[1],
        "points": packed(bundle.thumbnail_points, "uint32"),
        "nDraws": 0 if samples is None else samples.shape[1],
        "nOriginals": 0 if originals is None else len(originals),
    }


def sprite(
    tiles: UInt8[np.ndarray, "t h w *c"], per_row: int
) -> UInt8[np.ndarray, "rows columns *c"]:
    """Pictures side by side, so many a row; the last row is filled up with zeros."""
    count, height, width, *colours = tiles.shape
    n_rows = -(-count // per_row)
    filled = np.zeros((n_rows * per_row, height, width, *colours), np.uint8)
    filled[:count] = tiles
    grid = filled.reshape(n_rows, per_row, height, width, *colours)
    return grid.swapaxes(1, 2).reshape(n_rows * height, per_row * width, *colours)


def png(picture: UInt8[np.ndarray, "rows columns *c"]) -> bytes:
    """A picture's file."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", compress_level=6)
    return out.getvalue()


def fidelity(bundle: FitBundle) -> list[float | None]:
    """The share of each column's variance that its reconstruction keeps, R²; None of a constant."""
    before, after = bundle.originals, bundle.reconstructions
    if before is None or after is None or bundle.columns is None:
        return []
    kept = []
    for mine, back in zip(before.T.astype(np.float64), after.T, strict=True):
        known = np.isfinite(mine)
        total = np.sum((mine[known] - mine[known].mean()) ** 2) if known.any() else 0.0
        lost = np.sum((mine[known] - back[known]) ** 2)
        kept.append(finite(1 - lost / total) if total > 0 else None)
    return kept


def course(bundle: FitBundle) -> dict[str, Any]:
    """The history column by column, along its epochs or updates, and the moves."""
    along = next((name for name in ("epoch", "update") if name in bundle.history), None)
    if along is None:
        return {"along": None, "columns": [], "moves": bundle.moves}
    return {
        "along": along,
        "at": in_json(bundle.history[along]),
        "columns": [
            [name, in_json(column)] for name, column in bundle.history.items() if name != along
        ],
        "moves": bundle.moves,
    }


def in_json(column: Num[np.ndarray, " E"]) -> list[float | None]:
    """Numbers, and null for what is none."""
    return [finite(value) for value in column.tolist()]


def finite(value: float) -> float | None:
    """A number to six digits, or None of NaN and infinities."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
