"""Processes that train one model together, as Lightning starts or finds them.

Each holds all rows and does all work but the minibatches by itself, `alone`; of every minibatch
each takes a part, and gradients and the mixture's statistics are added up.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from lightning.fabric import Fabric

from dimix.mixture.estimator.arguments import check_choice
from dimix.mixture.inference.distributed import alone, in_company
from dimix.training.quiet import quiet_lightning

Device = Literal["cpu", "cuda", "auto"]


def check_device(device: Any) -> None:
    """Raise unless it is one that networks can be trained on here."""
    check_choice("device", device, get_args(Device))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda', but torch finds none here; use 'cpu' or 'auto'")


@dataclass(frozen=True)
class Ranks:
    """What to train on: a kind of device, and how many of them on how many machines."""

    device: Device = "cpu"
    devices: int = 1
    num_nodes: int = 1

    @property
    def accelerator(self) -> str:
        """Lightning's name for the kind of device."""
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def number(self) -> int:
        """One process for each device."""
        return self.devices * self.num_nodes

    @property
    def are_several(self) -> bool:
        return self.number > 1

    @property
    def strategy(self) -> str:
        """Lightning's name for it."""
        return "ddp" if self.are_several else "auto"

    def check_number(self) -> None:
        """Raise where a machine has fewer devices, before a process is started for each."""
        on_gpus = self.accelerator == "cuda"
        most = torch.cuda.device_count() if on_gpus else os.cpu_count() or 1
        if self.devices > most:
            kind = "GPUs" if on_gpus else "cores of the CPU"
            raise ValueError(f"devices must be at most {most}, the {kind}; got {self.devices}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Find the other processes, or start them where nobody has, and work `alone` for now.

        Under torchrun or Slurm they are there; otherwise this script is run again for each. The
        process group stays up until the script ends.
        """
        if self.are_several and not dist.is_initialized():
            self._launch()
            atexit.register(_leave)
        with alone():
            yield

    def _launch(self) -> None:
        with quiet_lightning():
            Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.num_nodes,
                strategy=self.strategy,
            ).launch()

    def sharing(self) -> AbstractContextManager[None]:
        """Work with the other ranks, if there are several; alone, if this is a training of one."""
        return in_company() if self.are_several else alone()


def _leave() -> None:
    """End the process group before the interpreter: its threads may abort the process after."""
    if dist.is_initialized():
        dist.destroy_process_group()
