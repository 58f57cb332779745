"""A tiny data set in four IDX files, for the tests that read folders."""

from pathlib import Path

import numpy as np
import pytest

from dimix.data import idx
from dimix.data.folder import FILES

SIZES = {"train": 7, "test": 3}


@pytest.fixture(params=["", ".gz"], ids=["plain", "gz"])
def suffix(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def small_folder(tmp_path: Path, suffix: str) -> Path:
    """Seven training and three test images of 4 x 5 pixels."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "small"
    folder.mkdir()
    for split, pair in FILES.items():
        n = SIZES[split]
        images = rng.integers(0, 256, (n, 4, 5), dtype=np.uint8)
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        idx.write(folder / f"{pair.images}{suffix}", images)
        idx.write(folder / f"{pair.labels}{suffix}", labels)
    return folder
