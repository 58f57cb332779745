"""The parts of a saved model that mixtures and deep models share, each taken apart and put back.

    prior        family, Normal-Wishart, concentration and centre
    statistics   S, from which a posterior follows
    hierarchy    the tree over components, and the cluster of each
    names        of the columns
    origin       when, and with which versions

What is read is still a claim: every function that reads checks what it takes.
"""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from dimix.mixture.concentration import (
    Concentration,
    FixedConcentration,
    GammaConcentration,
    as_concentration,
)
from dimix.mixture.estimator.arguments import FAMILIES
from dimix.mixture.estimator.claims import Claims, TensorClaims
from dimix.mixture.families import (
    FullCovariance,
    GaussianFamily,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
)
from dimix.mixture.gaps.diagonal import DiagonalWithMissing, FeatureNormalGamma
from dimix.mixture.hierarchy import Hierarchy
from dimix.mixture.posterior import MixturePosterior, MixturePrior

SAVED_FAMILIES: Mapping[str, type[GaussianFamily]] = {
    **FAMILIES,
    "diag-missing": DiagonalWithMissing,
}
TREE = ("leaves", "counts", "merges", "heights")
PACKAGES = ("dimix", "numpy", "scikit-learn", "scipy", "torch")


# --- the prior


def family_entries(family: GaussianFamily) -> dict[str, Any]:
    """What the config says of a covariance type."""
    kinds = {kind: name for name, kind in SAVED_FAMILIES.items()}
    return {
        "family": kinds[type(family)],
        "reg_covar": family.reg_covar,
        "n_features": family.dim,
    }


def prior_tensors(prior: MixturePrior) -> dict[str, Tensor]:
    """The arrays of a prior."""
    return {
        "prior.centre": prior.centre,
        "prior.concentration": flat_concentration(as_concentration(prior.concentration)),
        **wishart_tensors("prior", prior.components),
    }


def read_prior(fitted: Claims, tensors: TensorClaims) -> MixturePrior:
    """The prior that ``family_entries`` and ``prior_tensors`` took apart."""
    dim = fitted.whole("n_features", low=1)
    kind = SAVED_FAMILIES[fitted.choice("family", tuple(SAVED_FAMILIES))]
    family = kind(dim, fitted.number("reg_covar"))
    centre = tensors.take("prior.centre", (dim,))
    return MixturePrior(
        family,
        read_wishart("prior", family, 1, tensors),
        read_concentration("prior.concentration", tensors, prior=True),
        centre,
    )


def wishart_tensors(name: str, params: NormalWishart) -> dict[str, Tensor]:
    """The arrays of Normal-Wisharts, under a name."""
    fields = ("mean", "mean_precision", "degrees_of_freedom", "scatter")
    return {f"{name}.{field}": getattr(params, field) for field in fields}


def read_wishart(
    name: str, family: GaussianFamily, size: int, tensors: TensorClaims
) -> NormalWishart:
    """The Normal-Wisharts of ``size`` components; those of a prior, if ``size`` is not theirs."""
    dim, is_prior = family.dim, name == "prior"
    by_feature = isinstance(family, DiagonalWithMissing) and not is_prior
    matrices = isinstance(family, FullCovariance)
    n_precisions = 1 if isinstance(family, TiedCovariance) else size
    of_scatter = {FullCovariance: (dim, dim), TiedCovariance: (dim, dim), SphericalCovariance: ()}
    counts = (size, dim) if by_feature else (size,)
    mean = tensors.take(f"{name}.mean", (size, dim))
    mean_precision = tensors.take(f"{name}.mean_precision", counts, low=0)
    dof = tensors.take(
        f"{name}.degrees_of_freedom",
        counts if by_feature else (n_precisions,),
        low=dim - 1 if matrices else 0,
    )
    shape = (n_precisions, *of_scatter.get(type(family), (dim,)))
    scatter = tensors.take(f"{name}.scatter", shape, low=None if matrices else 0)
    if matrices:
        tensors.check_positive_definite(f"{name}.scatter", scatter)
    build = FeatureNormalGamma if by_feature else NormalWishart
    return build(mean, mean_precision, dof, scatter)


