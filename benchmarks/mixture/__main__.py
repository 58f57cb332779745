"""Run parts of the benchmarks, or draw the table: see ``python -m benchmarks.mixture --help``."""

import argparse
from importlib import import_module
from pathlib import Path

from benchmarks.mixture.table import write_table
from benchmarks.record import read

TIMINGS = ("iteration", "time_to_bound", "scaling", "ranks")
"""Parts that need a quiet machine."""
PARTS = (*TIMINGS, "bounds", "recovery", "coarsening", "peers")


def main() -> None:
    """Run what the record lacks of the parts named, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixture", description=__doc__)
    parser.add_argument("part", choices=(*PARTS, "timings", "all", "table"))
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/mixture.json"))
    arguments = parser.parse_args()
    groups = {"all": PARTS, "timings": TIMINGS, "table": ()}
    for part in groups.get(arguments.part, (arguments.part,)):
        import_module(f"benchmarks.mixture.{part}").run(arguments.out)
    write_table(read(arguments.out), arguments.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
