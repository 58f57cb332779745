"""Adding up over ranks: each holds a shard of the rows, and only statistics travel.

Wherever torch.distributed is not initialised, or has one rank, everything here is the identity.
A rank that ends breaks the connection, and one that stalls runs into the ``timeout`` given to
``torch.distributed.init_process_group``: either way the others raise instead of waiting on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def in_use() -> bool:
    """Whether there is more than one rank, and this one is not working ``alone``."""
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return several and not _ALONE.get()


def place() -> tuple[int, int]:
    """This rank and the number of ranks: (0, 1) for the only one."""
    return (dist.get_rank(), dist.get_world_size()) if in_use() else (0, 1)


def is_first() -> bool:
    """Whether this is rank 0, or the only one."""
    return place()[0] == 0


def all_reduce_(tensor: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Sum over the ranks, in place; every rank gets the same bits."""
    return _reduce_(tensor, dist.ReduceOp.SUM) if in_use() else tensor


def over_ranks(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the ranks' arrays."""
    return all_reduce_(torch.from_numpy(array)).numpy()


def largest(number: int) -> int:
    """The largest of the ranks' numbers."""
    return int(_reduce_(torch.tensor(number), dist.ReduceOp.MAX)) if in_use() else number


def check_same(name: str, number: int) -> None:
    """Raise, on every rank, unless all ranks have the same number."""
    found = _gathered(number)
    if len(set(found)) > 1:
        each = ", ".join(f"{value} on rank {rank}" for rank, value in enumerate(found))
        raise ValueError(f"{name} must be the same on every rank, got {each}")


@contextmanager
def alone() -> Iterator[None]:
    """Work on the rows of this rank as if there were no others."""
    with _set_alone(True):
        yield


@contextmanager
def in_company() -> Iterator[None]:
    """Work with the other ranks again, inside ``alone``."""
    with _set_alone(False):
        yield


@contextmanager
def _set_alone(alone: bool) -> Iterator[None]:
    token = _ALONE.set(alone)
    try:
        yield
    finally:
        _ALONE.reset(token)


@contextmanager
def together() -> Iterator[None]:
    """Go on only if what is inside, each rank's own, has raised on none of them."""
    if not in_use():
        yield
        return
    try:
        with alone():
            yield
    except Exception as error:
        _gathered(f"{type(error).__name__}: {error}")
        raise
    for rank, failure in enumerate(_gathered(None)):
        if failure is not None:
            raise RuntimeError(f"rank {rank} of {dist.get_world_size()} failed with {failure}")


def from_first(make: Callable[[], T]) -> T:
    """What ``make`` returns on rank 0, which makes it ``alone``, on every rank."""
    if not in_use():
        return make()
    made: list[Any] = [None]
    with together():
        made = [make()] if dist.get_rank() == 0 else made
    with _connected("hand out what rank 0 has found"):
        dist.broadcast_object_list(made, src=0)
    return made[0]  # type: ignore[no-any-return]


def gather(value: T) -> list[T] | None:
    """The values of all ranks on rank 0; None on the others."""
    if not in_use():
        return [value]
    values: list[Any] | None = [None] * dist.get_world_size() if is_first() else None
    with _connected("collect a sample of the rows"):
        dist.gather_object(value, values, dst=0)
    return values


def _gathered(value: T) -> list[T]:
    """The values of all ranks, on every rank."""
    if not in_use():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    with _connected("hear from every rank"):
        dist.all_gather_object(values, value)
    return values


def _reduce_(tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    # NCCL adds up what is on a GPU, Gloo what is not.
    there = tensor.to("cuda" if dist.get_backend() == "nccl" else "cpu")
    with _connected("add up the statistics"):
        dist.all_reduce(there, operation)
    return tensor if there is tensor else tensor.copy_(there)


@contextmanager
def _connected(what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {dist.get_rank()} of {dist.get_world_size()} could not {what}: "
            "another rank has ended or no longer answers; see that rank's own error"
        ) from error
