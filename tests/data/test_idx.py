"""The IDX reader: takes back what was written, and turns everything else into one error."""

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dimix.data import DataError, idx

ARRAYS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))


def test_content_is_the_published_format() -> None:
    content = idx.encode(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))

    assert content == bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])


@given(ARRAYS)
def test_decode_inverts_encode(array: np.ndarray) -> None:
    decoded = idx.decode(idx.encode(array), array.ndim, "x")

    np.testing.assert_array_equal(decoded, array, strict=True)
    assert decoded.flags.writeable  # torch warns of arrays that are not


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_written_file_reads_back(tmp_path: Path, name: str) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / name

    idx.write(path, array)

    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    np.testing.assert_array_equal(idx.decode(idx.read_bytes(path), 3, name), array)


BEGINNINGS = st.sampled_from([b"", *(bytes([0, 0, 8, axes]) for axes in (1, 2, 3))])


@given(BEGINNINGS, st.binary(max_size=64), st.integers(1, 3))
@example(bytes([0, 0, 8, 3]), b"\xff" * 12, 3)
@example(bytes([0, 0, 8, 3]), bytes(12), 3)
def test_any_bytes_give_an_array_or_a_data_error(beginning: bytes, rest: bytes, axes: int) -> None:
    content = beginning + rest
    with suppress(DataError):
        assert idx.encode(idx.decode(content, axes, "x")) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with the bytes \[\]"),
        (b"PNG!", r"begins with the bytes \[50 4e 47 21\]"),
        (bytes([0, 0, 13, 1]), "expected an IDX file of unsigned bytes with 1 axes, "),
        (bytes([0, 0, 13, 1]), "found an IDX file of 32-bit floats with 1 axes"),
        (bytes([0, 0, 8, 3]), "found an IDX file of unsigned bytes with 3 axes"),
        (bytes([0, 0, 8, 1, 0, 0]), "expected a header of 8 bytes, found 6"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3]), "expected 4 = 4 bytes .* found 3"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3]), "expected 2 = 2 bytes .* found 3"),
    ],
)
def test_wrong_content_says_what_is_wrong(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        idx.decode(content, 1, "labels")

    assert str(caught.value).startswith("labels: ")


@given(st.binary(max_size=40), st.integers(0, 39))
def test_cut_gzip_file_is_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, end: int
) -> None:
    whole = gzip.compress(content)
    path = tmp_path_factory.mktemp("cut") / "a.gz"
    path.write_bytes(whole[: min(end, len(whole) - 1)])

    if path.stat().st_size == 0:
        assert idx.read_bytes(path) == b""  # an empty file is a valid gzip of nothing
    else:
        with pytest.raises(DataError, match=r"a\.gz: expected a whole gzip file"):
            idx.read_bytes(path)


def test_damaged_gzip_file_is_a_data_error(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(bytes(range(100))))
    damaged[20] ^= 0xFF
    path = tmp_path / "a.gz"
    path.write_bytes(damaged)

    with pytest.raises(DataError, match="expected a whole gzip file"):
        idx.read_bytes(path)


def test_missing_file_and_folder_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: expected a readable file, found: No such file"):
        idx.read_bytes(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected a readable file, found: Is a directory"):
        idx.read_bytes(tmp_path)
