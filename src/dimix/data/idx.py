"""IDX files, the format in which MNIST is published: read strictly, and written.

    bytes 0, 1    zero
    byte 2        type of the entries; 08 is an unsigned byte, the only one accepted here
    byte 3        number of axes, A
    4 A bytes     the length of each axis, big-endian
    the rest      the entries, last axis fastest

Source of the format: the page that published MNIST, by LeCun, Cortes and Burges. A path that
ends in `.gz` is compressed.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dimix.data.base import DataError

TYPES = {
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
UNSIGNED_BYTE = 0x08


def decode(content: bytes, axes: int, source: str) -> UInt8[np.ndarray, "..."]:
    """The array in an uncompressed IDX file of unsigned bytes.

    Args:
        content: all of the file.
        axes: how many axes the array must have.
        source: what to call the file in an error.

    Raises:
        DataError: the content is anything but such an array, whole and alone.
    """
    if content[:4] != _magic(axes):
        found, expected = _describe(content[:4]), _describe(_magic(axes))
        raise DataError(f"{source}: expected {expected}, found {found}")
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{source}: expected a header of {start} bytes, found {len(content)}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    size, found_size = math.prod(shape), len(content) - start
    if size != found_size:
        times = " x ".join(map(str, shape))
        raise DataError(
            f"{source}: expected {times} = {size} bytes after the header, found {found_size}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # writable


def encode(array: UInt8[np.ndarray, "..."]) -> bytes:
    """An array as the content of an uncompressed IDX file."""
    lengths = struct.pack(f">{array.ndim}I", *array.shape)
    return _magic(array.ndim) + lengths + array.tobytes()


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if its name ends in `.gz`.

    Raises:
        DataError: the file is missing, unreadable, or not a whole gzip file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, found: {error.strerror}") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole gzip file, found: {error}") from error


def write(path: Path, array: UInt8[np.ndarray, "..."]) -> None:
    """Write an array as an IDX file, compressed if the name ends in `.gz`."""
    content = encode(array)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _magic(axes: int) -> bytes:
    return bytes([0, 0, UNSIGNED_BYTE, axes])


def _describe(magic: bytes) -> str:
    """The first four bytes of a file in words."""
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in TYPES:
        return f"an IDX file of {TYPES[magic[2]]} with {magic[3]} axes"
    return f"a file that begins with the bytes [{magic.hex(' ')}]"
