"""A small run folder of invented cells, its report, and a browser to open it in."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dimix.records import Bundle, Record, cell_path, write_curves, write_record
from dimix.report import ReportFiles, write_report

CHROMIUM = Path("/usr/bin/chromium")
ARGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SCORES = {"acc": 0.5, "nmi": 0.4, "cs": 0.45, "ari": 0.3, "n_clusters": 10, "n_effective": 9}
ALONE = {"acc": 0.1, "nmi": 0.0, "cs": 1.0, "ari": 0.0, "n_clusters": 1, "n_effective": 1}
NETWORKS = ("vae", "gmvae", "algorithm1-soft")
ROWS = (*NETWORKS, "vae+kmeans", "vae+dpgmm-50", "gmvae+dpgmm")

MakeRecord = Callable[..., Record]
AddCell = Callable[..., Record]


def invented_record(row: str = "vae+gmm", latent_dim: int = 10, seed: int = 0, **given) -> Record:
    scores = {"train": SCORES, "test": ALONE if row == "vae" else SCORES}
    fields = {
        "dataset": "mnist-5k",
        "epochs": 3,
        "settings": {"likelihood": "bernoulli", "mixture": {"tol": 1e-5}},
        "scores": {"train": ALONE, "test": ALONE} if row == "vae" else scores,
        "bound": {"train": -98.25, "test": -99.5},
        "seconds": 12.0,
        "peak_memory_mb": 800.0,
        "versions": {"dimix": "0.1.0", "torch": "2.13.0"},
    }
    return Record(row=row, latent_dim=latent_dim, seed=seed, **(fields | given))


def invented_bundle(row: str, n_components: int) -> Bundle:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_components, 10, 8, 8)).astype(np.uint8)
    network = "+" not in row
    return Bundle(
        originals=images[0] if network else None,
        reconstructions=images[0] // 2 if network else None,
        map_xy=rng.normal(size=(40, 2)).astype(np.float32),
        map_labels=np.arange(40, dtype=np.int16) % 10,
        map_clusters=np.arange(40, dtype=np.int16) % n_components,
        samples=images,
        weights=None if row == "vae" else np.sort(rng.dirichlet(np.ones(n_components)))[::-1],
    )


def invented_curves(row: str) -> list[dict[str, float]]:
    clusters = {} if row == "vae" else {"val_acc": 0.6, "val_nmi": 0.5, "val_n_clusters": 10.0}
    return [
        {"epoch": e, "seconds": 1.0, "train_loss": 150.0 - e, "val_loss": 152.0 - e} | clusters
        for e in (1.0, 2.0, 3.0)
    ]


def write_invented(out: Path, row: str, latent_dim: int = 10, seed: int = 0, **given) -> Record:
    record = invented_record(row, latent_dim, seed, **given)
    folder = out / cell_path(row.replace("/", "_"), latent_dim, seed)
    write_record(record, folder)
    invented_bundle(row, 1 if row == "vae" else 50 if "50" in row else 10).save(
        folder / "bundle.npz"
    )
    if "+" not in row:
        write_curves(invented_curves(row), folder / "curves.csv")
    return record


@pytest.fixture
def make_record() -> MakeRecord:
    """Build a record; keywords replace its fields."""
    return invented_record


@pytest.fixture
def add_cell() -> AddCell:
    """Write a cell with every array its row has into a run's folder."""
    return write_invented


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportFiles]:
    """A run of some rows, at two latent dimensions in part, and its report. Not to be changed."""
    out = tmp_path_factory.mktemp("run")
    for row in ROWS:
        write_invented(out, row)
        write_invented(out, row, seed=1)
    write_invented(out, "vae", latent_dim=8)
    return out, write_report(out)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; a test that needs it is skipped without one, unless one is required."""
    if not CHROMIUM.exists():
        reason = f"no browser at {CHROMIUM}: install Debian's chromium to run this test"
        if os.environ.get("DIMIX_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return CHROMIUM


@pytest.fixture(scope="module")
def browser(chromium):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=str(chromium), args=list(ARGS))
        yield opened
        opened.close()
