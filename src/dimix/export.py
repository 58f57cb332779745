"""Export to ONNX: one graph that embeds and assigns, for any runtime and without Python.

    x              float32 [N, ...]          N samples in the shape of the data that was fitted
    latent         float32 [N, D]            what `transform` gives; a mixture alone has none
    cluster_proba  float32 [N, n_clusters]   what `predict_proba` gives; a VAE has none; NaN for
                                             rows with missing values, except under "diag"

Bytes are divided by 255 outside of the graph. What is in the graph is the model as it is at the
export: another `cut` needs another export.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import singledispatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from dimix.estimators import GMVAE, VAE, Algorithm1, DeepInfiniteMixture
from dimix.mixture import DirichletProcessGaussianMixture, MixturePosterior
from dimix.mixture.sticks import LOG_ZERO
from dimix.records import appearing
from dimix.training.quiet import OF_ITS_TREES, quiet

PACKAGES = ("onnx", "onnxscript")
EXAMPLE_ROWS = 3  # the tracer takes 0 and 1 for constants


def export_onnx(model: Any, file: str | Path) -> None:
    """Write a fitted model as an ONNX graph whose number of rows is free.

    The file appears whole or not at all; one that is there is replaced.

    Raises:
        TypeError: the model is none of dimix.
        NotFittedError: it is not fitted.
        ModuleNotFoundError: the packages of the extra "onnx" are not installed.
    """
    graph = deepcopy(_graph(model)).cpu().eval()
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"{' and '.join(missing)}: pip install 'dimix[onnx]'")
    example = torch.zeros(EXAMPLE_ROWS, *_sample_shape(model))
    with _shapes_unchecked(), quiet(["torch.onnx"], [OF_ITS_TREES]):
        program: Any = torch.onnx.export(
            graph,
            (example,),
            input_names=["x"],
            output_names=list(graph.outputs),
            dynamic_shapes={"x": {0: torch.export.Dim("N")}},
            dynamo=True,
            verbose=False,
        )
    with appearing(Path(file)) as beside:
        program.save(beside, external_data=False)


@contextmanager
def _shapes_unchecked() -> Iterator[None]:
    """Comparing a traced shape with an annotation would make a constant of it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _sample_shape(model: Any) -> tuple[int, ...]:
    return tuple(getattr(model, "sample_shape_", (model.n_features_in_,)))


class Assignment(nn.Module):
    """p(cluster | z) of a posterior: Φ ηᵀ, softmax, and the sum over each cluster's components.

    filled: which components take part; labels: the cluster of each; dtype: that of the product.
    """

    natural: Float[Tensor, "K F"]
    member: Float[Tensor, "K C"]

    def __init__(
        self,
        posterior: MixturePosterior,
        filled: Tensor,
        labels: Int64[np.ndarray, " K"],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.posterior = posterior
        natural = posterior.natural_parameters.clone()
        natural[~filled] = 0
        natural[~filled, 0] = LOG_ZERO  # Φ begins with a one
        member = labels[:, None] == np.arange(labels.max() + 1)
        self.register_buffer("natural", natural.to(dtype))
        self.register_buffer("member", torch.from_numpy(member).to(dtype))

    def forward(
        self, z: Float[Tensor, "N D"], var: Float[Tensor, "N D"] | None = None
    ) -> Float[Tensor, "N C"]:
        """Of points, or of Gaussians N(z, diag var)."""
        dtype = self.natural.dtype
        phi = self.posterior.features(z.to(dtype), None if var is None else var.to(dtype))
        return (torch.softmax(phi @ self.natural.mT, dim=1) @ self.member).float()


class Graph(nn.Module):
    """A model's answers to x, in the order of ``outputs``."""

    outputs: tuple[str, ...] = ("latent", "cluster_proba")
    model: Any


class Embedding(Graph):
    """A VAE's latent."""

    outputs = ("latent",)

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The latent."""
        z: Tensor = self.model.embed(x.flatten(1))
        return z


class NetworkAssignment(Graph):
    """A GMVAE's: the components are a network."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The latent and the probabilities."""
        rows = x.flatten(1)
        return self.model.embed(rows), self.model.log_assignments(rows).exp()


class PointAssignment(Graph):
    """Algorithm 1's: the mixture is of the latent means."""

    def __init__(self, model: Any, assign: Assignment) -> None:
        super().__init__()
        self.model, self.assign = model, assign

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The latent and the probabilities."""
        z = self.model.embed(x.flatten(1))
        return z, self.assign(z)


class PosteriorAssignment(Graph):
    """The deep infinite mixture's: the mixture is of q(z | x), its variance included."""

    def __init__(self, model: Any, assign: Assignment) -> None:
        super().__init__()
        self.model, self.assign = model, assign

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The latent and the probabilities."""
        q, of_mixed = self.model.encoder(x.flatten(1)), self.model.mixture.of_mixed
        return q.mean, self.assign(of_mixed(q.mean), of_mixed(q.variance))


class RowAssignment(Graph):
    """A mixture's, of rows as they are."""

    outputs = ("cluster_proba",)

    def __init__(self, assign: Assignment) -> None:
        super().__init__()
        self.assign = assign

    def forward(self, x: Tensor) -> Tensor:
        """The probabilities."""
        proba: Tensor = self.assign(x)
        return proba


@singledispatch
def _graph(model: Any) -> Graph:
    raise TypeError(f"only models of dimix are exported, got {type(model).__name__}")


@_graph.register
def _(model: VAE) -> Graph:
    check_is_fitted(model, "model_")
    return Embedding(model.model_)


@_graph.register
def _(model: GMVAE) -> Graph:
    check_is_fitted(model, "model_")
    return NetworkAssignment(model.model_)


@_graph.register
def _(model: Algorithm1) -> Graph:
    check_is_fitted(model, "model_")
    return PointAssignment(model.model_, _assignment_of(model.model_.mixture))


@_graph.register
def _(model: DeepInfiniteMixture) -> Graph:
    check_is_fitted(model, "hierarchy_")
    filled = model.model_.mixture.statistics[:, 0] > 0
    assign = Assignment(model.posterior_, filled.cpu(), model.component_labels_, torch.float32)
    return PosteriorAssignment(model.model_, assign)


@_graph.register
def _(model: DirichletProcessGaussianMixture) -> Graph:
    check_is_fitted(model)
    return RowAssignment(_assignment_of(model))


def _assignment_of(mixture: DirichletProcessGaussianMixture) -> Assignment:
    """The product in the type that the mixture takes for float32."""
    posterior, n_components = mixture.posterior_, mixture.posterior_.n_components
    pooled = mixture.coarsening is not None
    labels = mixture.component_labels_ if pooled else np.arange(n_components)
    every = torch.ones(n_components, dtype=torch.bool)
    dtype = torch.promote_types(torch.float32, mixture._dtype)
    return Assignment(posterior, every, labels, dtype)
