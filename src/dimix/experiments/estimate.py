"""How long a run will take: a few real training steps, timed, times the steps to come."""

import numpy as np

from dimix.estimators import GMVAE, VAE, DeepInfiniteMixture
from dimix.experiments.networks import PRETRAINING_SHARE
from dimix.experiments.problem import Problem
from dimix.experiments.runner import Grid
from dimix.training import Device

SAMPLE = 5120  # images in the trial epoch: twenty batches
OVERHEAD = 1.25  # scores at each epoch's end, Algorithm 1's refits, the mixtures' fits


def estimate_seconds(grid: Grid, problem: Problem) -> float:
    """Seconds for the grid's missing networks, counted from nothing, on this machine now."""
    vae, gmvae = (seconds_per_image(kind, problem, grid.device) for kind in (VAE, GMVAE))
    n_images = len(problem.train.images)
    names = [name for name, _, _ in grid.networks()]
    ours = sum(name.startswith("infinite") for name in names)
    names = [name for name in names if not name.startswith("infinite")]
    start = PRETRAINING_SHARE * sum(
        name == "algorithm1-pretrained" and "gmvae" not in names for name in names
    )
    passes = sum(gmvae if name == "gmvae" else vae for name in names) + start * gmvae
    epochs = passes * grid.epochs + ours * vae * sum(
        DeepInfiniteMixture().n_epochs(n_images, images=True)
    )
    return OVERHEAD * epochs * n_images


def seconds_per_image(kind: type[VAE] | type[GMVAE], problem: Problem, device: Device) -> float:
    """One image's share of a training epoch, the first epoch's warm-up left out."""
    images = problem.train.images[np.arange(SAMPLE) % len(problem.train.images)]
    trial = kind(epochs=2, device=device, random_state=0, progress=False).fit(images)
    return trial.history_[-1]["seconds"] / len(images)
