"""A fitted mixture as a folder, and back: every number of it checked, nothing executed.

    config.json          class, ``parameters`` of the constructor, ``fitted``: type and sizes
    metadata.json        versions, a summary of the data, the history of the fit
    mixture.safetensors  q(v, μ, Λ), its prior, and what else was fitted, by the names below

docs/format.md describes every entry. The two functions at the top mirror each other: ``write``
takes apart what ``read`` puts together again, to the bit.
"""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dimix.mixture.concentration import (
    Concentration,
    FixedConcentration,
    GammaConcentration,
    as_concentration,
)
from dimix.mixture.estimator.claims import Claims, TensorClaims
from dimix.mixture.estimator.folder import (
    CONFIG,
    METADATA,
    MIXTURE,
    SavedModel,
    read_folder,
    write_folder,
)
from dimix.mixture.estimator.parameters import as_json, checked_parameters
from dimix.mixture.families import (
    DiagonalCovariance,
    FullCovariance,
    GaussianFamily,
    NormalWishart,
    SphericalCovariance,
    TiedCovariance,
)
from dimix.mixture.gaps.diagonal import DiagonalWithMissing, FeatureNormalGamma
from dimix.mixture.hierarchy import Hierarchy
from dimix.mixture.inference.stochastic import StochasticState
from dimix.mixture.moves.search import Move
from dimix.mixture.posterior import MixturePosterior, MixturePrior
from dimix.mixture.sticks import Sticks

Estimator = TypeVar("Estimator")

CLASS = "DirichletProcessGaussianMixture"
FAMILIES: Mapping[str, type[GaussianFamily]] = {
    "full": FullCovariance,
    "tied": TiedCovariance,
    "diag": DiagonalCovariance,
    "diag-missing": DiagonalWithMissing,
    "spherical": SphericalCovariance,
}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
HISTORY = {"converged": bool, "n_iter": int, "lower_bound": float}
"""What is known of how a fit went; a stream knows only its number of steps."""


def write(mixture: Any, folder: str | Path, *, overwrite: bool = False) -> None:
    """Save a fitted DirichletProcessGaussianMixture; see its method ``save``."""
    check_is_fitted(mixture)
    if type(mixture).__name__ != CLASS:
        raise ValueError(f"only a {CLASS} is saved, not its subclass {type(mixture).__name__}")
    parameters, arrays = as_json(mixture.get_params(deep=False))
    model = SavedModel(
        Path(folder),
        {"class": CLASS, "parameters": parameters, "fitted": _fitted(mixture)},
        _metadata(mixture),
        {MIXTURE: {**_tensors_of(mixture), **arrays}},
    )
    write_folder(model, overwrite, lambda beside: read(read_folder(beside), type(mixture)))


def read(saved: SavedModel, estimator: type[Estimator]) -> Estimator:
    """The mixture of a folder, as an ``estimator``.

    Raises:
        ValueError: an entry is missing, too much, or of another type, shape or range than what
            the others say; the message names the file and the entry.
    """
    if set(saved.tensors) != {MIXTURE}:
        raise ValueError(
            f"{saved.path / CONFIG}: 'sha256' must name {MIXTURE} and no other tensors"
        )
    config = Claims(saved.path / CONFIG, saved.config)
    tensors = TensorClaims(saved.path / MIXTURE, saved.tensors[MIXTURE])
    history = Claims(saved.path / METADATA, saved.metadata).section("history")
    mixture: Any = checked_parameters(estimator, config.section("parameters"), tensors)
    fitted = config.section("fitted")
    posterior = _read_posterior(fitted, tensors)
    mixture._dtype = DTYPES[fitted.choice("dtype", tuple(DTYPES))]
    mixture._set_posterior(posterior)
    _read_labels(mixture, fitted, tensors)
    _read_names(mixture, fitted)
    _read_hierarchy(mixture, fitted, tensors)
    _read_stream(mixture, fitted, tensors)
    _read_history(mixture, history, tensors)
    tensors.finish()
    return mixture  # type: ignore[no-any-return]


