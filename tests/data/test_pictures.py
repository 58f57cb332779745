"""Folders of images: pixels, channels, subfolders, sizes, and the one that is corrupt."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimix.data import DataError, Selection, blocks, read

RNG = np.random.default_rng(0)


def save(file: Path, *shape: int, mode: str | None = None) -> np.ndarray:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file)
    return pixels


def test_pixels_in_the_order_of_the_names(tmp_path: Path) -> None:
    expected = [save(tmp_path / f"{i}.png", 4, 5) for i in range(7)]
    (tmp_path / "notes.txt").write_text("no image")
    save(tmp_path / ".hidden" / "x.png", 9, 9)
    data = read(tmp_path)
    assert np.array_equal(data.X, np.stack(expected))
    assert data.names == tuple(f"{i}.png" for i in range(7))
    assert data.labels is None
    assert [len(part) for part in blocks(tmp_path, n_bytes=3 * 20)] == [3, 3, 1]


def test_subfolders_are_labels(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.PNG"):
        save(tmp_path / name, 4, 4)
    data = read(tmp_path)
    assert data.labels is not None
    assert list(data.labels) == ["cat", "cat", "dog"]
    assert data.names == ("cat/1.png", "cat/2.png", "dog/1.PNG")


@pytest.mark.parametrize(
    ("modes", "colour", "shape"),
    [
        (("L", "1", "LA"), None, (4, 5)),
        (("L", "RGB", "P"), None, (4, 5, 3)),
        (("RGB", "RGBA", "CMYK"), False, (4, 5)),
        (("L", "L", "L"), True, (4, 5, 3)),
    ],
)
def test_channels(
    modes: tuple[str, ...], colour: bool | None, shape: tuple[int, ...], tmp_path: Path
) -> None:
    for i, mode in enumerate(modes):
        save(tmp_path / f"{i}.tif", 4, 5, 3, mode=mode)
    data = read(tmp_path, Selection(colour=colour))
    assert data.X.shape[1:] == shape
    if modes == ("L", "L", "L"):
        assert (data.X[..., :1] == data.X).all()


def test_all_are_resized_if_a_size_is_given(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 8, 8)
    save(tmp_path / "b.png", 4, 6)
    assert read(tmp_path, Selection(image_size=(3, 5))).X.shape == (2, 3, 5)


def test_a_photograph_is_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path).X[0], np.rot90(pixels, -1))


def test_one_corrupt_image_among_ten_thousand_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0000.png", 4, 4)
    whole = (tmp_path / "0000.png").read_bytes()
    for i in range(1, 10_000):
        (tmp_path / f"{i:04}.png").write_bytes(whole)
    (tmp_path / "7217.png").write_bytes(whole[:60])
    with pytest.raises(DataError, match=r"7217\.png: expected an image, found: "):
        read(tmp_path)


def test_a_file_that_only_says_that_it_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image at all")
    with pytest.raises(DataError, match=r"a\.jpg: expected an image, found: cannot identify"):
        read(tmp_path)


@pytest.mark.parametrize("ending", ["tif", "gif", "webp"])
def test_a_file_of_several_images_is_refused(ending: str, tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 5), shade) for shade in (0, 200, 90)]
    pages[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=rf"a\.{ending}: expected one image, found 3 pages"):
        read(tmp_path)


def test_the_first_page_of_a_photograph_is_the_picture(tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 5), shade) for shade in (200, 0)]
    pages[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pages[1:])
    assert (read(tmp_path).X == 200).all()
