"""Small data, and fits of them that tests only read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from cli_calls import TINY, answer
from narrow import narrow

N_ROWS = 90


@pytest.fixture(autouse=True)
def _narrow(small_networks: None) -> None:
    """Networks as wide as those of the fits that are shared."""


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Three clusters in three columns of different units, with ids and labels."""
    X, y = make_blobs(N_ROWS, 3, centers=10 * np.eye(3), cluster_std=0.5, random_state=0)
    columns = {"id": [f"row{i}" for i in range(N_ROWS)], "a": X[:, 0], "b": 1000 * X[:, 1]}
    return pd.DataFrame(columns | {"c": X[:, 2] - 7, "label": [f"kind{k}" for k in y]})


@pytest.fixture(scope="session")
def csv(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as text."""
    file = tmp_path_factory.mktemp("csv") / "table.csv"
    table.to_csv(file, index=False)
    return file


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of 8 x 6 bytes: a bright half, left or right."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 20, (60, 8, 6), dtype=np.uint8)
    pixels[:30, :, :3] += 235
    pixels[30:, :, 3:] += 235
    file = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(file, pixels)
    return file


@pytest.fixture(scope="session")
def mixture(csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished fit of the mixture."""
    out = tmp_path_factory.mktemp("fits") / "mixture"
    answer("fit", csv, "--out", out, "--model", "mixture", "--n-components", 6)
    return out


@pytest.fixture(scope="session")
def deep(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished fit of the deep infinite mixture."""
    out = tmp_path_factory.mktemp("fits") / "deep"
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        answer("fit", images, "--out", out, *TINY)
    return out


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the page out, where the test is about something else."""
    monkeypatch.setattr("dimix.cli.fit.leave_report", lambda *_: None)