# --- what is written


def _fitted(mixture: Any) -> dict[str, Any]:
    posterior: MixturePosterior = mixture.posterior_
    stream = getattr(mixture, "_stream", None)
    names = getattr(mixture, "feature_names_in_", None)
    kinds = {kind: name for name, kind in FAMILIES.items()}
    return {
        "family": kinds[type(posterior.family)],
        "reg_covar": posterior.family.reg_covar,
        "dtype": str(mixture._dtype).removeprefix("torch."),
        "n_components": posterior.n_components,
        "n_features": posterior.family.dim,
        "feature_names": None if names is None else [str(name) for name in names],
        "n_used": posterior.sticks.n_used,
        "n_clusters": int(mixture.n_clusters_),
        "hierarchy": hasattr(mixture, "hierarchy_"),
        "stream": stream and {"step": stream.step, "rows_seen": float(stream.rows_seen)},
    }


def _metadata(mixture: Any) -> dict[str, Any]:
    history = {name: getattr(mixture, name + "_", None) for name in HISTORY}
    packages = ("dimix", "numpy", "scikit-learn", "scipy", "torch")
    rows = float((mixture.posterior_.sticks.a - 1).sum())
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
        "data": {"n_rows": rows, "n_features": mixture.posterior_.family.dim},
        "history": {
            **{name: value for name, value in history.items() if value is not None},
            "moves": [asdict(move) for move in getattr(mixture, "moves_", ())],
        },
    }


def _tensors_of(mixture: Any) -> dict[str, Tensor]:
    posterior: MixturePosterior = mixture.posterior_
    prior, sticks = posterior.prior, posterior.sticks
    tensors = {
        "prior.centre": prior.centre,
        "prior.concentration": _flat_concentration(as_concentration(prior.concentration)),
        **_wishart_tensors("prior", prior.components),
        "sticks.a": sticks.a,
        "sticks.b": sticks.b,
        "sticks.concentration": _flat_concentration(sticks.concentration),
        **_wishart_tensors("components", posterior.components),
        "component_labels": torch.from_numpy(mixture.component_labels_),
    }
    if hasattr(mixture, "lower_bounds_"):
        tensors["lower_bounds"] = torch.tensor(mixture.lower_bounds_, dtype=torch.float64)
    if hasattr(mixture, "_stream"):
        tensors["stream.statistics"] = mixture._stream.statistics
    if hasattr(mixture, "hierarchy_"):
        for name in ("leaves", "counts", "merges", "heights"):
            tensors[f"hierarchy.{name}"] = torch.from_numpy(getattr(mixture.hierarchy_, name))
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _wishart_tensors(name: str, params: NormalWishart) -> dict[str, Tensor]:
    fields = ("mean", "mean_precision", "degrees_of_freedom", "scatter")
    return {f"{name}.{field}": getattr(params, field) for field in fields}


def _flat_concentration(alpha: Concentration) -> Tensor:
    """[α], or [shape, rate] of its Gamma."""
    if isinstance(alpha, GammaConcentration):
        return torch.tensor([float(alpha.shape), float(alpha.rate)], dtype=torch.float64)
    return alpha.mean[None]


# --- what is read


def _read_posterior(fitted: Claims, tensors: TensorClaims) -> MixturePosterior:
    dim, size = (fitted.whole(name, low=1) for name in ("n_features", "n_components"))
    kind = FAMILIES[fitted.choice("family", tuple(FAMILIES))]
    family = kind(dim, fitted.number("reg_covar"))
    centre = tensors.take("prior.centre", (dim,))
    prior = MixturePrior(
        family,
        _read_wishart("prior", family, 1, tensors),
        _read_concentration("prior.concentration", tensors, prior=True),
        centre,
    )
    alpha = as_concentration(prior.concentration)
    sticks = Sticks(
        tensors.take("sticks.a", (size,), low=1, closed=True),
        tensors.take("sticks.b", (size,), low=0),
        as_concentration(_read_concentration("sticks.concentration", tensors)),
        alpha,
        fitted.whole("n_used", low=1, high=size),
    )
    if type(sticks.concentration) is not type(alpha):
        raise tensors.error("sticks.concentration", "must be of the kind of prior.concentration")
    return MixturePosterior(prior, sticks, _read_wishart("components", family, size, tensors))


