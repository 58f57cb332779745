"""The deep models inside scikit-learn's pipelines and searches, and under any Lightning logger."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from dimix import GMVAE, VAE, Algorithm1, DeepInfiniteMixture

pytestmark = pytest.mark.usefixtures("small_networks")
QUICK = {"epochs": 2, "batch_size": 32, "random_state": 0, "progress": False}
MODELS = [
    VAE(**QUICK),
    GMVAE(**QUICK, n_components=3),
    Algorithm1(**QUICK, n_components=3),
    DeepInfiniteMixture(**QUICK, pretrain_epochs=2, n_components=5),
]


@pytest.fixture
def table() -> pd.DataFrame:
    X, _ = make_blobs(90, 4, random_state=0)
    return pd.DataFrame(X, columns=list("abcd"))


def named(model: Any) -> str:
    return type(model).__name__


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_a_grid_search_over_a_pipeline_of_data_frames(model: Any, table: pd.DataFrame) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("deep", model)])
    search = GridSearchCV(
        pipeline.set_output(transform="pandas"),
        {"deep__latent_dim": [2, 3]},
        cv=2,
        error_score="raise",
    ).fit(table)
    scores = search.cv_results_["mean_test_score"]
    best = search.best_params_["deep__latent_dim"]
    assert best == [2, 3][int(np.argmax(scores))]
    latents = search.transform(table.set_index(table.index + 5))
    assert list(latents.columns) == [f"{named(model).lower()}{i}" for i in range(best)]
    assert list(latents.index[:2]) == [5, 6]
    assert list(search.best_estimator_["deep"].feature_names_in_) == list("abcd")


def test_variances_beside_a_data_frame(table: pd.DataFrame) -> None:
    model = DeepInfiniteMixture(**QUICK, pretrain_epochs=2, latent_dim=2, n_components=5)
    latents, variances = (
        model.set_output(transform="pandas").fit(table).transform(table, return_var=True)
    )
    assert list(latents.columns) == list(model.get_feature_names_out())
    assert variances.shape == latents.shape
    assert model.reconstruct(table).shape == table.shape


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_a_logger_is_given_every_epoch(model: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    model.set_params(logger=CSVLogger(tmp_path, flush_logs_every_n_steps=1))
    try:
        model.fit(table)
    finally:
        model.set_params(logger=None)
    logged = pd.read_csv(next(tmp_path.rglob("metrics.csv")))
    expected = pd.DataFrame(model.history_)
    for name in expected:
        np.testing.assert_allclose(logged[name], expected[name], rtol=1e-6)
    assert list(logged["step"]) == list(expected["epoch"])
