"""Run what the record lacks, then write the table: see ``python -m benchmarks.elsewhere --help``.

Each data set is clustered by each method with three seeds; a seed changes the starts and the
order of the rows, not which of them are held out.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from benchmarks.elsewhere.data import DATA_SETS
from benchmarks.elsewhere.methods import METHODS, ON_SOME, case
from benchmarks.elsewhere.table import write_table
from benchmarks.record import read, run_missing

SEEDS = 3
SETTINGS = {
    "held_out": "every fifth row of each class",
    "parameters": "the defaults but where named",
    "threads": torch.get_num_threads(),
}


def methods_of(name: str) -> list[str]:
    """The methods that cluster a data set."""
    return [method for method in METHODS if name in ON_SOME.get(method, (name,))]


def main() -> None:
    """Run the data sets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.elsewhere", description=__doc__)
    parser.add_argument("data_set", nargs="*", help=f"of {', '.join(DATA_SETS)}")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/elsewhere.json"))
    arguments = parser.parse_args()
    names = arguments.data_set or list(DATA_SETS)
    for name in names:
        if name not in DATA_SETS:
            parser.error(f"data_set: expected one of {', '.join(DATA_SETS)}, found {name!r}")
    for seed in range(SEEDS):
        for name in names:
            data = DATA_SETS[name]()
            for method in methods_of(name):
                run = {f"{name}, seed {seed}": partial(case, method, data, seed)}
                run_missing(arguments.out, method, SETTINGS, run)
                write_table(read(arguments.out), arguments.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
