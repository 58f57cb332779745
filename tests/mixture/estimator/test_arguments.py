"""What is refused by name: text in a frame's column, numbers that are none, flags that are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimix import DeepInfiniteMixture, DirichletProcessGaussianMixture
from dimix.mixture.estimator.arguments import check_numeric

TABLE = {"a": [1.0, 2.0], "town": ["3", "Rome"]}


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_a_column_of_text_is_named(kind: str) -> None:
    with pytest.raises(ValueError, match="column 'town' of X must hold numbers; found 'Rome'"):
        check_numeric(pd.DataFrame(TABLE).astype({"town": kind}))


def test_numbers_as_objects_or_text_are_numbers() -> None:
    check_numeric(pd.DataFrame({"a": [1, 2], "b": ["3", "4.5"]}, dtype=object))
    check_numeric(pd.DataFrame([[1, 2]], columns=["a", "a"], dtype=object))
    check_numeric(np.eye(2))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"coarsening": "Auto"}, "coarsening must be None, 'auto' or a finite number > 0"),
        ({"init_components": 0}, "init_components must be None or an integer >= 1, got 0"),
        ({"allow_missing": "no"}, "allow_missing must be True or False, got 'no'"),
        ({"warm_start": 1}, "warm_start must be True or False, got 1"),
        ({"verbose": "x"}, "verbose must be an integer >= 0, got 'x'"),
        ({"random_state": -1}, "random_state must be None, an integer from 0"),
    ],
)
def test_parameters_of_the_mixture(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DirichletProcessGaussianMixture(3).set_params(**parameters).fit(np.eye(4))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"coarsening": "Auto"}, "coarsening must be 'auto' or a finite number >= 1, got 'Auto'"),
        ({"n_clusters": 0}, "n_clusters must be None or an integer >= 1, got 0"),
        ({"epochs": 0}, "epochs must be None or an integer >= 1, got 0"),
        ({"checkpoint_dir": 5}, "checkpoint_dir must be a path or None, got 5"),
        ({"progress": 3}, "progress must be a title, True or False, got 3"),
    ],
)
def test_parameters_of_the_flagship(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepInfiniteMixture().set_params(**parameters).fit(np.eye(4))


@pytest.mark.parametrize(
    "model",
    [
        DirichletProcessGaussianMixture(3, random_state=0),
        DeepInfiniteMixture(latent_dim=2, pretrain_epochs=1, epochs=1, progress=False),
    ],
    ids=["mixture", "flagship"],
)
def test_float32_that_has_lost_what_tells_rows_apart_is_warned_of(model: object) -> None:
    X = np.random.default_rng(0).normal([0, 1e8], 9, size=(60, 2))
    with pytest.warns(UserWarning, match="column 1 of X lies .* float32 hardly tells its numbers"):
        model.fit(X.astype(np.float32))


def test_so_is_that_of_a_file(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal([0, 1e8], 9, size=(60, 2))
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    with pytest.warns(UserWarning, match=r"column 1 of .*x.npy lies .* float32 hardly tells"):
        DirichletProcessGaussianMixture(3, random_state=0).fit(tmp_path / "x.npy")
