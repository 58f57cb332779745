"""Rows with missing values: ``diagonal`` exactly, ``full`` with q(missing | c)."""
