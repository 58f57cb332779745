"""A fitted deep model as a folder, and back: every number of it checked, nothing executed.

    config.json          class, constructor's ``parameters``, ``network``, ``fitted``, ``mixture``
    metadata.json        versions, a summary of the data, the history of the fit
    weights.safetensors  the networks' weights by the names that PyTorch gives them
    mixture.safetensors  what else was fitted: the mixture, the labels (a VAE has none)

docs/format.md describes every entry. A network is first built without memory, from the config;
only weights of exactly its names, types and shapes then fill it.
"""

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar, get_args

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dimix.estimators.saved_mixtures import MIXTURES, Pieces
from dimix.mixture.estimator.claims import Claims, TensorClaims
from dimix.mixture.estimator.folder import (
    CONFIG,
    METADATA,
    MIXTURE,
    WEIGHTS,
    SavedModel,
    read_folder,
    write_folder,
)
from dimix.mixture.estimator.parameters import plain, typed
from dimix.mixture.estimator.parts import contiguous, name_entries, origin, read_names
from dimix.nets import MLP, Architecture, Convolutions, Likelihood

Estimator = TypeVar("Estimator")

VAE = "VAE"
CLASSES = (VAE, *MIXTURES)
NOT_SAVED = (
    *("checkpoint_dir", "progress", "logger"),
    *("device", "devices", "num_nodes"),
    "pretrained",
)
"""Parameters of the machine and of the training that was: a fitted model needs none of them."""
ARCHITECTURE, NAMED = "architecture", ("mlp", "conv")
WIDTHS = tuple[int, ...] | None
OF_THE_MIXTURE = ("prior.", "component_mean", "component_var")
"""What a module's state holds of its mixture, which has its own file."""
LOC, SCALE = "units.loc", "units.scale"
LIKELIHOODS = get_args(Likelihood)
LARGEST_SIZE, MOST_AXES, MOST_LAYERS = 2**31, 8, 100
SUMMARY = ("min", "max", "mean")


def write(estimator: Any, folder: str | Path, *, overwrite: bool = False) -> None:
    """Save a fitted deep model; see its method ``save``."""
    check_is_fitted(estimator, "history_")  # what a training sets at its end
    name = type(estimator).__name__
    if name not in CLASSES:
        raise ValueError(f"only {', '.join(CLASSES)} are saved, not their subclass {name}")
    mixture = MIXTURES[name].take_apart(estimator) if name in MIXTURES else Pieces()
    config = {
        "class": name,
        "parameters": _parameters(estimator),
        "network": _architecture(estimator.fitted_with_[ARCHITECTURE]),
        "fitted": _fitted(estimator),
        "mixture": mixture.entries,
    }
    tensors = {WEIGHTS: contiguous(_network(estimator.model_))}
    if name in MIXTURES:
        tensors[MIXTURE] = contiguous(mixture.tensors)
    model = SavedModel(Path(folder), config, _metadata(estimator, mixture), tensors)
    write_folder(model, overwrite, lambda beside: read(read_folder(beside), type(estimator)))


def read(saved: SavedModel, kind: type[Estimator]) -> Estimator:
    """The deep model of a folder, as an estimator of a ``kind``.

    Raises:
        ValueError: an entry is missing, too much, or of another type, shape or range than what
            the others say; the message names the file and the entry.
    """
    has_mixture = kind.__name__ in MIXTURES
    saved.check_files(WEIGHTS, *[MIXTURE] * has_mixture)
    config = Claims(saved.path / CONFIG, saved.config)
    metadata = Claims(saved.path / METADATA, saved.metadata)
    estimator = _read_estimator(kind, config)
    _read_fitted(estimator, config.section("fitted"))
    _read_network(estimator, config, TensorClaims(saved.path / WEIGHTS, saved.tensors[WEIGHTS]))
    history = metadata.section("history")
    if has_mixture:
        tensors = TensorClaims(saved.path / MIXTURE, saved.tensors[MIXTURE])
        pieces = config.section("mixture"), history, tensors
        MIXTURES[kind.__name__].put_together(estimator, *pieces)
        tensors.finish()
    estimator.model_.eval()
    _read_metadata(estimator, metadata.section("data"), history)
    return estimator  # type: ignore[no-any-return]


# --- what is written


def _parameters(estimator: Any) -> dict[str, Any]:
    given, left_out = estimator.fitted_with_, {ARCHITECTURE, *NOT_SAVED, *_left_out(estimator)}
    return {name: plain(name, value) for name, value in given.items() if name not in left_out}


def _architecture(networks: Architecture) -> dict[str, Any]:
    """A name, and the widths of layers if they are not those of the name."""
    if isinstance(networks, tuple):
        networks = MLP(networks)
    if isinstance(networks, MLP):
        return {ARCHITECTURE: "mlp", "widths": list(networks.widths)}
    if isinstance(networks, Convolutions):
        return {ARCHITECTURE: "conv", "widths": None}
    if not isinstance(networks, str):
        raise ValueError(
            f"architecture is a {type(networks).__name__} of one's own, and a saved model holds no "
            "code: keep model_.state_dict() instead"
        )
    return {ARCHITECTURE: networks, "widths": None}


