"""Networks so narrow that a training of some epochs takes a moment."""

import pytest

WIDTHS = (32, 32, 32)


def narrow(patch: pytest.MonkeyPatch) -> None:
    """Networks of no stated width, and those that are as wide as their data ask for."""
    patch.setattr("dimix.nets.bodies.HIDDEN", WIDTHS)
    patch.setattr("dimix.nets.bodies.usual_widths", lambda shape, n_rows: WIDTHS)
