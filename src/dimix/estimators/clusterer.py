"""What estimators whose latent is a mixture share: clusters, their probabilities, their samples."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted

from dimix.estimators.base import Array, DeepEstimator, estimator
from dimix.mixture.estimator.arguments import check_choice, check_number
from dimix.training import device_of, in_chunks


@estimator
class DeepClusterer(ClusterMixin, DeepEstimator):  # type: ignore[misc]
    """A deep model whose latent is a mixture: it also predicts, and samples by cluster.

    Attributes, besides those of `DeepEstimator`:
        labels_: the training samples' clusters, [N], as the fit found them.
    """

    _answers: ClassVar[tuple[str, ...]] = ("history_", "labels_")

    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        X_val: ArrayLike | None = None,
        scorer: Callable[[Self], dict[str, float]] | None = None,
    ) -> Self:
        """Train on `X` as `DeepEstimator.fit` does, and label it."""
        super().fit(X, X_val=X_val, scorer=scorer)
        self.labels_ = self.predict(X)
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Cluster probabilities, [N, K]."""
        check_is_fitted(self, "model_")
        rows, device = self._rows(X), device_of(self.model_)
        return in_chunks(self.model_.log_assignments, rows, device).exp().clamp(max=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The most probable cluster of each sample, [N]."""
        labels: NDArray[np.int64] = self.predict_proba(X).argmax(1)
        return labels

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw samples (means of p(x | z)) and their clusters; all of one, if it is given."""
        check_is_fitted(self, "model_")
        check_number("n_samples", n_samples, low=1, integer=True)
        generator = torch.Generator().manual_seed(self.seed_)
        weights = torch.from_numpy(self.cluster_weights()).float()
        if cluster is None:
            y = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        else:
            check_choice("cluster", cluster, tuple(range(len(weights))))
            y = torch.full((n_samples,), int(cluster))
        with torch.inference_mode():
            z = self.model_.sample_latent(y, generator)
        return self.inverse_transform(z.numpy()), y.numpy()

    def cluster_weights(self) -> NDArray[np.float64]:
        """Mixing weights, [K]."""
        raise NotImplementedError  # abstract
