"""What the tables say: records averaged over seeds, beside the paper's figures.

A `Table` is text in its final form; `render` turns it into Markdown, HTML or terminal output.
`csv_lines` is the same content as numbers, one line a row, latent dimension and source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dimix.records import SCORES, Record
from dimix.report.grid import latent_dims_of, rows_of, select
from dimix.report.paper import printed

SPLITS = ("test", "train")
COSTS = ("seconds", "peak_memory_mb")
MEASURES = (*SCORES, "bound", *COSTS)
MISSING = "—"
ONE_CLUSTER = "one cluster"

# A note stands under a table in which its mark occurs.
NOTES = {
    "±": "±: mean and standard deviation over the seeds (n − 1 in the denominator).",
    ONE_CLUSTER: "One cluster: everything is in a single cluster. Its CS is 1 by definition "
    "and means nothing.",
    " ?": "?: the number looks garbled in the paper's text and is doubtful.",
    "–": "a–b: the paper's numbers are garbled; all of the row's lie between these two.",
    MISSING: f"{MISSING}: no figure: the cell is not finished, or the method has no such "
    "figure, or the paper's cannot be read.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: the row it belongs to, what it is of that row, and its cells."""

    row: str
    kind: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Lines under grouped columns: `groups` pairs a heading with the columns below it."""

    title: str
    heads: tuple[str, str]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over n seeds and their standard deviation, None for a single seed."""

    mean: float
    sd: float | None
    n: int

    def text(self, digits: int) -> str:
        """For a reader: ``0.812 ± 0.013``."""
        if self.sd is None:
            return f"{self.mean:,.{digits}f}"
        return f"{self.mean:,.{digits}f} ± {self.sd:,.{digits}f}"


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and sample standard deviation; None of nothing."""
    if not values:
        return None
    with np.errstate(invalid="ignore"):  # a diverged seed makes both NaN, and shows
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Spread(float(np.mean(values)), sd, len(values))


def values_of(record: Record, split: str) -> dict[str, float]:
    """A record's numbers on one split, by the names in MEASURES."""
    bound = {"bound": record.bound[split]} if split in record.bound else {}
    return {**record.scores.get(split, {}), **bound, **{k: getattr(record, k) for k in COSTS}}


def measure(records: Sequence[Record], split: str) -> dict[str, Spread]:
    """Numbers averaged over seeds; CS is left out where a seed found a single cluster."""
    seeds = [values_of(r, split) for r in records]
    names = [k for k in MEASURES if k != "cs" or not single_clusters(records, split)]
    spreads = {k: spread([values[k] for values in seeds if k in values]) for k in names}
    return {k: s for k, s in spreads.items() if s is not None}


def single_clusters(records: Sequence[Record], split: str) -> str:
    """Words for records that put everything in one cluster; empty if none did."""
    alone = sum(r.scores.get(split, {}).get("n_clusters") == 1 for r in records)
    if alone in (0, len(records)):
        return ONE_CLUSTER if alone else ""
    return f"{ONE_CLUSTER} in {alone} of {len(records)} seeds"


def text(measured: dict[str, Spread], name: str, digits: int) -> str:
    """A number for a reader, or the mark of a missing one."""
    return measured[name].text(digits) if name in measured else MISSING


def cs_nmi(records: Sequence[Record], split: str) -> tuple[str, str]:
    """A cell pair of Table 2 as measured here."""
    measured, alone = measure(records, split), single_clusters(records, split)
    nmi = MISSING if alone == ONE_CLUSTER else text(measured, "nmi", 3)
    return alone or text(measured, "cs", 3), nmi


def cs_nmi_printed(row: str, latent_dim: int) -> tuple[str, str]:
    """A cell pair of Table 2 as the paper prints it."""
    cs, nmi = printed(row, latent_dim) or (MISSING, MISSING)
    return str(cs), str(nmi)


def table2_lines(records: Sequence[Record], row: str) -> list[Line]:
    """A row's lines: the splits, in one line where they say the same, and the paper's if any."""
    dims = latent_dims_of(records)
    pairs = {s: [cs_nmi(select(records, row, z), s) for z in dims] for s in SPLITS}
    if any(printed(row, z) for z in dims):
        pairs["paper"] = [cs_nmi_printed(row, z) for z in dims]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for kind, cells in pairs.items():
        kinds.setdefault(tuple(text for pair in cells for text in pair), []).append(kind)
    return [Line(row, ", ".join(names), cells) for cells, names in kinds.items()]


