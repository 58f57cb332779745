"""A fitted mixture as a folder, and back: every number of it checked, nothing executed.

    config.json          class, ``parameters`` of the constructor, ``fitted``: type and sizes
    metadata.json        versions, a summary of the data, the history of the fit
    mixture.safetensors  q(v, μ, Λ), its prior, and what else was fitted, by the names below

docs/format.md describes every entry. The two functions at the top mirror each other: ``write``
takes apart what ``read`` puts together again, to the bit.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dimix.mixture.concentration import as_concentration
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
from dimix.mixture.estimator.parts import (
    check_follows,
    contiguous,
    family_entries,
    flat_concentration,
    name_entries,
    origin,
    prior_tensors,
    read_concentration,
    read_labels,
    read_names,
    read_prior,
    read_statistics,
    read_tree,
    read_wishart,
    tree_tensors,
    wishart_tensors,
)
from dimix.mixture.inference.stochastic import StochasticState
from dimix.mixture.moves.search import Move
from dimix.mixture.posterior import MixturePosterior
from dimix.mixture.sticks import Sticks

Estimator = TypeVar("Estimator")

CLASS = "DirichletProcessGaussianMixture"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
HISTORY = {"converged": bool, "n_iter": int, "lower_bound": float}
"""What is known of how a fit went; a stream knows only its number of steps."""


def write(mixture: Any, folder: str | Path, *, overwrite: bool = False) -> None:
    """Save a fitted DirichletProcessGaussianMixture; see its method ``save``."""
    check_is_fitted(mixture)
    if type(mixture).__name__ != CLASS:
        raise ValueError(f"only a {CLASS} is saved, not its subclass {type(mixture).__name__}")
    entries, history, tensors = taken_apart(mixture)
    rows = float(mixture.posterior_.counts.sum())
    data = {"n_rows": rows, "n_features": mixture.posterior_.family.dim}
    model = SavedModel(
        Path(folder),
        {"class": CLASS, **entries},
        {**origin(), "data": data, "history": history},
        {MIXTURE: tensors},
    )
    write_folder(model, overwrite, lambda beside: read(read_folder(beside), type(mixture)))


def read(saved: SavedModel, estimator: type[Estimator]) -> Estimator:
    """The mixture of a folder, as an ``estimator``.

    Raises:
        ValueError: an entry is missing, too much, or of another type, shape or range than what
            the others say; the message names the file and the entry.
    """
    saved.check_files(MIXTURE)
    tensors = TensorClaims(saved.path / MIXTURE, saved.tensors[MIXTURE])
    mixture = put_together(
        estimator,
        Claims(saved.path / CONFIG, saved.config),
        Claims(saved.path / METADATA, saved.metadata).section("history"),
        tensors,
    )
    tensors.finish()
    return mixture


def taken_apart(mixture: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """A fitted mixture's entries in the config, its history and its arrays."""
    parameters, arrays = as_json(mixture.get_params(deep=False))
    entries = {"parameters": parameters, "fitted": _fitted(mixture)}
    return entries, _history(mixture), {**_tensors_of(mixture), **arrays}


def put_together(
    estimator: type[Estimator], entries: Claims, history: Claims, tensors: TensorClaims
) -> Estimator:
    """The mixture that ``taken_apart`` took apart, as an ``estimator``."""
    mixture: Any = checked_parameters(estimator, entries.section("parameters"), tensors)
    fitted = entries.section("fitted")
    posterior = _read_posterior(fitted, tensors)
    mixture._dtype = DTYPES[fitted.choice("dtype", tuple(DTYPES))]
    mixture._prior_is_learned = "learned" in fitted and fitted.flag("learned")
    mixture._set_posterior(posterior)
    size, family = posterior.n_components, posterior.family
    mixture.component_labels_ = read_labels("component_labels", size, size, tensors)
    mixture.n_clusters_ = fitted.whole("n_clusters", low=0, high=size)
    read_names(mixture, family.dim, fitted)
    if fitted.flag("hierarchy"):
        mixture.hierarchy_ = read_tree(size, family, tensors)
    _read_stream(mixture, fitted, tensors)
    _read_history(mixture, history, tensors)
    return mixture  # type: ignore[no-any-return]


# --- what is written


def _fitted(mixture: Any) -> dict[str, Any]:
    posterior: MixturePosterior = mixture.posterior_
    stream = getattr(mixture, "_stream", None)
    return {
        **family_entries(posterior.family),
        "dtype": str(mixture._dtype).removeprefix("torch."),
        "learned": mixture._prior_is_learned,
        "n_components": posterior.n_components,
        "feature_names": name_entries(mixture),
        "n_used": posterior.sticks.n_used,
        "n_clusters": int(mixture.n_clusters_),
        "hierarchy": hasattr(mixture, "hierarchy_"),
        "stream": stream and {"step": stream.step, "rows_seen": float(stream.rows_seen)},
    }


def _history(mixture: Any) -> dict[str, Any]:
    history = {name: getattr(mixture, name + "_", None) for name in HISTORY}
    return {
        **{name: value for name, value in history.items() if value is not None},
        "moves": [asdict(move) for move in getattr(mixture, "moves_", ())],
    }


def _tensors_of(mixture: Any) -> dict[str, Tensor]:
    posterior: MixturePosterior = mixture.posterior_
    sticks = posterior.sticks
    tensors = {
        **prior_tensors(posterior.prior),
        "sticks.a": sticks.a,
        "sticks.b": sticks.b,
        "sticks.concentration": flat_concentration(sticks.concentration),
        **wishart_tensors("components", posterior.components),
        "component_labels": torch.from_numpy(mixture.component_labels_),
    }
    if hasattr(mixture, "lower_bounds_"):
        tensors["lower_bounds"] = torch.tensor(mixture.lower_bounds_, dtype=torch.float64)
    if hasattr(mixture, "_stream"):
        tensors["stream.statistics"] = mixture._stream.statistics
    if hasattr(mixture, "hierarchy_"):
        tensors |= tree_tensors(mixture.hierarchy_)
    return contiguous(tensors)


# --- what is read


def _read_posterior(fitted: Claims, tensors: TensorClaims) -> MixturePosterior:
    size, prior = fitted.whole("n_components", low=1), read_prior(fitted, tensors)
    alpha = as_concentration(prior.concentration)
    sticks = Sticks(
        tensors.take("sticks.a", (size,), low=1, closed=True),
        tensors.take("sticks.b", (size,), low=0),
        as_concentration(read_concentration("sticks.concentration", tensors)),
        alpha,
        fitted.whole("n_used", low=1, high=size),
    )
    if type(sticks.concentration) is not type(alpha):
        raise tensors.error("sticks.concentration", "must be of the kind of prior.concentration")
    return MixturePosterior(prior, sticks, read_wishart("components", prior.family, size, tensors))


def _read_stream(mixture: Any, fitted: Claims, tensors: TensorClaims) -> None:
    stream = fitted.optional_section("stream")
    if stream is None:
        return
    posterior: MixturePosterior = mixture.posterior_
    name, family = "stream.statistics", posterior.family
    statistics = read_statistics(name, posterior.n_components, family, tensors)
    state = StochasticState(
        statistics, stream.whole("step", low=0), stream.number("rows_seen", low=0)
    )
    check_follows(name, state.posterior(posterior.prior), tensors)
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
