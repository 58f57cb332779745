"""A first pass over rows that do not fit in memory: their moments, and a sample to start from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dimix.mixture.inference.blocks import Blocks, Moments, check_range, stream_moments
from dimix.mixture.inference.distributed import check_same

SAMPLE_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Overview:
    """Moments of all rows (of all ranks), and some of this rank's, drawn without replacement.

    ``n_rows`` is how many rows this rank has.
    """

    moments: Moments
    sample: Float[np.ndarray, "n D"]
    n_rows: int


def overview(blocks: Blocks, rng: np.random.RandomState, n_rows: int = SAMPLE_ROWS) -> Overview:
    """One pass. Every row draws a key, and those with the smallest keys are the sample."""
    keys, seen = np.empty(0), 0
    kept: list[Float[np.ndarray, "n D"]] = []

    def sampling() -> Iterator[Float[np.ndarray, "n D"]]:
        nonlocal keys, kept, seen
        for block in blocks:
            seen += len(block)
            check_range(block, seen, blocks.name)
            keys = np.concatenate([keys, rng.uniform(size=len(block))])
            smallest = np.sort(keys.argsort(kind="stable")[:n_rows])
            keys, kept = keys[smallest], [np.concatenate([*kept, block])[smallest]]
            yield block
        if not kept:
            raise ValueError(f"{blocks.name} must hold rows, found none")
        # Before the ranks add up their moments, which must be of the same shape.
        check_same("the number of columns", kept[0].shape[1])

    moments = stream_moments(sampling(), blocks.name)
    return Overview(moments, kept[0], seen)
