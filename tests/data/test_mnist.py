"""All of MNIST: where it is looked for, and that it is MNIST. Downloads from a local server."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pooch
import pytest

from dimix.data import DataError, idx, load, mnist

REAL_DATA = os.environ.get("DIMIX_DATA")


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment, an empty cache, and no way to the real download."""
    monkeypatch.delenv("DIMIX_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(mnist, "URL", "http://127.0.0.1:9/")


@pytest.fixture
def suffix() -> str:
    return ".gz"


@pytest.fixture
def as_mnist(small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small data set under the name of MNIST, its checksums in the place of MNIST's."""
    place = small_folder.rename(small_folder.with_name("mnist"))
    contents = {path.stem: _sha256(idx.read_bytes(path)) for path in place.iterdir()}
    downloads = {path.name: _sha256(path.read_bytes()) for path in place.iterdir()}
    monkeypatch.setattr(mnist, "CONTENTS", contents)
    monkeypatch.setattr(mnist, "DOWNLOADS", downloads)
    return place


@pytest.fixture
def server(as_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """The same as what there is to download, behind a local server."""
    handler = partial(QuietHandler, directory=str(as_mnist))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(mnist, "URL", f"http://127.0.0.1:{server.server_port}/")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the requests out of the tests' output."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_reads_the_folder_mnist_of_data_dir(as_mnist: Path) -> None:
    assert load("mnist", "train", data_dir=as_mnist.parent).images.shape == (7, 4, 5)
    assert load("mnist", "test", data_dir=str(as_mnist.parent)).images.shape == (3, 4, 5)


def test_reads_the_folder_of_the_environment(
    as_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIMIX_DATA", str(as_mnist.parent))

    assert len(load("mnist", "train")) == 7


def test_a_given_data_dir_must_hold_mnist(
    as_mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIMIX_DATA", str(as_mnist.parent))
    elsewhere = tmp_path / "elsewhere"

    with pytest.raises(DataError, match="elsewhere/mnist/train-images-idx3-ubyte: expected this"):
        load("mnist", "train", data_dir=elsewhere)


def test_another_data_set_is_not_mnist(as_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    with pytest.raises(DataError, match=r"train-images-idx3.*: expected content with SHA-256 ba89"):
        load("mnist", "train", data_dir=as_mnist.parent)


def test_downloads_once(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIMIX_DATA", str(tmp_path / "without-mnist"))

    train = load("mnist", "train")
    server.shutdown()
    server.server_close()

    assert len(list((tmp_path / "cache" / "dimix" / "mnist").iterdir())) == 4
    np.testing.assert_array_equal(load("mnist", "train").images, train.images)
    assert len(load("mnist", "test")) == 3


def test_a_damaged_download_is_refused_and_not_kept(
    server: ThreadingHTTPServer, as_mnist: Path, tmp_path: Path
) -> None:
    (as_mnist / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not this")

    message = "t10k-labels-idx1-ubyte.gz: expected to download this file with SHA-256"
    with pytest.raises(DataError, match=message):
        load("mnist", "train")
    assert not (tmp_path / "cache/dimix/mnist/t10k-labels-idx1-ubyte.gz").exists()


@pytest.mark.usefixtures("as_mnist")
def test_no_network_says_what_to_do_instead() -> None:
    with pytest.raises(DataError, match=r"found: .*put MNIST's four IDX files in DIR/mnist"):
        load("mnist", "train")


@pytest.mark.skipif(REAL_DATA is None, reason="DIMIX_DATA does not lead to MNIST")
def test_the_real_mnist() -> None:
    train, test = load("mnist", "train", REAL_DATA), load("mnist", "test", REAL_DATA)

    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
