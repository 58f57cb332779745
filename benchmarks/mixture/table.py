"""The record as a page: a section a part, in the order of the targets.

A part whose name goes on after a comma, "iteration, Intel Xeon", is the same on another machine.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from dimix.records import atomic_write

SECTIONS = {
    "iteration": "Time of an iteration",
    "time_to_bound": "Time to scikit-learn's final bound",
    "bounds": "Final bound",
    "recovery": "True number of clusters",
    "coarsening": "Clusters of several components",
    "scaling": "Rows on disk",
    "ranks": "Two processes",
    "peers": "Other packages",
}


def write_table(record: dict[str, Any], file: Path) -> None:
    """Write the page; a part that the record lacks is left out."""
    lines = ["Written by `python -m benchmarks.mixture`."]
    for part, title in SECTIONS.items():
        module = import_module(f"benchmarks.mixture.{part}")
        for name in sorted(name for name in record if name.partition(",")[0] == part):
            lines += ["", f"## {title}{name.removeprefix(part)}", ""]
            lines += module.summary(record[name]["cases"])
            lines += ["", "Settings: " + _named(record[name]["settings"]) + "."]
            lines += ["", "Machine: " + _named(record[name]["machine"]) + "."]
    with atomic_write(file) as out:
        out.write("\n".join(lines) + "\n")


def _named(values: dict[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
