"""A `Table` as Markdown, as HTML and for the terminal; every text is escaped."""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

import rich.box
import rich.table
from rich.text import Text

from dimix.report.tables import Line, Table

MARKUP = re.compile(r"[\\`*_\[\]|]")


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, on one line."""
    return MARKUP.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))


def markdown(table: Table) -> str:
    """A heading, a pipe table and the notes."""
    names = [f"{group} {name}" for group, below in table.groups for name in below]
    rows = [
        [*table.heads, *names],
        ["---", "---", *["---:" for _ in names]],
        *[[row, line.kind, *line.cells] for row, line in named_once(table)],
    ]
    rules = {"---", "---:"}
    body = [
        "| " + " | ".join(t if t in rules else markdown_text(t) for t in row) + " |" for row in rows
    ]
    notes = [f"- {markdown_text(note)}" for note in table.notes]
    return "\n".join([f"## {markdown_text(table.title)}", "", *body, "", *notes, ""])


def named_once(table: Table) -> Iterator[tuple[str, Line]]:
    """Lines with their row's name, which is empty on all but its first line."""
    for row, lines in groupby(table.lines, lambda line: line.row):
        yield from zip([row, *[""] * len(table.lines)], lines, strict=False)


def terminal(table: Table) -> rich.table.Table:
    """For a rich console; the notes stand below the table."""
    shown = rich.table.Table(
        title=Text(table.title),
        caption=Text("\n".join(table.notes)),
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for head, whole in zip(table.heads, (True, False), strict=True):
        shown.add_column(Text(head), no_wrap=whole, overflow="fold")
    for group, below in table.groups:
        for name in below:
            shown.add_column(
                Text(f"{group}\n{name}"), justify="right", min_width=7, overflow="fold"
            )
    for row, line in named_once(table):
        if row:
            shown.add_section()
        style = "dim" if line.kind == "paper" else None
        shown.add_row(*map(Text, (row, line.kind, *line.cells)), style=style)
    return shown


def html(table: Table) -> str:
    """A table element with its caption and grouped headings, and the notes as a list."""
    rows = groupby(table.lines, lambda line: line.row)
    bodies = "\n".join(html_body(row, list(lines)) for row, lines in rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(table.title)}" tabindex="0">'
        f"<table>\n<caption>{escape(table.title)}</caption>\n{html_head(table)}\n{bodies}\n"
        f'</table></div>\n<ul class="notes">{notes}</ul>'
    )


def html_head(table: Table) -> str:
    """Two lines of headings: groups over columns."""
    stub = "".join(f'<th scope="col" rowspan="2">{escape(h)}</th>' for h in table.heads)
    over = "".join(
        f'<th scope="colgroup" colspan="{len(below)}">{escape(group)}</th>'
        for group, below in table.groups
    )
    under = "".join(
        f'<th scope="col"{marked("first", i == 0)}>{escape(name)}</th>'
        for _, below in table.groups
        for i, name in enumerate(below)
    )
    return f"<thead><tr>{stub}{over}</tr>\n<tr>{under}</tr></thead>"


def html_body(row: str, lines: list[Line]) -> str:
    """One row's lines under one heading cell."""
    heads = [f'<th scope="rowgroup" rowspan="{len(lines)}">{escape(row)}</th>', *[""] * len(lines)]
    body = "\n".join(
        f"<tr{marked('paper', line.kind == 'paper')}>{head}"
        f'<th scope="row">{escape(line.kind)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in line.cells)
        + "</tr>"
        for head, line in zip(heads, lines, strict=False)
    )
    return f"<tbody>\n{body}\n</tbody>"


def marked(name: str, condition: bool) -> str:
    """A class attribute, where the condition holds."""
    return f' class="{name}"' if condition else ""
