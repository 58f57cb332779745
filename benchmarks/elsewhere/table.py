"""The record as a page: a row for each data set and method, the mean over the seeds."""

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.elsewhere.data import DATA_SETS, NOT_SEEN
from benchmarks.elsewhere.methods import METHODS
from benchmarks.record import Case
from benchmarks.scores import clusters, spread

from dimix.records import atomic_write

HEAD = ("data set", "rows", "classes", "method", "seeds", "clusters", "acc", "NMI", "CS", "ARI",
        "NMI, training", "seconds")  # fmt: skip
SAID = (
    "Written by `python -m benchmarks.elsewhere`. Scores are those of the rows held out, every "
    "fifth of each class; mean ± standard deviation over the seeds. Clusters: those of each seed. "
    f"Nothing of the deep model was chosen on {NOT_SEEN}."
)


def write_table(record: dict[str, Any], file: Path) -> None:
    """Write the page; data sets and methods that the record lacks are left out."""
    lines = ["## The deep infinite mixture on other data", "", SAID]
    lines += ["", _line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line(_row(name, method, cases)) for name, method, cases in _grouped(record)]
    for method, part in record.items():
        known = part["settings"] | part["machine"]
        lines += ["", f"{method}: {'; '.join(f'{k} {v}' for k, v in known.items())}."]
    with atomic_write(file) as out:
        out.write("\n".join(lines) + "\n")


def _grouped(record: dict[str, Any]) -> list[tuple[str, str, list[Case]]]:
    """(data set, method, its cases, one a seed), in the order of the two tables."""
    found: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for method, part in record.items():
        for key, case in part["cases"].items():
            found[key.rpartition(", seed")[0], method].append(case)
    order = [(name, method) for name in DATA_SETS for method in METHODS]
    return [(name, method, found[name, method]) for name, method in order if found[name, method]]


def _row(name: str, method: str, cases: list[Case]) -> list[str]:
    test = [case["test"] for case in cases]
    return [
        name,
        f"{cases[0]['rows']:,}",
        str(cases[0]["classes"]),
        method,
        str(len(cases)),
        clusters([case["train"]["n_clusters"] for case in cases]),
        *(spread([scores[key] for scores in test]) for key in ("acc", "nmi", "cs", "ari")),
        spread([case["train"]["nmi"] for case in cases]),
        f"{fmean(case['seconds'] for case in cases):,.0f}",
    ]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
