"""What runs and fits leave behind, and all that reports are made from.

cells   one row of the paper's experiment: `Record`, `Bundle`, `Cell`
fit     one fitted model: `FitBundle`
"""

from dimix.records.cells import (
    SCHEMA,
    SCORES,
    Bundle,
    Cell,
    Record,
    cell_path,
    read_cell,
    read_curves,
    read_record,
    read_run,
    write_curves,
    write_record,
    write_records,
)
from dimix.records.files import appearing, atomic_write, read_json
from dimix.records.fit import FitBundle, Move

__all__ = [
    "SCHEMA",
    "SCORES",
    "Bundle",
    "Cell",
    "FitBundle",
    "Move",
    "Record",
    "appearing",
    "atomic_write",
    "cell_path",
    "read_cell",
    "read_curves",
    "read_json",
    "read_record",
    "read_run",
    "write_curves",
    "write_record",
    "write_records",
]
