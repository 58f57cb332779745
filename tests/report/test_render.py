"""Tables as HTML, Markdown and terminal output: whole lines, no markup from names."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from dimix.report import render
from dimix.report.tables import Line, Table, score_table, table2

HOSTILE = "<script>alert(1)</script>|[bold]`x`"


class Grid(HTMLParser):
    """How many columns each line of a table fills, spans counted."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.tags, self.widths, self.spans = [], [], []
        self.feed(table)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "tr":
            self.spans = [(left - 1, width) for left, width in self.spans if left > 1]
            self.widths.append(sum(width for _, width in self.spans))
        elif tag in ("td", "th"):
            width, height = int(given.get("colspan", 1)), int(given.get("rowspan", 1))
            self.widths[-1] += width
            self.spans.append((height, width))


@pytest.fixture
def records(make_record):
    return [make_record("vae"), make_record("vae+gmm", 8), make_record(HOSTILE)]


@pytest.mark.parametrize("build", [table2, score_table])
def test_html_lines_fill_the_same_columns(records, build):
    table = build(records)
    columns = 2 + sum(len(below) for _, below in table.groups)
    assert set(Grid(render.html(table)).widths) == {columns}


def test_every_text_is_escaped():
    line = Line(HOSTILE, HOSTILE, (HOSTILE,))
    table = Table(HOSTILE, (HOSTILE, HOSTILE), ((HOSTILE, (HOSTILE,)),), (line,), (HOSTILE,))
    assert "script" not in Grid(render.html(table)).tags
    assert render.html(table).count("&lt;script&gt;") == 10  # the title is in a label too
    assert render.markdown(table).count(render.markdown_text(HOSTILE)) == 9
    assert "<script>" not in render.markdown(table)


@pytest.mark.parametrize("build", [table2, score_table])
def test_markdown_lines_have_the_same_columns_and_no_markup(records, build):
    table = build(records)
    lines = [line for line in render.markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.lines)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "<script>" not in "".join(lines)


def test_markdown_text_is_one_line():
    assert render.markdown_text("a\n\n# b") == "a # b"


def test_terminal_shows_names_as_they_are(records):
    console = Console(file=io.StringIO(), width=200)
    console.print(render.terminal(table2(records)))
    shown = console.file.getvalue()
    assert HOSTILE in shown
    assert "one cluster" in shown
    assert "0.450" in shown


def test_a_rows_name_stands_on_its_first_line_only(records):
    names = [name for name, _ in render.named_once(table2(records)) if name]
    assert names == ["vae", "vae+gmm", HOSTILE]
