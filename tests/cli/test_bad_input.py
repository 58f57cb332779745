"""Bad input gives exit code 2, one line, and no trace on disk: the tables of docs/cli.md."""

import functools
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli_calls import call

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (`+)(?P<message>.+?)\2 \|$", re.MULTILINE)


def messages(section: str) -> dict[str, str]:
    """What the table of a section says."""
    text = PAGE.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    return {row["what"]: row["message"] for row in ROW.finditer(text)}


MESSAGES, OF_DAMAGE = messages("Bad input"), messages("Damaged models")
GOOD = "a,b\n1,2\n3,4\n"


def text(name: str, content: str | bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return [name]

    return make


def array(name: str, *arrays: np.ndarray, keep: int | None = None) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        save = np.savez if name.endswith("z") else np.save
        save(folder / name, *arrays, allow_pickle=True)
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])
        return [name]

    return make


def pictures(*shapes: tuple[int, ...], dtype: str = "u1") -> Callable[[Path], list[str]]:
    """Images a.png, b.png, …; one without a shape is corrupt."""

    def make(folder: Path) -> list[str]:
        (folder / "images").mkdir()
        for name, shape in zip("abcde", shapes, strict=False):
            file = folder / "images" / f"{name}.png"
            Image.fromarray(np.zeros(shape or (4, 4), dtype)).save(file)
            if not shape:
                file.write_bytes(file.read_bytes()[:40])
        return ["images"]

    return make


def pages(folder: Path) -> list[str]:
    (folder / "images").mkdir()
    image = Image.new("L", (4, 4))
    image.save(folder / "images" / "a.tif", save_all=True, append_images=[image])
    return ["images"]


def labels(name: str, content: str | np.ndarray) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (text if isinstance(content, str) else array)(name, content)(folder)  # type: ignore[arg-type]
        return [*text("t.csv", GOOD)(folder), "--labels", name]

    return make


def labelled(folder: Path) -> list[str]:
    np.savez(folder / "t.npz", X=np.eye(2), y=np.array([np.nan, 1.0]))
    return ["t.npz"]


def table(*options: str) -> Callable[[Path], list[str]]:
    return lambda folder: [*text("t.csv", GOOD)(folder), *options]


BAD: dict[str, Callable[[Path], list[str]]] = {
    "another ending": text("t.xlsx", "1"),
    "no such file": lambda _: ["nowhere.csv"],
    "an empty file": text("t.csv", ""),
    "a table of names alone": text("t.csv", "a,b\n"),
    "text in a numeric column": text("t.csv", "a,city\n1,2\n3,Rome\n"),
    "missing values": text("t.csv", "a,b\n1,2\n3,\n"),
    "infinite values": array("t.npy", np.array([[1.0, 2.0], [3.0, np.inf]])),
    "values too large to standardise": text("t.csv", "a,b\n1,2e300\n3,4e300\n"),
    "rows of different lengths": text("t.csv", "a,b\n1,2\n3,4,5\n"),
    "a text table that is not UTF-8": text("t.csv", "a,ü\n1,2\n".encode("latin1")),
    "a file of another kind": text("t.npy", "a,b"),
    "objects in an array, which would need unpickling": array("t.npy", np.array([{}, {}])),
    "a truncated array": array("t.npy", np.ones((9, 9)), keep=200),
    "an array of one axis": array("t.npy", np.ones(3)),
    "several arrays, none of them X": array("t.npz", np.ones((2, 2)), np.ones((2, 2))),
    "a column that is not there": table("--drop", "town"),
    "a folder without images": lambda folder: [str((folder / "empty").mkdir() or "empty")],
    "a corrupt image among good ones": pictures((4, 4), (), (4, 4)),
    "images of mixed sizes": pictures((4, 4), (4, 5), (4, 4)),
    "several images in one file": pages,
    "images of 16 bits": pictures((4, 4), (4, 4), dtype="u2"),
    "more labels than rows": labels("l.npy", np.arange(3)),
    "fewer labels than rows": labels("l.csv", "kind\n1\n"),
    "labels beside the data that are no whole numbers": labelled,
    "labels in several columns": labels("l.csv", "kind,sort\n1,2\n1,2\n"),
    "labels that are no whole numbers": labels("l.npy", np.array([0.5, 1.0])),
    "a parameter that the model does not take": table("--latent-dim", "3"),
    "a value that a parameter cannot have": table("--set", "covariance_type=round"),
    "images for the mixture": pictures((4, 4), (4, 4)),
    "convolutions on a table": table("--model", "vae", "--architecture", "conv"),
    "the Bernoulli likelihood outside [0, 1]": table("--model", "vae", "--likelihood", "bernoulli"),
    "a folder with other files": table("--out", "."),
}


def test_the_page_lists_what_is_held_here() -> None:
    assert {*MESSAGES} == {*BAD, "a missing package"}
    assert {*OF_DAMAGE} == {*DAMAGE}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = BAD[what](tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    code, output = call("fit", "--model", "mixture", "--out", "out", *arguments)
    assert code == 2
    assert MESSAGES[what] in output
    assert output.count("dimix:") == 1
    assert {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == before


def flip_a_byte(model: Path) -> None:
    file = model / "mixture.safetensors"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)


def cut_short(model: Path) -> None:
    file = model / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-40])


def link(model: Path) -> None:
    file, elsewhere = model / "mixture.safetensors", model.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def edited(*entries: str, value: str) -> Callable[[Path], None]:
    """An entry of the config, or one inside of it, set to something else."""

    def edit(model: Path) -> None:
        config = json.loads((model / "config.json").read_text())
        *path, last = entries
        functools.reduce(dict.__getitem__, path, config)[last] = value
        (model / "config.json").write_text(json.dumps(config))

    return edit


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a byte of the arrays flipped": flip_a_byte,
    "the arrays cut short": cut_short,
    "a file missing": lambda model: (model / "metadata.json").unlink(),
    "a config that names another class": edited("class", value="os.system"),
    "a config that names a file elsewhere": edited("sha256", "../../labels.npy", value="0" * 64),
    "a link to a file elsewhere": link,
}


@pytest.mark.parametrize("what", OF_DAMAGE)
def test_damaged_models(what: str, deep: Path, images: Path, tmp_path: Path) -> None:
    shutil.copytree(deep, tmp_path / "fit")
    DAMAGE[what](tmp_path / "fit" / "model")
    code, output = call("predict", tmp_path / "fit", images, "--out", tmp_path / "p.csv")
    assert code == 2
    assert OF_DAMAGE[what] in output
    assert output.count("dimix:") == 1
    assert not (tmp_path / "p.csv").exists()


def test_a_missing_package_is_named_with_its_extra(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    code, output = call("fit", csv, "--out", tmp_path / "out")
    assert code == 2
    assert MESSAGES["a missing package"] in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "0"), "--epochs"),
        (("--model", "kmeans"), "--model"),
        (("--image-size", "28"), "--image-size must be two numbers, as in 28x28; found '28'"),
        (("--set", "views"), "--set takes NAME=VALUE, as in --set views=2; found 'views'"),
        (("--set", "random_state=3"), "random_state is no parameter of the model infinite"),
    ],
)
def test_bad_options(options: tuple[str, ...], message: str, csv: Path, tmp_path: Path) -> None:
    code, output = call("fit", csv, "--out", tmp_path / "out", *options)
    assert code == 2
    assert message in output
    assert not (tmp_path / "out").exists()
