"""Both models on a few images: what is compared, and the committed record."""

import numpy as np
import pytest
import torch
from benchmarks.record import read

from benchmarks import generative
from dimix import DeepInfiniteMixture
from dimix.experiments.networks import TrainedNetwork
from dimix.experiments.problem import Problem, Split
from dimix.models import VAE
from dimix.training import average_terms

RECORD = generative.RUN / "generative.json"


@pytest.fixture(scope="module")
def problem():
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    first, second, third = (Split(part, np.zeros(20, int)) for part in np.split(images, 3))
    return Problem(train=first, validation=second, test=third)


@pytest.fixture(scope="module")
def network(problem):
    model = DeepInfiniteMixture(
        architecture=(16,),
        latent_dim=2,
        n_components=4,
        pretrain_epochs=2,
        epochs=8,
        batch_size=8,
        likelihood="bernoulli",
        progress=False,
        random_state=0,
    )
    return TrainedNetwork(model.fit(problem.train.images), problem)


def test_the_terms_are_those_of_the_loss_at_weight_one(problem, network):
    rows = generative.flat(problem, "test")
    found = generative.terms(network.estimator.model_, rows)
    loss = average_terms(network.estimator.model_, rows, seed=0)["loss"]
    weighted = found["reconstruction"] + network.estimator.prior_weight * found["prior"]
    assert weighted == pytest.approx(-loss, abs=1e-3)


def test_the_plain_vae_gets_as_many_epochs_and_the_same_views(
    problem, network, tmp_path, monkeypatch
):
    shares = []
    views = VAE.views

    def spied(model, x, seen=None):
        if model.training:
            shares.append(model.unmoved)
        return views(model, x, seen)

    monkeypatch.setattr(VAE, "views", spied)
    monkeypatch.setattr(generative, "load_problem", lambda *_: problem)
    monkeypatch.setattr(generative, "network_of", lambda *_: network)
    monkeypatch.setattr(generative, "folder_of", lambda _: tmp_path)
    case = generative.case(tmp_path, seed=0)
    assert case["epochs"] == 14
    assert shares == [0] * 10 * 3 + [0.5] * 4 * 3  # three minibatches an epoch
    finish = torch.load(tmp_path / "vae-on-views" / "finish" / "last.ckpt", weights_only=True)
    assert finish["epoch"] + 1 == 4
    expected = case["infinite"]["bound"] - case["vae"]["bound"]
    assert case["difference"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.skipif(not RECORD.exists(), reason="there is no record yet")
def test_the_committed_page_is_that_of_the_record():
    page = RECORD.with_suffix(".md").read_text()
    assert page == generative.page(read(RECORD))
