"""What a fitted model is asked for its report, whichever model it is.

A model with a tree is asked for the components at the tree's leaves, one without for its
clusters, and one that has none counts as one cluster.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy.typing import NDArray

from dimix.mixture import DirichletProcessGaussianMixture, Hierarchy
from dimix.mixture.hierarchy import pool
from dimix.records import Move

DRAWS = 8
"""Samples of each component."""
NOT_TOLD = ("progress", "logger", "checkpoint_dir", "verbose", "verbose_interval")
"""Parameters that say nothing of the model; a path may say more than its owner would tell."""

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a model at some points; ``leaf_clusters`` are those of the present cut."""

    latents: Float[np.ndarray, "n D"]
    probabilities: Float[np.ndarray, "n K"]
    sizes: Float64[np.ndarray, " K"]
    samples: Array | None
    hierarchy: Hierarchy | None
    leaf_clusters: Int64[np.ndarray, " K"]

    def clusters(self) -> Int64[np.ndarray, " n"]:
        """The most probable cluster of each point, at the present cut."""
        labels: Int64[np.ndarray, " n"] = pool(self.probabilities, self.leaf_clusters).argmax(1)
        return labels

    def tree(self) -> dict[str, Any]:
        """The bundle's parts that say how components make up clusters."""
        if self.hierarchy is None:
            return {"sizes": self.sizes, "n_clusters": len(np.unique(self.clusters()))}
        gap = self.hierarchy.gap
        return {
            "sizes": self.sizes,
            "n_clusters": int(self.leaf_clusters.max()) + 1,
            "linkage": self.hierarchy.linkage,
            "auto_clusters": gap.n_clusters,
            "auto_note": gap.diagnosis,
        }


def components_of(model: Any, data: Any, n_rows: int) -> Components:
    """Ask a model for its components at some of the ``n_rows`` rows that are reported on."""
    latents = latents_of(model, data)
    tree: Hierarchy | None = getattr(model, "hierarchy_", None)
    if tree is not None:
        probabilities = model.predict_components_proba(data)[:, tree.leaves]
        # A tree may count each row several times.
        sizes, labels = n_rows * tree.shares, model.component_labels_[tree.leaves]
    else:
        known = hasattr(model, "predict_proba")
        probabilities = model.predict_proba(data) if known else np.ones((len(latents), 1))
        sizes = probabilities.sum(0, dtype=np.float64) * (n_rows / len(latents))
        labels = np.arange(len(sizes))
    return Components(latents, probabilities, sizes, samples_of(model, tree), tree, labels)


def latents_of(model: Any, data: Any) -> Float[np.ndarray, "n D"]:
    """Latent means; of a mixture the rows themselves, missing values at their column's mean."""
    if hasattr(model, "transform"):
        return np.asarray(model.transform(data))
    rows = np.array(data, dtype=np.float64)
    gaps = np.isnan(rows)
    rows[gaps] = np.broadcast_to(np.nanmean(rows, axis=0), rows.shape)[gaps]
    return rows


def what_it_maps(model: Any) -> str:
    """What `latents_of` gives, in words."""
    return "latent means" if hasattr(model, "transform") else "the rows"


def samples_of(model: Any, tree: Hierarchy | None) -> Array:
    """``DRAWS`` samples of each component, [K, DRAWS, ...]."""
    if isinstance(model, DirichletProcessGaussianMixture):
        return _mixture_samples(model, tree)
    if tree is not None:
        finest = copy.copy(model).cut(n_clusters=len(tree.leaves))
        clusters = finest.component_labels_[tree.leaves]
        return np.stack([finest.sample(DRAWS, cluster=int(c))[0] for c in clusters])
    if not hasattr(model, "cluster_weights"):
        return np.asarray(model.sample(DRAWS))[None]
    n_clusters = len(model.cluster_weights())
    return np.stack([model.sample(DRAWS, cluster=k)[0] for k in range(n_clusters)])


def _mixture_samples(model: DirichletProcessGaussianMixture, tree: Hierarchy | None) -> Array:
    posterior = model.posterior_
    chosen = np.arange(posterior.n_components) if tree is None else tree.leaves
    generator = torch.Generator().manual_seed(0)
    shape = (DRAWS, model.n_features_in_)
    draws = [
        posterior.family.draw(
            posterior.components,
            int(k),
            torch.randn(shape, generator=generator, dtype=torch.float64),
        )
        for k in chosen
    ]
    return (torch.stack(draws) + posterior.prior.centre).numpy()


def course_of(model: Any) -> dict[str, Any]:
    """How the fit went: the columns of its history, and the moves that were kept."""
    if hasattr(model, "lower_bounds_"):
        bounds = np.asarray(model.lower_bounds_, dtype=np.float64)
        moves = [Move(0, move.kind, move.n_components, float(move.gain)) for move in model.moves_]
        updates = np.arange(1, len(bounds) + 1, dtype=np.float64)
        return {"history": {"update": updates, "bound": bounds}, "moves": tuple(moves)}
    history = getattr(model, "history_", [])
    names = dict.fromkeys(name for row in history for name in row)
    columns = {k: np.array([row.get(k, np.nan) for row in history], np.float64) for k in names}
    joint = [row["epoch"] for row in history if "n_components" in row]  # moves count from there
    before = int(joint[0]) - 1 if joint else 0
    moves = [
        Move(before + epoch, kind, n, float(gain))
        for epoch, kind, n, gain in getattr(model, "moves_", [])
    ]
    return {"history": columns, "moves": tuple(moves)}


def settings_of(model: Any) -> dict[str, Any]:
    """The model's parameters as text and numbers, without those that concern only the fit."""
    told = {k: v for k, v in model.get_params(deep=False).items() if k not in NOT_TOLD}
    return {"model": type(model).__name__} | {k: _told(v) for k, v in told.items()}


def _told(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_told(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _told(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return f"array of shape {list(value.shape)}"
    return Path(value).name if isinstance(value, Path) else getattr(
        value, "__qualname__", type(value).__name__
    )  # fmt: skip
