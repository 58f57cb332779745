"""Batches sliced from memory: one indexing operation a batch, never item by item."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Num
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dimix.data.neighbours import Neighbours
from dimix.training.seeds import ORDER, epoch_seed

CHUNK = 2048  # rows encoded or decoded at a time outside training

Batch = Sequence[Tensor]
"""Samples, and what is seen in place of each, where that may be another."""


def as_float(x: Num[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
    """Bytes 0..255 to [0, 1]; anything else to float32 as it is."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


class Rows(Dataset[Batch]):
    """Rows in memory that are indexed a batch at a time."""

    def __init__(self, x: Num[Tensor, "N P"]) -> None:
        self.x = x

    def __getitem__(self, places: Batch) -> Batch:
        return tuple(as_float(self.x[index]) for index in places)

    def __len__(self) -> int:
        return len(self.x)


class EpochBatches(Sampler[Batch]):
    """Index tensors of one epoch's batches, in an order drawn from (seed, epoch).

    With ``neighbours``, a batch also has the places of what is seen in place of each row.

    A last batch of which a rank would have a single row, or none, joins the one before: of one
    row a network that normalises batches can make nothing.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        n_ranks: int = 1,
        neighbours: Neighbours | None = None,
    ) -> None:
        self.n, self.seed, self.epoch, self.neighbours = n, seed, 0, neighbours
        whole, rest = divmod(n, batch_size)
        self.sizes = [batch_size] * whole + [rest] * (rest > 0)
        if whole and 0 < rest < 2 * n_ranks:
            self.sizes[-2:] = [batch_size + rest]

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at every epoch's start."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch, ORDER))
        for places in torch.randperm(self.n, generator=generator).split(self.sizes):
            if self.neighbours:
                yield places, self.neighbours.stand_ins(places, generator)
            else:
                yield (places,)

    def __len__(self) -> int:
        return len(self.sizes)


class RowsModule(LightningDataModule):
    """Training rows as shuffled batches."""

    def __init__(self, x: Num[Tensor, "N P"], batches: EpochBatches) -> None:
        super().__init__()
        self.x, self.batches = x, batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(Rows(self.x), sampler=self.batches, batch_size=None)
