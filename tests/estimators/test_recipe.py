"""How coarse the joint training is, by the number of rows."""

import pytest

from dimix.estimators.recipe import IMAGES, TABLES, Recipe


@pytest.mark.parametrize(
    ("recipe", "n_rows", "last"),
    [
        *((IMAGES, 60_000, 4_950), (IMAGES, 4_000, 4_000), (IMAGES, 400, 1_980)),
        *((TABLES, 60_000, 1_980), (TABLES, 400, 1_980)),
    ],
)
def test_n_eff_ends_with_the_rows_there_are_within_limits(
    recipe: Recipe, n_rows: int, last: float
) -> None:
    coarsening = recipe.rows_a_number.coarsening(n_rows, 66)
    assert coarsening.last == pytest.approx(last)
    assert coarsening.first == recipe.rows_a_number.first * 66
