"""How long and how coarse a fit is, by the number of rows."""

import pytest

from dimix.estimators.recipe import IMAGES, TABLES, Recipe


@pytest.mark.parametrize(
    ("recipe", "n_rows", "last"),
    [
        *((IMAGES, 60_000, 6_600), (IMAGES, 4_000, 4_000), (IMAGES, 400, 1_980)),
        *((TABLES, 60_000, 1_980), (TABLES, 400, 1_980)),
    ],
)
def test_n_eff_ends_with_the_rows_there_are_within_limits(
    recipe: Recipe, n_rows: int, last: float
) -> None:
    coarsening = recipe.coarsening(n_rows, 66)
    assert coarsening.last == pytest.approx(last)
    assert coarsening.first == recipe.first * 66


@pytest.mark.parametrize(
    ("recipe", "n_rows", "epochs"),
    [(IMAGES, 60_000, (20, 111)), (IMAGES, 4_000, (179, 150)), (TABLES, 144, (150, 500))],
)
def test_few_rows_are_seen_more_often(recipe: Recipe, n_rows: int, epochs: tuple[int, int]) -> None:
    assert recipe.epochs(n_rows, 256) == epochs
