"""What every test shares: shapes checked at run time, fixed seeds, no flaky examples.

The import hook must be in place before anything of dimix is imported: from then on
every annotated array and tensor is checked against its shape by jaxtyping and beartype.
"""

import random

from jaxtyping import install_import_hook

install_import_hook("dimix", "typechecker.check")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

from narrow import narrow  # noqa: E402

settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

THREADS = 1  # the tests' arrays are small: a second thread costs more than it brings


torch.set_num_threads(THREADS)  # for fixtures that are wider than a test


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """Begin each test with the same seeds and threads, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden layers narrow enough that a training of some epochs takes a moment."""
    narrow(monkeypatch)