def _read_wishart(
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


def _read_concentration(
    name: str, tensors: TensorClaims, *, prior: bool = False
) -> float | Concentration:
    values = tensors.take(name, (tensors.length(name, (1, 2)),), low=0)
    if len(values) == 1:
        return float(values) if prior else FixedConcentration(float(values))
    shape, rate = values.tolist() if prior else values
    return GammaConcentration(shape, rate)


def _read_labels(mixture: Any, fitted: Claims, tensors: TensorClaims) -> None:
    size = mixture.posterior_.n_components
    labels = tensors.take("component_labels", (size,), dtype=torch.int64, low=0, closed=True)
    if int(labels.max()) >= size:
        raise tensors.error("component_labels", f"must be < {size}, got {int(labels.max())}")
    mixture.component_labels_ = labels.numpy()
    mixture.n_clusters_ = fitted.whole("n_clusters", low=0, high=size)


def _read_names(mixture: Any, fitted: Claims) -> None:
    mixture.n_features_in_ = mixture.posterior_.family.dim
    names = fitted.texts("feature_names", mixture.n_features_in_)
    if names is not None:
        mixture.feature_names_in_ = np.array(names, dtype=object)


def _read_hierarchy(mixture: Any, fitted: Claims, tensors: TensorClaims) -> None:
    if not fitted.flag("hierarchy"):
        return
    whole: dict[str, Any] = {"dtype": torch.int64, "low": 0, "closed": True}
    size = mixture.posterior_.n_components
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
    mixture.hierarchy_ = Hierarchy(
        leaves.numpy(),
        counts.numpy(),
        merges.numpy(),
        heights.numpy(),
        n_components=size,
        n_features=mixture.posterior_.family.n_features,
    )


def _is_tree(merges: Tensor, n_leaves: int) -> bool:
    nodes = torch.arange(n_leaves, n_leaves + len(merges))[:, None]
    return bool((merges < nodes).all()) and len(merges.unique()) == merges.numel()


def _read_stream(mixture: Any, fitted: Claims, tensors: TensorClaims) -> None:
    stream = fitted.optional_section("stream")
    if stream is None:
        return
    posterior: MixturePosterior = mixture.posterior_
    shape = (posterior.n_components, posterior.family.n_features)
    statistics = tensors.take("stream.statistics", shape)
    if bool((statistics[:, 0] < 0).any()):
        raise tensors.error("stream.statistics", "must have counts >= 0 in its first column")
    state = StochasticState(
        statistics, stream.whole("step", low=0), stream.number("rows_seen", low=0)
    )
    components = state.posterior(posterior.prior).components
    if isinstance(posterior.family, FullCovariance):
        tensors.check_positive_definite("stream.statistics", components.scatter)
    elif bool((components.scatter <= 0).any()):
        raise tensors.error("stream.statistics", "must have second moments of some data")
    mixture._stream = state


def _read_history(mixture: Any, history: Claims, tensors: TensorClaims) -> None:
    for name, kind in HISTORY.items():
        if name in history:
            setattr(mixture, name + "_", history.value(name, kind))
    if "lower_bounds" in tensors:
        n_updates = tensors.length("lower_bounds", range(2**31))
        mixture.lower_bounds_ = tensors.take("lower_bounds", (n_updates,)).tolist()
        mixture.moves_ = tuple(
            Move(
                move.value("kind", str),
                move.value("components", tuple[int, ...]),
                move.whole("n_components", low=0),
                move.value("gain", float),
            )
            for move in history.sections("moves")
        )
