"""What a fit of the deep infinite mixture does by default: how long, how coarse, on which views.

What each was chosen on is in docs/infinite-measured.md.
"""

from dataclasses import dataclass

from jaxtyping import Num
from torch import Tensor

from dimix.data.views import Jitter
from dimix.models.vae import Augment
from dimix.training.moves import Coarsening

ROUNDS = 20
"""About how often the joint training tries moves: often enough for merges to come one by one."""
VIEWS_TOGETHER = 2_500
"""After so many minibatches of the joint training, or at its end, moves are judged on views alone:
those of an image have come together by then."""
UNMOVED, UNMOVED_LAST = 0.25, 0.5
"""Share of the images that convolutions, or networks of one's own, see as they are, and that all
networks see so in the finish. Images as they are is what they are asked about later. Without, they
model these worse than moved ones, convolutions far worse: presumably they learn to expect the blur
that interpolation leaves. Views bring clusters together, and keep them so."""
STAND_INS = 0.5
"""In which share of a sample's views before the finish a neighbour stands for it, if any may."""
TOWARDS_NEIGHBOUR, FEW_TO_LEARN = 0.5, 1_000
"""How far a view of a table's row is from it, as a share of the way to its neighbour; where
there are so few rows that networks learn each by heart, further, up to the whole way."""


@dataclass(frozen=True)
class Length:
    """As many epochs as make so many minibatches, within these ends."""

    minibatches: int
    fewest: int
    most: int

    def epochs(self, n_rows: int, batch_size: int) -> int:
        """Epochs on so many rows."""
        return min(max(round(self.minibatches * batch_size / n_rows), self.fewest), self.most)


@dataclass(frozen=True)
class RowsANumber:
    """N_eff of the joint training, in rows for each of the F numbers that describe a component.

    It falls, as clusters separate, from the first to as many rows as there are, within the fewest
    and the most. Clusters that still overlap, once they are merged, are drawn together and hardly
    ever separate again; parts of one can be merged later.
    """

    first: float
    fewest: float
    most: float

    def coarsening(self, n_rows: int, n_numbers: int) -> Coarsening:
        """On so many rows, with components of F numbers."""
        last = min(max(n_rows / n_numbers, self.fewest), self.most)
        return Coarsening(self.first * n_numbers, last * n_numbers)


@dataclass(frozen=True)
class Recipe:
    """How the networks and the mixture are trained on rows of one kind.

    pretraining: of the VAE. joint: of both together; the longest of these. finish: epochs of the
    training that follows with some samples as they are, as a share of those of the joint training.
    """

    pretraining: Length
    joint: tuple[Length, ...]
    rows_a_number: RowsANumber
    finish: float

    def epochs(self, n_rows: int, batch_size: int) -> tuple[int, int]:
        """Of the pre-training and of the joint training on so many rows."""
        return (
            self.pretraining.epochs(n_rows, batch_size),
            max(length.epochs(n_rows, batch_size) for length in self.joint),
        )

    def finishing(self, joint_epochs: int) -> int:
        """Epochs of the finish after so many of the joint training."""
        return round(self.finish * joint_epochs)


IMAGES = Recipe(
    pretraining=Length(2_800, 20, 350),
    joint=(Length(26_000, 30, 135), Length(1_800, 1, 450)),
    rows_a_number=RowsANumber(first=900.0, fewest=30.0, most=75.0),
    finish=1 / 2,
)
"""Images are judged by their views, which overlap more than images do, and ask for more rows."""

TABLES = Recipe(
    pretraining=Length(2_000, 20, 150),
    joint=(Length(26_000, 30, 150), Length(400, 1, 500)),
    rows_a_number=RowsANumber(first=450.0, fewest=30.0, most=30.0),
    finish=0.0,
)
"""Views of a table are noise, which brings less together than warps do, so that a Gaussian shape
is taken with less trust; its rows, whose views differ little, are soon learnt by heart."""


def views_of_table(rows: Num[Tensor, "N P"]) -> Augment | None:
    """What makes views of these rows."""
    share = min(max(FEW_TO_LEARN / len(rows), TOWARDS_NEIGHBOUR), 1.0)
    return Jitter.towards_neighbours(rows, share)
