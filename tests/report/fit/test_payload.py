"""The page's JSON, read back as the page reads it, and the page around it."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import r2_score

from dimix.report import fit, write_fit_report
from dimix.report.fit.payload import bundle_json
from fit_bundles import HOSTILE, K, bundle, hostile, of_images, of_table

SIZES = {"uint8": 1, "uint16": 2, "uint32": 4, "float32": 4}


def unpacked(packed) -> np.ndarray:
    data = base64.b64decode(packed["data"])
    return np.frombuffer(data, f"<{packed['type'][0]}{SIZES[packed['type']]}").reshape(
        packed["shape"]
    )


class Page(HTMLParser):
    """The text of each script, and every other element's name and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.elements = [], []
        self.within = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.within = tag == "script"
        if self.within:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.within = False

    def handle_data(self, data):
        if self.within:
            self.scripts[-1] += data


def test_points_come_back_within_a_step() -> None:
    made = bundle()
    points = json.loads(bundle_json(made))["points"]
    xy = unpacked(points["xy"]) / 65535
    extent = made.map_xy.max(0) - made.map_xy.min(0)
    expected = (made.map_xy - made.map_xy.min(0)) / extent.max()
    np.testing.assert_allclose(xy, expected, atol=1e-5)  # both directions on one scale
    np.testing.assert_allclose(
        unpacked(points["probabilities"]) / 255, made.probabilities, atol=0.5 / 255 + 1e-6
    )
    np.testing.assert_allclose(unpacked(points["distance"]) / 1000, made.distance, atol=6e-4)


def test_columns_come_back_between_their_extremes() -> None:
    made = of_table()
    columns = json.loads(bundle_json(made))["columns"]
    codes = unpacked(columns["codes"]).T
    low, high = np.array(columns["low"]), np.array(columns["high"])
    values = low + (high - low) * codes / 65534
    assert (codes == 65535).sum() == 1
    assert codes[7, 1] == 65535
    known = codes != 65535
    np.testing.assert_allclose(values[known], made.columns[known], atol=1e-4)


def test_the_sprite_holds_every_picture_in_its_place() -> None:
    made = of_images()
    pictures = json.loads(bundle_json(made))["pictures"]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures["png"]))))
    parts = [made.thumbnails, made.samples.reshape(-1, 8, 6), made.originals, made.reconstructions]
    for i, picture in enumerate(np.concatenate(parts)):
        y, x = 8 * (i // pictures["perRow"]), 6 * (i % pictures["perRow"])
        np.testing.assert_array_equal(sheet[y : y + 8, x : x + 6], picture)
    assert (pictures["nDraws"], pictures["nOriginals"]) == (3, 5)


def test_pictures_may_have_colours() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3)).astype(np.uint8)
    made = bundle(thumbnails=images, thumbnail_points=np.arange(4))
    pictures = json.loads(bundle_json(made))["pictures"]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures["png"]))))
    np.testing.assert_array_equal(sheet[5:10, 5:10], images[3])


def test_fidelity_is_r_squared() -> None:
    made = of_table()
    found = json.loads(bundle_json(made))["fidelity"]
    assert found[0] == pytest.approx(
        r2_score(made.originals[:, 0], made.reconstructions[:, 0]), rel=1e-5
    )
    assert found[2] is None  # a constant has no variance to keep


def test_what_is_no_number_is_null() -> None:
    course = json.loads(bundle_json(bundle()))["course"]
    assert dict(course["columns"])["n_components"] == [None, None, 8, 7, 6]
    assert course["at"] == [1, 2, 3, 4, 5]


def test_hostile_texts_are_data_and_nothing_else() -> None:
    text = bundle_json(hostile())
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["title"] == HOSTILE
    page = Page(fit.fit_page(hostile()))
    expected = Page(fit.fit_page(bundle()))
    tags = [tag for tag, _ in page.elements]
    assert tags == [tag for tag, _ in expected.elements]
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_the_policy_allows_this_script_and_this_style_alone() -> None:
    text = fit.fit_page(of_images())
    page = Page(text)
    (policy,) = (a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy
    assert fit.source(page.scripts[1]) in policy
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert fit.source(style[1]) in policy
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)", re.sub(r'"data":"[^"]*"', "", text))


def test_every_control_has_a_name() -> None:
    text = fit.fit_page(bundle())
    labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', text)) | {"colour"}  # within its label
    for name in re.findall(r'<(?:select|input)[^>]* id="([^"]+)"', text):
        assert name in labelled


def test_a_page_that_would_be_too_large_is_refused(tmp_path, monkeypatch) -> None:
    bundle().save(tmp_path)
    monkeypatch.setattr(fit, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="too many points"):
        write_fit_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_folder_without_a_bundle_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"fit\.json"):
        write_fit_report(tmp_path)


def test_components_without_a_tree_are_clusters() -> None:
    parts = json.loads(bundle_json(bundle(linkage=None, auto_clusters=None)))["components"]
    assert parts["linkage"] is None
    assert len(parts["sizes"]) == K


def test_a_name_that_is_no_text_does_not_stop_the_page(tmp_path) -> None:
    bundle(title="\udcff", names=("\udcff",) * 120).save(tmp_path)
    assert write_fit_report(tmp_path).read_text("utf-8").count("<h1>?</h1>") == 1
