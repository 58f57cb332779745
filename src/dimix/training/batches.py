"""Batches sliced from memory: one indexing operation a batch, never item by item."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Num
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dimix.training.seeds import ORDER, epoch_seed

CHUNK = 2048  # rows encoded or decoded at a time outside training


def as_float(x: Num[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
    """Bytes 0..255 to [0, 1]; anything else to float32 as it is."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


class Rows(Dataset[Tensor]):
    """Rows in memory that are indexed a batch at a time."""

    def __init__(self, x: Num[Tensor, "N P"]) -> None:
        self.x = x

    def __getitem__(self, index: Tensor) -> Tensor:
        return as_float(self.x[index])

    def __len__(self) -> int:
        return len(self.x)


class EpochBatches(Sampler[Tensor]):
    """Index tensors of one epoch's batches, in an order drawn from (seed, epoch).

    A last batch of which a rank would have a single row, or none, joins the one before: of one
    row a network that normalises batches can make nothing.
    """

    def __init__(self, n: int, batch_size: int, seed: int, n_ranks: int = 1) -> None:
        self.n, self.seed, self.epoch = n, seed, 0
        whole, rest = divmod(n, batch_size)
        self.sizes = [batch_size] * whole + [rest] * (rest > 0)
        if whole and 0 < rest < 2 * n_ranks:
            self.sizes[-2:] = [batch_size + rest]

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at every epoch's start."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch, ORDER))
        yield from torch.randperm(self.n, generator=generator).split(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)


class RowsModule(LightningDataModule):
    """Training rows as shuffled batches."""

    def __init__(self, x: Num[Tensor, "N P"], batch_size: int, seed: int, n_ranks: int = 1) -> None:
        super().__init__()
        self.x, self.batch_size, self.seed, self.n_ranks = x, batch_size, seed, n_ranks

    def train_dataloader(self) -> DataLoader[Tensor]:
        batches = EpochBatches(len(self.x), self.batch_size, self.seed, self.n_ranks)
        return DataLoader(Rows(self.x), sampler=batches, batch_size=None)
