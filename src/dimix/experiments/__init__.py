"""The paper's experiment: its rows as frozen settings, its networks, and the runner."""

from dimix.experiments.estimate import estimate_seconds
from dimix.experiments.problem import load_problem
from dimix.experiments.rows import ROWS, Row, find_rows
from dimix.experiments.runner import Cell, Grid, check_folder, reproduce

__all__ = [
    "ROWS",
    "Cell",
    "Grid",
    "Row",
    "check_folder",
    "estimate_seconds",
    "find_rows",
    "load_problem",
    "reproduce",
]
