"""The page: everything about a run in one HTML file that needs no network and no script.

The frame is `page.html` beside this file. Every text that comes from a record is escaped,
and the page's own policy forbids it to run scripts or to load anything.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Any

from dimix.records import Record
from dimix.report import render
from dimix.report.figures import SavedFigure
from dimix.report.grid import latent_dims_of, rank, rows_of
from dimix.report.tables import Table

TITLE = "dimix: the paper's experiment"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, heading and content, the content already HTML."""

    anchor: str
    heading: str
    body: str

    def html(self) -> str:
        """The section under its heading."""
        return (
            f'<section id="{self.anchor}" aria-labelledby="{self.anchor}-heading">\n'
            f'<h2 id="{self.anchor}-heading">{escape(self.heading)}</h2>\n{self.body}\n</section>'
        )

    def link(self) -> str:
        """Its entry in the contents."""
        return f'<li><a href="#{self.anchor}">{escape(self.heading)}</a></li>'


FIGURE_SECTIONS = {
    "curves": (
        "Training (the paper's Fig. 3)",
        "Scores are on the validation images, which are no part of the training. Algorithm 1 "
        "has a panel of its own: its loss is the reconstruction alone, and no bound.",
    ),
    "reconstructions": (
        "Reconstructions (the paper's Figs. 4 and 5)",
        "Random test images, the same ones for every network.",
    ),
    "maps": (
        "Latent space (the paper's Figs. 6 and 7)",
        "Test latents in the plane of their two largest principal components, which all rows on "
        "one network share, so that clusters can be compared point by point, with each other and "
        "with the labels. A cluster has the colour of its commonest label; several clusters of "
        "one label have shades of it. The number of clusters is in brackets.",
    ),
    "samples": (
        "Samples from each component (the paper's Fig. 8)",
        "A row for each component, heaviest first, with its weight where it has one. A component "
        "stands for a class if its samples show one kind of thing.",
    ),
    "weights": (
        "Component weights (the paper asks whether any go to zero)",
        "A mixture that needs fewer components than it may use leaves the others near zero.",
    ),
}


def page(records: Sequence[Record], tables: Sequence[Table], figures: Sequence[SavedFigure]) -> str:
    """The whole page."""
    sections = [
        Section("scores", "Scores (the paper's Table 2)", "\n".join(map(render.html, tables))),
        *figure_sections(figures),
        Section("settings", "Settings and notes", settings(records)),
    ]
    return framed(TITLE, introduction(records), sections)


def framed(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """A page of sections; the introduction is HTML."""
    frame = Template(files("dimix.report").joinpath("page.html").read_text("utf-8"))
    return frame.substitute(
        title=escape(title),
        introduction=introduction,
        contents="".join(section.link() for section in sections),
        sections="\n".join(section.html() for section in sections),
    )


def introduction(records: Sequence[Record]) -> str:
    """What was run: data, grid, versions."""
    if not records:
        return "<p>No cell of this run has finished yet.</p>"
    versions = {f"{name} {v}" for r in records for name, v in r.versions.items()}
    facts = {
        "Data set": listed({r.dataset for r in records}),
        "Latent dimensions Z": listed(latent_dims_of(records)),
        "Seeds": listed({r.seed for r in records}),
        "Epochs": listed({r.epochs for r in records}),
        "Finished cells": str(len(records)),
        "Versions": listed(versions),
    }
    return (
        "<p>Networks that learn a latent space without labels, and mixtures that cluster it: each "
        "row is one such method, scored against labels that it never saw, at each latent "
        "dimension Z. Scores are averaged over seeds; figures show the lowest seed.</p>\n"
        f"{terms(facts)}"
    )


def terms(facts: Mapping[str, str]) -> str:
    """Facts by name as a list of definitions."""
    entries = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{entries}</dl>"


def listed(values: Iterable[object]) -> str:
    """Values in order, with commas."""
    return ", ".join(str(value) for value in sorted(values))  # type: ignore[type-var]


def figure_sections(figures: Sequence[SavedFigure]) -> list[Section]:
    """A section for each kind of figure that there is."""
    sections = []
    for name, (heading, lead) in FIGURE_SECTIONS.items():
        mine = [f for f in figures if f.section == name]
        if mine:
            groups = groupby(mine, lambda figure: figure.latent_dim)
            body = "\n".join(figure_group(z, list(shown)) for z, shown in groups)
            sections.append(Section(name, heading, f"<p>{escape(lead)}</p>\n{body}"))
    return sections


def figure_group(latent_dim: int, figures: Sequence[SavedFigure]) -> str:
    """A section's figures at one latent dimension."""
    shown = "\n".join(figure_html(f) for f in figures)
    return f'<h3>Z = {latent_dim}</h3>\n<div class="figures">\n{shown}\n</div>'


def figure_html(figure: SavedFigure) -> str:
    """A saved figure with its alternative text and caption."""
    size = figure.width, figure.height
    return embedded(figure.file.read_bytes(), size, figure.alt, figure.caption)


def embedded(png: bytes, size: tuple[int, int], alt: str, caption: str) -> str:
    """An image in the page itself; its size in pixels."""
    (width, height), data = size, base64.b64encode(png).decode("ascii")
    return (
        f'<figure style="width: {width}px">\n'
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}">\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def settings(records: Sequence[Record]) -> str:
    """Every row's settings and notes, once for all the cells that share them."""
    shared: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=lambda r: (rank(r.row), r.latent_dim, r.seed)):
        shared.setdefault((record.row, described(record), record.note), []).append(record)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row)}</th><td>{escape(cells_of(group))}</td>'
        f"<td>{escape(said)}</td><td>{escape(note)}</td></tr>"
        for (row, said, note), group in shared.items()
    )
    return (
        '<div class="scroll" role="region" aria-label="Settings" tabindex="0">'
        f'<table class="settings"><caption>Settings of {len(rows_of(records))} rows</caption>\n'
        '<thead><tr><th scope="col">row</th><th scope="col">cells</th>'
        '<th scope="col">settings</th><th scope="col">note</th></tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def described(record: Record) -> str:
    """A record's settings as text, without those that name its cell."""
    told = {k: v for k, v in record.settings.items() if k not in ("latent_dim", "epochs", "seed")}
    return ", ".join(f"{k}: {v}" for k, v in flat(told))


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values in order, nested ones under dotted names."""
    for name, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value if isinstance(value, str) else json.dumps(value)


def cells_of(records: Sequence[Record]) -> str:
    """Which cells share some settings."""
    dims, seeds = latent_dims_of(records), {r.seed for r in records}
    return f"Z {listed(dims)}; seed {listed(seeds)}; {listed({r.epochs for r in records})} epochs"