def flat_concentration(alpha: Concentration) -> Tensor:
    """[α], or [shape, rate] of its Gamma."""
    if isinstance(alpha, GammaConcentration):
        return torch.tensor([float(alpha.shape), float(alpha.rate)], dtype=torch.float64)
    return alpha.mean[None]


def read_concentration(
    name: str, tensors: TensorClaims, *, prior: bool = False
) -> float | Concentration:
    """α or its Gamma; plain numbers for a prior, as an estimator has it."""
    values = tensors.take(name, (tensors.length(name, (1, 2)),), low=0)
    if len(values) == 1:
        return float(values) if prior else FixedConcentration(float(values))
    shape, rate = values.tolist() if prior else values
    return GammaConcentration(shape, rate)


# --- statistics


def read_statistics(
    name: str, size: int, family: GaussianFamily, tensors: TensorClaims
) -> Float64[Tensor, "T F"]:
    """S of ``size`` components, with counts that are counts."""
    statistics = tensors.take(name, (size, family.n_features))
    if bool((statistics[:, 0] < 0).any()):
        raise tensors.error(name, "must have counts >= 0 in its first column")
    return statistics


def check_follows(name: str, posterior: MixturePosterior, tensors: TensorClaims) -> None:
    """Raise unless the posterior that follows from statistics has positive scatters."""
    scatter = posterior.components.scatter
    if isinstance(posterior.family, FullCovariance):
        tensors.check_positive_definite(name, scatter)
    elif not bool((scatter > 0).all()):
        raise tensors.error(name, "must have second moments of some data")


# --- the tree


def tree_tensors(tree: Hierarchy) -> dict[str, Tensor]:
    """The arrays of a tree."""
    return {f"hierarchy.{name}": torch.from_numpy(getattr(tree, name)) for name in TREE}


def read_tree(size: int, family: GaussianFamily, tensors: TensorClaims) -> Hierarchy:
    """The tree over those of ``size`` components that hold rows."""
    whole: dict[str, Any] = {"dtype": torch.int64, "low": 0, "closed": True}
    n_leaves = tensors.length("hierarchy.leaves", range(1, size + 1))
    leaves = tensors.take("hierarchy.leaves", (n_leaves,), **whole)
    counts = tensors.take("hierarchy.counts", (n_leaves,), low=0)
    merges = tensors.take("hierarchy.merges", (n_leaves - 1, 2), **whole)
    heights = tensors.take("hierarchy.heights", (n_leaves - 1,), low=0, closed=True)
    if int(leaves.max()) >= size or len(leaves.unique()) < n_leaves:
        raise tensors.error("hierarchy.leaves", f"must be different components below {size}")
    if not _is_tree(merges, n_leaves):
        raise tensors.error("hierarchy.merges", "must join two earlier nodes, each of them once")
    if bool((heights.diff() < 0).any()):
        raise tensors.error("hierarchy.heights", "must never fall")
    return Hierarchy(
        leaves.numpy(),
        counts.numpy(),
        merges.numpy(),
        heights.numpy(),
        n_components=size,
        n_features=family.n_features,
    )


def _is_tree(merges: Tensor, n_leaves: int) -> bool:
    nodes = torch.arange(n_leaves, n_leaves + len(merges))[:, None]
    return bool((merges < nodes).all()) and len(merges.unique()) == merges.numel()


def read_labels(
    name: str, length: int, allowed: int, tensors: TensorClaims
) -> Int64[np.ndarray, " n"]:
    """Whole numbers from 0 and below ``allowed``."""
    labels = tensors.take(name, (length,), dtype=torch.int64, low=0, closed=True)
    if length and int(labels.max()) >= allowed:
        raise tensors.error(name, f"must be < {allowed}, got {int(labels.max())}")
    return labels.numpy()


# --- names and origin


def name_entries(estimator: Any) -> list[str] | None:
    """The names of the columns that an estimator was fitted to, if they had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def read_names(estimator: Any, n_features: int, fitted: Claims) -> None:
    """Give an estimator the width and the column names that scikit-learn remembers."""
    estimator.n_features_in_ = n_features
    names = fitted.texts("feature_names", n_features)
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)


def origin(*further: str) -> dict[str, Any]:
    """When a model is written, and by which versions of what it rests on."""
    packages: Iterable[str] = (*PACKAGES, *further)
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
    }


def contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them: on the CPU, in order, without a graph."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
