"""Adding up over ranks: each holds a shard of the rows, and only statistics travel.

Wherever torch.distributed is not initialised, or has one rank, everything here is the identity.
A rank that ends breaks the connection, and one that stalls runs into the ``timeout`` given to
``torch.distributed.init_process_group``: either way the others raise instead of waiting on.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def in_use() -> bool:
    """Whether there is more than one rank."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def all_reduce_(tensor: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Sum over the ranks, in place; every rank gets the same bits."""
    return _reduce_(tensor, dist.ReduceOp.SUM) if in_use() else tensor


def largest(number: int) -> int:
    """The largest of the ranks' numbers."""
    if not in_use():
        return number
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    return int(_reduce_(torch.tensor(number, device=device), dist.ReduceOp.MAX))


def _reduce_(tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    try:
        dist.all_reduce(tensor, operation)
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {dist.get_rank()} of {dist.get_world_size()} could not add up the statistics: "
            "another rank has ended or no longer answers; see that rank's own error"
        ) from error
    return tensor
