"""The page: its outline, its texts, and that nothing in it runs or loads anything."""

import re
from html.parser import HTMLParser
from itertools import pairwise

from dimix.report.page import flat, page
from dimix.report.tables import score_table, table2

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>$title'


class Outline(HTMLParser):
    """Elements with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def written(finished_run) -> str:
    return finished_run[1].page.read_text("utf-8")


def test_every_figure_is_embedded_with_words_for_it(finished_run):
    images = Outline(written(finished_run)).all("img")
    assert len(images) == len(finished_run[1].figures)
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert all(len(image["alt"]) > 20 for image in images)


def test_headings_step_down_one_level_at_a_time(finished_run):
    tags = [tag for tag, _ in Outline(written(finished_run)).elements]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_contents_lead_to_sections(finished_run):
    outline = Outline(written(finished_run))
    anchors = {attrs["href"] for attrs in outline.all("a")}
    assert anchors == {f"#{attrs['id']}" for attrs in outline.all("section")}
    assert len(anchors) == 7


def test_nothing_is_loaded_from_elsewhere(finished_run):
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", written(finished_run))
    assert not re.search(r"https?:|//|@import|url\(", text)
    assert not Outline(text).all("script")


def test_the_papers_figures_are_named(finished_run):
    text = written(finished_run)
    for name in ("Table 2", "Fig. 3", "Figs. 4 and 5", "Figs. 6 and 7", "Fig. 8"):
        assert name in text


def test_introduction_says_what_was_run(finished_run):
    text = written(finished_run)
    for fact in ("mnist-5k", "<dd>8, 10</dd>", "<dd>0, 1</dd>", "<dd>13</dd>", "torch 2.13.0"):
        assert fact in text


def test_texts_from_records_are_only_text(make_record):
    record = make_record(
        HOSTILE,
        dataset=HOSTILE,
        note=HOSTILE,
        settings={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
    )
    outline = Outline(page([record], [table2([record]), score_table([record])], []))
    assert not outline.all("script")
    assert not outline.all("img")


def test_rows_that_share_settings_are_described_once_each(make_record):
    records = [make_record("gmvae", z, seed) for z in (8, 10) for seed in (0, 1)]
    text = page(records, [], [])
    assert text.count("likelihood: bernoulli, mixture.tol: 1e-05") == 1
    assert "Z 8, 10; seed 0, 1; 3 epochs" in text


def test_nested_settings_have_dotted_names():
    assert dict(flat({"b": {"y": None, "x": [1, 2]}, "a": "text"})) == {
        "a": "text",
        "b.x": "[1, 2]",
        "b.y": "null",
    }
