"""A minibatch that ranks share: each is given all of it and works on its part of the objects.

Random copies and noise are those of the whole minibatch, drawn alike on every rank, and means
are those of the whole: the model that comes out does not depend on the number of ranks. With
one rank the part is the whole, and nothing here does more than its name says.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.distributions import Independent, Normal

from dimix.mixture.inference.distributed import all_reduce_, place


def part_of(whole: Shaped[Tensor, "..."], dim: int = 0) -> Shaped[Tensor, "..."]:
    """This rank's part of the objects, which lie along ``dim``."""
    rank, n_ranks = place()
    return whole.tensor_split(n_ranks, dim)[rank]


def drawn(
    draw: Callable[[Tensor], Tensor], part: Float[Tensor, "*V b F"], n_objects: int
) -> Float[Tensor, "*V b F"]:
    """``draw(part)``, with the random numbers of this part of all ``n_objects``."""
    if place() == (0, 1):
        return draw(part)
    own = part_of(torch.arange(n_objects, device=part.device))
    whole = part.new_zeros(*part.shape[:-2], n_objects, part.shape[-1]).index_copy(-2, own, part)
    return draw(whole).index_select(-2, own)


def rsample(q: Independent[Normal], n_objects: int) -> Float[Tensor, "*V b D"]:
    """z ~ q of this part of all ``n_objects``, differentiable in q."""
    mean, scale = q.base_dist.loc, q.base_dist.scale
    return mean + scale * drawn(torch.randn_like, mean, n_objects)


def mean_over(values: Float[Tensor, " b"], n_objects: int) -> Float[Tensor, ""]:
    """The mean over all ``n_objects``, of which ``values`` are this rank's part.

    The gradient is that of the part's share times the number of ranks, over which the trainer
    averages gradients; so it is right whatever the sizes of the parts, and none may be empty.
    """
    _, n_ranks = place()
    if n_ranks == 1:
        return values.mean()
    share = values.sum() * (n_ranks / n_objects)
    whole = all_reduce_(share.detach().clone()) / n_ranks
    return whole + (share - share.detach())
