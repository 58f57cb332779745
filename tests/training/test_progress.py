"""What is shown where there are no epochs."""

import io

import numpy as np
import pytest
from rich import get_console, reconfigure

from dimix import DeepInfiniteMixture
from dimix.nets import MLP
from dimix.training import waiting


@pytest.fixture
def shown():
    """What rich writes; where it cannot draw it writes a line at each end."""
    usual, file = get_console().file, io.StringIO()
    reconfigure(file=file)
    yield file
    reconfigure(file=usual)


def test_a_title_and_the_time_are_shown_and_without_one_nothing(shown):
    with waiting(None):
        pass
    assert shown.getvalue() == ""
    with waiting("some [/work]"):
        pass
    assert shown.getvalue().startswith("some [/work]")
    assert "0:00:00" in shown.getvalue()


def test_what_is_shown_ends_where_the_work_fails(shown):
    with pytest.raises(KeyError), waiting("some work"):
        raise KeyError
    with waiting("other work"):
        pass
    assert "other work" in shown.getvalue()


def test_every_step_of_a_fit_is_named(shown):
    x = np.random.RandomState(0).rand(40, 3).astype(np.float32)
    small = {"architecture": MLP((8,)), "latent_dim": 2, "pretrain_epochs": 1, "epochs": 1}
    DeepInfiniteMixture(**small, n_neighbors=2, progress="mine", random_state=0).fit(x)
    steps = [line.split(":")[1].split()[0] for line in shown.getvalue().splitlines()]
    assert steps == ["neighbours", "pretraining", "mixture", "joint", "settling"]
