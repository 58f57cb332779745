"""VaDE (Jiang, Zheng, Tan, Tang and Zhou 2017): K Gaussians as the prior, climbed by gradients.

    E_q[log p(x | z)] + H[q] + Σ_c γ_c ( E_q[log N(z | μ_c, σ²_c)] + log π_c - log γ_c ),
    γ = p(c | z) of one draw of z

Their recipe: an autoencoder, a mixture of K diagonal Gaussians fitted to its latents, then 300
epochs of Adam at 0.002, times 0.9 every ten epochs, minibatches of 100. Where it differs here:
the autoencoder is trained as a whole, theirs layer by layer; and γ gets no gradient, being the
best there is for its draw. Trained by our trainer, so that hours of it can be gone on with.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.baselines.autoencoder import Autoencoder, autoencoder, latents
from jaxtyping import Float, Int64
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from dimix.models.objective import Model, Objective
from dimix.training import Training, in_chunks, train

EPOCHS, BATCH, LEARNING_RATE, FALLS_BY, EVERY = 300, 100, 2e-3, 0.9, 10


class VaDE(Model):
    """The autoencoder's networks, and the mixture as trained numbers.

    seconds: of the autoencoder's training and of this one, parts that were gone on with included.
    """

    seconds: float

    def __init__(self, networks: Autoencoder, fitted: GaussianMixture) -> None:
        super().__init__()
        self.networks = networks
        start = fitted.means_, np.log(fitted.covariances_), np.log(fitted.weights_)
        self.mean, self.log_var, self.logits = (
            nn.Parameter(torch.as_tensor(values, dtype=torch.float32)) for values in start
        )

    def objective(self, x: Float[Tensor, "B P"]) -> Objective:
        """The bound's terms, one draw of z each."""
        q: Independent[Normal] = self.networks.encoder(x)
        z = q.rsample()
        log_gamma = self.log_assignments(z.detach()).detach()
        gained = self.log_weights() + self.expected_log_density(q.mean, q.variance) - log_gamma
        reconstruction = self.networks.decode(z).log_prob(x)
        prior = q.entropy() + (log_gamma.exp() * gained).sum(1)
        loss = -(reconstruction + prior).mean()
        return Objective(loss, {"reconstruction": reconstruction, "prior": prior})

    def log_weights(self) -> Float[Tensor, " K"]:
        """log π."""
        return torch.log_softmax(self.logits, dim=0)

    def expected_log_density(
        self, mean: Float[Tensor, "B D"], var: Float[Tensor, "B D"] | float = 0.0
    ) -> Float[Tensor, "B K"]:
        """E[log N(z | μ_c, σ²_c)] of z with this mean and variance, for each c."""
        spread = (mean[:, None] - self.mean).square()
        spread = spread + (var[:, None] if isinstance(var, Tensor) else var)
        parts = math.log(2 * math.pi) + self.log_var + spread / self.log_var.exp()
        return -0.5 * parts.sum(-1)

    def log_assignments(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """log p(c | z)."""
        return torch.log_softmax(self.log_weights() + self.expected_log_density(z), dim=1)

    def predict(self, rows: Float[Tensor, "N P"]) -> Int64[np.ndarray, " N"]:
        """The most probable component at the mean of z."""

        def assign(x: Tensor) -> Tensor:
            return self.log_assignments(self.networks.embed(x)).argmax(1)

        return in_chunks(assign, rows, torch.device("cpu")).numpy()


class _FallingRate(Callback):
    """The learning rate, times 0.9 every ten epochs."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = LEARNING_RATE * FALLS_BY ** (trainer.current_epoch // EVERY)


def vade(
    rows: Float[Tensor, "N P"],
    n_clusters: int,
    seed: int,
    epochs: int = EPOCHS,
    folder: Path | None = None,
) -> VaDE:
    """Trained by the recipe above; a training that was cut short is gone on with in its folder."""
    networks = autoencoder(rows, seed, folder=folder)
    mixture = GaussianMixture(n_clusters, covariance_type="diag", random_state=seed, n_init=5)
    model = VaDE(networks, mixture.fit(latents(networks, rows)))
    how = Training(
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        seed=seed,
        checkpoint_dir=folder and folder / "vade",
        callbacks=[_FallingRate()],
    )
    history = train(model, rows, how)
    model.seconds = networks.seconds + sum(row["seconds"] for row in history)
    return model
