"""The ablation's variants on a few images, its page, and the committed record."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from benchmarks.record import read

from benchmarks import ablation
from dimix.data import load
from dimix.nets import MLP

SMALL = {
    "architecture": MLP(widths=(16,)),
    "latent_dim": 2,
    "pretrain_epochs": 2,
    "epochs": 3,
    "progress": False,
    "random_state": 0,
}


@pytest.mark.parametrize("variant", ablation.VARIANTS)
def test_every_variant_is_trained_and_predicts(variant):
    images = load("digits", "train").images[:120]
    model = ablation.VARIANTS[variant](**SMALL)
    labels = model.fit(images).predict(images)
    assert labels.shape == (120,)
    assert labels.max() < model.n_clusters_


def test_a_refit_takes_the_place_of_the_conjugate_updates():
    """Between refits the statistics stand still, and each refit brings others."""
    images = load("digits", "train").images[:120]
    seen = []
    model = ablation.WithRefits(**SMALL)
    mixture = model._mixture
    model._mixture = lambda *arguments: seen.append(mixture(*arguments)) or seen[-1]
    model.fit(images)
    assert len(seen) == 1 + 3  # before the first epoch and after each
    assert all(not np.array_equal(a.statistics, b.statistics) for a, b in pairwise(seen))
    assert seen[1].statistics._version <= 1  # merges may have been made; nothing was folded in


def test_the_page_holds_the_means_over_seeds():
    score = {"acc": 0.5, "nmi": 0.25, "cs": 0.25, "ari": 0.1, "n_clusters": 3}
    score |= {"largest_fall": 0.01, "seconds": 10.0}
    cases = {"no views, seed 0": score, "no views, seed 1": score | {"acc": 0.7, "n_clusters": 2}}
    record = {"60,000 images": {"cases": {"default, seed 0": score}}}
    page = ablation.page(record | {ablation.part_of(ablation.ROWS): {"cases": cases}})
    assert "| no views | 2 | 2, 3 | 0.600 ± 0.141 | 0.250 ± 0.000 |" in page
    assert "| 0.010 ± 0.000 | 10 |" in page
    assert page.splitlines()[-1].startswith("| default, 60,000 images | 1 | 3 | 0.500 |")


@pytest.fixture
def images():
    digits = load("digits", "train")
    return replace(digits, images=digits.images[:120], labels=digits.labels[:120])


@pytest.fixture
def quick(monkeypatch):
    """Every variant as SMALL."""
    small = {name: partial(made, **SMALL) for name, made in ablation.VARIANTS.items()}
    monkeypatch.setattr(ablation, "VARIANTS", small)


def test_a_case_has_the_largest_fall_of_the_joint_training(monkeypatch, quick, images, tmp_path):
    by_epoch = iter([0.5, 0.75, 0.625])  # SMALL has three epochs
    monkeypatch.setattr(ablation, "nmi", lambda model, test: {"nmi": next(by_epoch)})
    case = ablation.case("default", 0, images, images, tmp_path)
    assert case["largest_fall"] == 0.125


def test_what_variants_do_alike_is_done_once(quick, images, tmp_path):
    ablation.case("T = 40", 0, images, images, tmp_path)
    begun = (tmp_path / "seed0" / "default" / "pretraining" / "last.ckpt").stat().st_mtime_ns
    for variant in ("default", "no hierarchy", "no views"):
        assert ablation.case(variant, 0, images, images, tmp_path)["largest_fall"] < 1
    for variant in ("T = 40", "default", "no hierarchy"):
        checkpoint = tmp_path / "seed0" / variant / "pretraining" / "last.ckpt"
        assert checkpoint.stat().st_mtime_ns == begun  # and so have the same bytes
    for step, alike in (("joint", ["default", "no hierarchy"]), ("pretraining", ["no views"])):
        folders = {(tmp_path / "seed0" / variant / step).resolve() for variant in alike}
        assert folders == {tmp_path / "seed0" / alike[0] / step}


@pytest.mark.skipif(not ablation.RECORD.exists(), reason="there is no record yet")
def test_the_committed_page_is_that_of_the_record():
    page = ablation.RECORD.with_suffix(".md").read_text()
    assert page == ablation.page(read(ablation.RECORD))
