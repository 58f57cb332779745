"""A folder of images, all of one size, by Pillow. Subfolders are labels: FOLDER/cat/1.png."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dimix.data.base import Data, DataError, Selection
from dimix.data.checks import needed, opening

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
ORIENTATION, ON_ITS_SIDE = 0x0112, 5
"""The EXIF tag, and the values from which on height and width change places."""
GREY, COLOUR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


def blocks(folder: Path, wanted: Selection, n_bytes: int) -> Iterator[Data]:
    """Blocks of the images in a folder and below, in the order of their paths.

    Every file's header is read first, so that sizes that differ are known before any work.
    """
    files = image_files(folder)
    heads = [_head(file) for file in files]
    size = wanted.image_size or _one_size(files, [head[0] for head in heads])
    colour = wanted.colour
    if colour is None:
        colour = any(mode in COLOUR for _, mode in heads)
    step = max(1, n_bytes // (size[0] * size[1] * (3 if colour else 1)))
    for start in range(0, len(files), step):
        some = files[start : start + step]
        images = np.stack([_pixels(file, size, colour=colour) for file in some])
        inside = [file.relative_to(folder) for file in some]
        below = all(file.parent != folder for file in files)
        labels = np.array([path.parts[0] for path in inside]) if below else None
        yield Data(images, names=tuple(path.as_posix() for path in inside), labels=labels)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and below, hidden ones left out.

    Raises:
        DataError: there is none.
    """
    with opening(folder, "a readable folder"):
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = [f for f in files if not any(p.startswith(".") for p in f.relative_to(folder).parts)]
    if not files:
        raise DataError(
            f"{folder}: expected images ({', '.join(SUFFIXES)}) or IDX files, found none"
        )
    return files


def _head(file: Path) -> tuple[tuple[int, int], str]:
    """Height and width as it is looked at, and mode, of an image."""
    pillow = needed("PIL.Image", file)
    with opening(file, "an image", SyntaxError), _opened(file) as image:
        if image.mode not in GREY + COLOUR:
            raise DataError(
                f"{file}: expected an image of 8 bits a channel, found mode {image.mode}"
            )
        n_pages = getattr(image, "n_frames", 1)
        if n_pages > 1 and image.format != "MPO":  # a photograph whose first page is the picture
            raise DataError(f"{file}: expected one image, found {n_pages} pages: save each alone")
        exif = pillow.Image.getexif(image)  # PNG's own would decode all of it
        turned = exif.get(ORIENTATION, 1) >= ON_ITS_SIDE
        width, height = image.size[::-1] if turned else image.size
        return (height, width), image.mode


def _opened(file: Path) -> Any:
    pillow = needed("PIL.Image", file)
    with opening(file, "an image", SyntaxError, pillow.DecompressionBombError):
        return pillow.open(file)


def _one_size(files: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size that all images have."""
    (most, count), *others = Counter(sizes).most_common()
    if others:
        odd = next(i for i, size in enumerate(sizes) if size != most)
        raise DataError(
            f"{files[odd]}: expected images of one size, found {_by(sizes[odd])}, while "
            f"{count} of {len(files)} are {_by(most)}: give image_size (--image-size) to resize all"
        )
    return most


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _pixels(file: Path, size: tuple[int, int], *, colour: bool) -> UInt8[np.ndarray, "H W *C"]:
    """An image's bytes, upright, in one channel or three."""
    ops = needed("PIL.ImageOps", file)
    with (
        warnings.catch_warnings(),
        opening(file, "an image", SyntaxError, IndexError),
        _opened(file) as image,
    ):
        warnings.simplefilter("ignore")  # of metadata that are not used
        upright = ops.exif_transpose(image).convert("RGB" if colour else "L")
        height, width = size
        shown = upright if upright.size == (width, height) else upright.resize((width, height))
        return np.array(shown, dtype=np.uint8)
