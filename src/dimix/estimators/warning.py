"""Warnings that point at the line of whoever called dimix, however deep they arise."""

import sys
import warnings


def warn_user(message: str) -> None:
    """A UserWarning at the nearest line outside of the package."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "dimix":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
