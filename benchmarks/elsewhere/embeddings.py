"""Embeddings, the last features of a network that was taught other pictures.

As with embeddings that people bring, the network was trained on other classes than those to be
found, and its numbers come as they are, not standardised.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dimix.data.views import RandomWarp
from dimix.nets import encoder_body
from dimix.training import as_float, own_random_numbers

SIZE = 64
EPOCHS, BATCH, LEARNING_RATE = 20, 128, 1e-3


def embedder(
    pictures: UInt8[np.ndarray, "N H W"], classes: Int64[np.ndarray, " N"]
) -> Callable[[UInt8[np.ndarray, "M H W"]], Float32[np.ndarray, "M {SIZE}"]]:
    """A network that is taught these pictures' classes: from pictures to its last features."""
    with own_random_numbers():
        torch.manual_seed(0)
        body = encoder_body("conv", pictures.shape[1:])
        network = nn.Sequential(nn.Flatten(), body.module, nn.Linear(body.features, SIZE))
        _teach(network, as_float(torch.from_numpy(pictures)), torch.from_numpy(classes))

    def embed(others: UInt8[np.ndarray, "M H W"]) -> Float32[np.ndarray, "M {SIZE}"]:
        with torch.no_grad():
            features: np.ndarray = network(as_float(torch.from_numpy(others))).numpy()
        return features

    return embed


def _teach(network: nn.Module, x: Float[Tensor, "N H W"], classes: Int64[Tensor, " N"]) -> None:
    """Train the features, and a classifier on top, on random copies of the pictures."""
    classifier = nn.Sequential(nn.ReLU(), nn.Linear(SIZE, int(classes.max()) + 1))
    both = nn.Sequential(network, classifier)
    optimizer = torch.optim.Adam(both.parameters(), lr=LEARNING_RATE)
    warp = RandomWarp()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(both(warp(x[rows])), classes[rows]).backward()
            optimizer.step()
