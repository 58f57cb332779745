"""The autoencoder with which both begin: the networks of our models, without noise or prior."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dimix.models import VAE
from dimix.models.objective import Objective
from dimix.training import Training, in_chunks, train

LATENT_DIM, EPOCHS, BATCH = 10, 50, 256


class Autoencoder(VAE):
    """Encoder and decoder of a VAE, trained to reconstruct from the mean alone.

    seconds: of its training, parts that were gone on with included.
    """

    seconds: float

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        """log p(x | mean of q)."""
        reconstruction = self.decode(self.embed(x)).log_prob(x)
        return Objective(-reconstruction.mean(), {"reconstruction": reconstruction})


def rows_of(images: UInt8[np.ndarray, "N H W"]) -> Float[Tensor, "N P"]:
    """Flat rows of shares of 255."""
    return torch.from_numpy(images.reshape(len(images), -1) / np.float32(255))


def autoencoder(
    rows: Float[Tensor, "N P"], seed: int, epochs: int = EPOCHS, folder: Path | None = None
) -> Autoencoder:
    """Trained for so many epochs, Adam with a learning rate that falls from 1e-3.

    A training that was cut short is gone on with in its folder.
    """
    torch.manual_seed(seed)
    model = Autoencoder((rows.shape[1],), LATENT_DIM)
    how = Training(
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=1e-3,
        seed=seed,
        schedule="linear",
        checkpoint_dir=folder and folder / "autoencoder",
    )
    model.seconds = sum(row["seconds"] for row in train(model, rows, how))
    return model


def latents(model: VAE, rows: Float[Tensor, "N P"]) -> Float[np.ndarray, "N D"]:
    """Means of the latents."""
    encoded: np.ndarray = in_chunks(model.embed, rows, torch.device("cpu")).numpy()
    return encoded
