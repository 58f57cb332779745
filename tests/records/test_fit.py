"""The bundle of a fit: what is written is what is read, and parts that do not fit are refused."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dimix.records import FitBundle
from fit_bundles import K, bundle, hostile, of_images, of_table


@pytest.mark.parametrize("make", [bundle, of_images, of_table, hostile])
def test_a_bundle_comes_back_as_it_was(make, tmp_path: Path) -> None:
    before = make()
    before.save(tmp_path)
    after = FitBundle.load(tmp_path)
    for field in dataclasses.fields(FitBundle):
        mine, read = getattr(before, field.name), getattr(after, field.name)
        np.testing.assert_equal(read, mine, err_msg=field.name)
        if isinstance(mine, np.ndarray):
            assert read.dtype == mine.dtype
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fit.json", "fit.npz"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"names": ("one",)}, "names must have length 120, found 1"),
        ({"linkage": None, "sizes": np.ones(3)}, "components must lie in 0..2"),
        ({"sizes": np.ones(K + 1)}, f"linkage must have length {K}"),
        ({"column_names": ("a",)}, "column_names must have length 0, found 1"),
        ({"labels": np.full(120, 2), "label_names": ("a", "b")}, "labels must lie in 0..1"),
    ],
)
def test_parts_that_do_not_fit_are_named(given, said) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        bundle(**given)


@pytest.mark.parametrize("nodes", [(0, 6), (-1, 2)])
def test_a_merge_of_what_is_not_there_yet_is_refused(nodes) -> None:
    linkage = bundle().linkage.copy()
    linkage[0, :2] = nodes
    with pytest.raises(ValueError, match="linkage"):
        bundle(linkage=linkage)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    bundle().save(tmp_path)
    other = tmp_path / "other"
    of_table().save(other)
    (other / "fit.npz").replace(tmp_path / "fit.npz")
    with pytest.raises(ValueError, match=r"is not the file that fit\.json was written with"):
        FitBundle.load(tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    bundle().save(tmp_path)
    texts = json.loads((tmp_path / "fit.json").read_text()) | {"schema": 99}
    (tmp_path / "fit.json").write_text(json.dumps(texts))
    with pytest.raises(ValueError, match="'schema' must be 1"):
        FitBundle.load(tmp_path)


def test_a_pickle_in_the_arrays_is_not_read(tmp_path: Path) -> None:
    bundle().save(tmp_path)
    planted = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "fit.npz", sizes=planted)
    texts = json.loads((tmp_path / "fit.json").read_text())
    texts["sha256"] = hashlib.sha256((tmp_path / "fit.npz").read_bytes()).hexdigest()
    (tmp_path / "fit.json").write_text(json.dumps(texts))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        FitBundle.load(tmp_path)