def _left_out(estimator: Any) -> list[str]:
    """Parameters that were given, served the training and are not saved."""
    defaults = inspect.signature(type(estimator)).parameters
    return [
        name
        for name, value in estimator.fitted_with_.items()
        if (name in NOT_SAVED and value != defaults[name].default)
        or (name == "augment" and callable(value))
    ]


def _fitted(estimator: Any) -> dict[str, Any]:
    return {
        "sample_shape": list(estimator.sample_shape_),
        "widths": _widths_that_mlp_took(estimator),
        "feature_names": name_entries(estimator),
        "likelihood": estimator.likelihood_,
        "bytes": estimator.bytes_,
        "seed": estimator.seed_,
    }


def _widths_that_mlp_took(estimator: Any) -> list[int] | None:
    """None where `architecture` is another, or was when the network was made."""
    given, made = estimator.fitted_with_[ARCHITECTURE], estimator.networks_
    return list(made.widths) if given == "mlp" and isinstance(made, MLP) else None


def _network(model: torch.nn.Module) -> dict[str, Tensor]:
    state: Mapping[str, Tensor] = model.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(OF_THE_MIXTURE)}


def _metadata(estimator: Any, mixture: Pieces) -> dict[str, Any]:
    rows = [{name: _finite(value) for name, value in row.items()} for row in estimator.history_]
    return {
        **origin("lightning"),
        "data": dict(estimator.data_summary_),
        "left_out": _left_out(estimator),
        "history": {"epochs": rows, **mixture.history},
    }


def _finite(value: Any) -> float | None:
    """A number, which may be NumPy's, as JSON can say it: what is not finite is null."""
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


# --- what is read


def _read_estimator(kind: type[Any], config: Claims) -> Any:
    """The unfitted estimator, after the checks that ``fit`` makes and those of every type."""
    given = typed(kind, config.section("parameters"), (ARCHITECTURE, *NOT_SAVED))
    networks = _read_architecture(config.section("network"))
    estimator = kind(**given, architecture=networks)
    try:
        estimator._check_parameters()
    except ValueError as error:
        raise ValueError(f"{config.file}: {error}") from None
    return estimator


def _read_architecture(network: Claims) -> Architecture:
    name = network.choice(ARCHITECTURE, NAMED)
    return _read_widths(network, name) or name  # type: ignore[return-value]


def _read_widths(section: Claims, architecture: object) -> MLP | None:
    widths = section.value("widths", WIDTHS)
    if widths is None:
        return None
    if architecture != "mlp" or not 1 <= len(widths) <= MOST_LAYERS or not _are_sizes(widths):
        allowed = f"null or, for 'mlp', 1 to {MOST_LAYERS} sizes up to {LARGEST_SIZE}"
        raise section.error("widths", f"must be {allowed}, got {short(widths)}")
    return MLP(widths)


def _are_sizes(values: tuple[int, ...]) -> bool:
    return all(1 <= value <= LARGEST_SIZE for value in values)


def _read_fitted(estimator: Any, fitted: Claims) -> None:
    shape = fitted.value("sample_shape", tuple[int, ...])
    if not 1 <= len(shape) <= MOST_AXES or not _are_sizes(shape):
        allowed = f"1 to {MOST_AXES} sizes up to {LARGEST_SIZE}"
        raise fitted.error("sample_shape", f"must be {allowed}, got {short(shape)}")
    estimator.sample_shape_ = torch.Size(shape)
    estimator.fitted_with_ = estimator.get_params(deep=False)
    estimator.networks_ = estimator.architecture  # of a file from before widths were chosen
    if "widths" in fitted:
        estimator.networks_ = _read_widths(fitted, estimator.architecture) or estimator.networks_
    estimator.likelihood_ = fitted.choice("likelihood", LIKELIHOODS)
    estimator.bytes_ = fitted.value("bytes", bool | None) if "bytes" in fitted else None
    estimator.seed_ = fitted.whole("seed", low=0, high=2**31)
    read_names(estimator, shape[0], fitted)


def _read_network(estimator: Any, config: Claims, tensors: TensorClaims) -> None:
    """Build the network without memory, check what the file holds against it, and fill it."""
    try:
        with torch.device("meta"):
            model = estimator.build(tuple(estimator.sample_shape_))
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise config.error("parameters", f"describe no network: {reason}") from None
    weights = {name: _weight(tensors, name, value) for name, value in _network(model).items()}
    tensors.finish()
    estimator.model_ = model.to_empty(device="cpu")
    estimator.model_.load_state_dict(weights, strict=False)


def _weight(tensors: TensorClaims, name: str, like: Tensor) -> Tensor:
    """One tensor of a network; those of its units may be absent, as before there were any."""
    if name.endswith((LOC, SCALE)) and name not in tensors:
        return torch.full(like.shape, float(name.endswith(SCALE)))
    low = 0.0 if name.endswith(SCALE) else None
    return tensors.take(name, tuple(like.shape), dtype=like.dtype, low=low)


def _read_metadata(estimator: Any, data: Claims, history: Claims) -> None:
    estimator.data_summary_ = {
        "n_rows": data.whole("n_rows", low=1),
        **{name: data.value(name, float) for name in SUMMARY},
    }
    estimator.history_ = [
        {name: _number(row.value(name, float | None)) for name in row}
        for row in history.sections("epochs")
    ]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
