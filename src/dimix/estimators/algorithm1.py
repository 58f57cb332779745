"""The paper's Algorithm 1 as an estimator."""

from dataclasses import KW_ONLY, replace
from typing import ClassVar, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dimix import models
from dimix.estimators.base import estimator
from dimix.estimators.clusterer import DeepClusterer
from dimix.estimators.gmvae import GMVAE
from dimix.mixture.estimator.arguments import check_choice, check_number
from dimix.models.algorithm1 import Gumbel
from dimix.training import RefitMixture, Scorer, train


@estimator
class Algorithm1(DeepClusterer):
    """The paper's proposal: a DP-GMM refitted to the encoded data every epoch.

    Its terms are no bound on log p(x): as printed, `score` is the reconstruction alone.

    Parameters, besides those of `DeepEstimator`:
        n_components: the DP-GMM's truncation.
        gumbel: "soft", or "hard" (straight-through).
        temperature: of the Gumbel-softmax.
        kl_weight: weight of the latent's divergence from its component; 0 as printed.
        pretrained: a fitted GMVAE of the same architecture to start from; within
            `sklearn.frozen.FrozenEstimator` where this estimator is cloned, as in a
            cross-validation, since a clone forgets its fit.
    """

    _: KW_ONLY
    n_components: int = 10
    gumbel: Gumbel = "soft"
    temperature: float = 1.0
    kl_weight: float = 0.0
    pretrained: GMVAE | None = None

    _fewest: ClassVar[int] = 2

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("n_components", self.n_components, low=1, integer=True)
        check_choice("gumbel", self.gumbel, get_args(Gumbel))
        check_number("temperature", self.temperature, low=0, closed=False)
        check_number("kl_weight", self.kl_weight, low=0)
        fitted = getattr(self.pretrained, "model_", None)
        if self.pretrained is not None and not isinstance(fitted, models.GMVAE):
            raise ValueError(
                f"pretrained must be a fitted GMVAE; found {self.pretrained!r} (a clone, as in a "
                "cross-validation, is fitted only within sklearn.frozen.FrozenEstimator)"
            )

    def build(self, shape: tuple[int, ...]) -> models.Algorithm1:
        """The untrained model, or the pretrained GMVAE's networks in it."""
        model = models.Algorithm1(
            shape,
            self.latent_dim,
            n_components=self.n_components,
            gumbel=self.gumbel,
            temperature=self.temperature,
            kl_weight=self.kl_weight,
            architecture=self.networks_,
            likelihood=self.likelihood_,
        )
        if self.pretrained is not None:
            try:
                model.start_from(self.pretrained.model_)
            except RuntimeError as error:
                raise ValueError(
                    "pretrained must have the same latent_dim, likelihood and networks, and be "
                    f"fitted to samples of the same shape: {error}"
                ) from None
        return model

    def _train(
        self, rows: Tensor, x_val: Tensor | None, scorer: Scorer | None
    ) -> list[dict[str, float]]:
        refit = RefitMixture(self.model_, rows, self.seed_)
        training = replace(self._training(), callbacks=[refit])
        return train(self.model_, rows, training, x_val, scorer)

    def cluster_weights(self) -> NDArray[np.float64]:
        """The DP-GMM's expected weights, [K]."""
        weights: NDArray[np.float64] = self.model_.mixture.weights_
        return weights