def table2(records: Sequence[Record]) -> Table:
    """The paper's Table 2: rows × latent dimensions, CS and NMI, measured and printed."""
    lines = tuple(line for row in rows_of(records) for line in table2_lines(records, row))
    return Table(
        title="Table 2: completeness (CS) and normalised mutual information (NMI)",
        heads=("row", "source"),
        groups=tuple((f"Z = {z}", ("CS", "NMI")) for z in latent_dims_of(records)),
        lines=lines,
        notes=(about_sources(records), *notes_for(lines)),
    )


def about_sources(records: Sequence[Record]) -> str:
    """What the sources are, and whether they are of the same data."""
    datasets = sorted({r.dataset for r in records})
    note = (
        "Sources: test and train are this run's two splits; paper is the paper's Table 2, on "
        "MNIST, whose DP-GMM had 10 components: rows truncated at 50 have no counterpart."
    )
    if datasets == ["mnist"]:
        return note
    return f"{note} This run is on {', '.join(datasets) or 'nothing yet'}."


def notes_for(lines: Sequence[Line]) -> list[str]:
    """The notes that explain the marks in use."""
    cells = {cell for line in lines for cell in line.cells}
    return [note for mark, note in NOTES.items() if any(mark in cell for cell in cells)]


def score_cells(records: Sequence[Record], split: str) -> tuple[str, ...]:
    """Accuracy, ARI, clusters, effective clusters and bound."""
    measured = measure(records, split)
    counts = 0 if len(records) == 1 else 1
    digits = {"acc": 3, "ari": 3, "n_clusters": counts, "n_effective": counts, "bound": 2}
    return tuple(text(measured, name, n) for name, n in digits.items())


def score_line(records: Sequence[Record]) -> Line:
    """Everything else about one row at one latent dimension."""
    measured = measure(records, "test")
    cost = (text(measured, "seconds", 1), text(measured, "peak_memory_mb", 0))
    cells = score_cells(records, "test") + score_cells(records, "train") + cost
    return Line(records[0].row, str(records[0].latent_dim), cells)


def score_table(records: Sequence[Record]) -> Table:
    """Rows and latent dimensions × the scores that Table 2 leaves out, and their cost."""
    groups = [select(records, r, z) for r in rows_of(records) for z in latent_dims_of(records)]
    lines = tuple(score_line(group) for group in groups if group)
    names = ("acc", "ARI", "clusters", "> 0.5%", "bound")
    return Table(
        title="Further scores and cost",
        heads=("row", "Z"),
        groups=(("test", names), ("train", names), ("cost", ("seconds", "peak MB"))),
        lines=lines,
        notes=(
            "acc: accuracy under the best one-to-one matching of clusters to classes. ARI: "
            "adjusted Rand index. clusters: those in use; > 0.5%: those that hold more than "
            "0.5% of the images. bound: nats per image; a network's bounds log p(x), a mixture's "
            "concerns the latents alone, and Algorithm 1 has only a reconstruction term, so "
            "compare within a kind. seconds: the row's own time, without a network it shares.",
            *notes_for(lines),
        ),
    )


def csv_lines(records: Sequence[Record]) -> list[dict[str, object]]:
    """Both tables as numbers: one line a row, latent dimension and source."""
    lines: list[dict[str, object]] = []
    for row in rows_of(records):
        for latent_dim in latent_dims_of(records):
            group = select(records, row, latent_dim)
            head: dict[str, object] = {"row": row, "latent_dim": latent_dim}
            if group:
                lines += [{**head, **measured_fields(group, split)} for split in SPLITS]
            lines += [{**head, **fields} for fields in printed_fields(row, latent_dim)]
    return lines


def csv_columns() -> list[str]:
    """The columns of `csv_lines`; a field that a line lacks is empty."""
    pairs = [name for measure in MEASURES for name in (measure, f"{measure}_sd")]
    return ["row", "latent_dim", "source", "seeds", *pairs, "note"]


def measured_fields(records: Sequence[Record], split: str) -> dict[str, object]:
    """What a row measured on one split."""
    measured = measure(records, split)
    means: dict[str, object] = {k: f"{s.mean:.6g}" for k, s in measured.items()}
    sds = {f"{k}_sd": f"{s.sd:.6g}" for k, s in measured.items() if s.sd is not None}
    note = single_clusters(records, split)
    return {"source": split, "seeds": len(records), **means, **sds, "note": note}


def printed_fields(row: str, latent_dim: int) -> list[dict[str, object]]:
    """What the paper prints, if anything can be read."""
    figures = printed(row, latent_dim)
    if figures is None:
        return []
    cs, nmi = figures
    return [{"source": "paper", "cs": cs.value, "nmi": nmi.value, "note": cs.note}]
