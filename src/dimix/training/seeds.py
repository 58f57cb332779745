"""Where randomness comes from: every epoch has its own seed.

A run that stops and resumes at an epoch's start then draws exactly what an uninterrupted one
would have drawn, with no generator state to save.
"""

from contextlib import AbstractContextManager

import numpy as np
import torch

ORDER, NOISE, MIXTURE, EVALUATION, VIEWS = range(5)


def epoch_seed(seed: int, epoch: int, stream: int) -> int:
    """A 32-bit seed for one epoch's order of the data, noise, mixture and so on.

    Trainings that follow each other in a fit count their epochs alike, and draw alike.
    """
    return int(np.random.SeedSequence([seed, epoch, stream]).generate_state(1)[0])


def own_random_numbers() -> AbstractContextManager[None]:
    """Seed and draw as one likes inside: PyTorch's generators are afterwards as they were."""
    # Left to find the GPUs itself, PyTorch warns of several.
    return torch.random.fork_rng(range(torch.cuda.device_count()), device_type="cuda")
