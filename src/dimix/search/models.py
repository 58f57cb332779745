"""A model under parameters: these checked, the estimator made, fitted, and scored on other rows."""

import math
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from dimix.estimators import GMVAE, VAE, DeepInfiniteMixture
from dimix.estimators.inputs import are_bytes, as_tensor, likelihood_of
from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.estimator.arguments import check_parameters
from dimix.records.search import Parameters
from dimix.search.space import Choice, Range, Space, is_option
from dimix.training import DivergedError

Rows = Shaped[np.ndarray, "N *shape"]
HeldOut = Shaped[np.ndarray, "M *shape"]

MIXTURE = "mixture"
MODELS: Mapping[str, type] = {
    "infinite": DeepInfiniteMixture,
    "gmvae": GMVAE,
    "vae": VAE,
    MIXTURE: DirichletProcessGaussianMixture,
}
"""What can be searched. Algorithm 1 cannot: its loss is no bound on log p(x)."""
_NETWORKS: Space = {
    "latent_dim": Range(4, 20),
    "learning_rate": Range(3e-4, 3e-3, log=True),
    "batch_size": Choice((128, 256, 512)),
}
SPACES: Mapping[str, Space] = MappingProxyType(
    {
        "infinite": _NETWORKS,
        "gmvae": {**_NETWORKS, "n_components": Range(5, 20), "w_dim": Range(2, 10)},
        "vae": _NETWORKS,
        MIXTURE: {
            "covariance_type": Choice(("full", "diag", "tied", "spherical")),
            "weight_concentration_prior": Range(1e-2, 1e1, log=True),
            "mean_precision_prior": Range(1e-2, 1e1, log=True),
        },
    }
)
"""The space of each model, unless one's own is given.

What trades the bound for better clusters, as `prior_weight` and `sharpness` do, is in none: the
score would choose 1.
"""
OF_EACH_TRIAL = {
    "random_state": "give seed in place of it",
    "checkpoint_dir": "a trial is trained at once",
    "progress": "give it to the search",
    "logger": "trials would be mixed in it",
}
"""What cannot be given to all trials alike, and why."""
NOT_SEARCHED = (
    *("likelihood", *OF_EACH_TRIAL),
    *("warm_start", "verbose", "verbose_interval", "device", "devices", "num_nodes"),
)
"""What no search varies: scores under different likelihoods cannot be compared."""
FAILURES = (
    DivergedError,
    ValueError,
    ArithmeticError,
    torch.OutOfMemoryError,
    torch.linalg.LinAlgError,  # type: ignore[attr-defined]
)
"""What parameters may do to a fit."""


def fixed_parameters(model: str, given: Parameters, X: Rows) -> dict[str, Any]:
    """The checked parameters that all trials share, with the likelihood of all rows.

    Raises:
        ValueError: the model does not take one of them, or a search cannot write it down.
    """
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if model != MIXTURE and fixed.get("likelihood", "auto") == "auto":
        rows = X if are_bytes(X) else X.astype(np.float32)
        fixed["likelihood"] = likelihood_of(as_tensor(rows))
    _check_names(model, fixed, "parameters")
    for name, why in OF_EACH_TRIAL.items():
        if name in fixed:
            raise ValueError(f"parameters: {name} is not for all trials: {why}")
    for name, value in fixed.items():
        if not (value is None or is_option(value)):
            raise ValueError(
                f"parameters: {name} must be a number, a text or a tuple of these, for the search "
                f"to be written down and gone on with; found {type(value).__name__}"
            )
    _check_values(model, fixed, "parameters")
    return fixed


def checked_space(model: str, space: Space | None, fixed: Parameters) -> Space:
    """The space, or the model's own without what is fixed.

    Raises:
        ValueError: an entry is no parameter that can be searched, or has a value it cannot have.
    """
    if space is None:
        space = {name: entry for name, entry in SPACES[model].items() if name not in fixed}
    if not space:
        raise ValueError("space must have an entry for at least one parameter, found none")
    _check_names(model, space, "space")
    for name, entry in space.items():
        if not isinstance(entry, Range | Choice):
            raise ValueError(f"space: {name} must be a Range or a Choice, found {entry!r}")
        if name in NOT_SEARCHED or name in fixed:
            shared = name in NOT_SEARCHED
            why = "is the same in all trials" if shared else "is fixed by parameters"
            raise ValueError(f"space: {name} {why}, and cannot be searched")
        for value in entry.ends:
            _check_values(model, dict(fixed) | {name: value}, f"space: {name}")
    return space


def _check_names(model: str, names: Mapping[str, object], where: str) -> None:
    allowed = {*MODELS[model]().get_params(deep=False)}
    for name in names:
        if name not in allowed:
            raise ValueError(
                f"{where}: {name} is no parameter of the model {model}, which takes "
                f"{', '.join(sorted(allowed))}"
            )


def _check_values(model: str, parameters: Parameters, where: str) -> None:
    try:
        made = MODELS[model](**parameters)
        if model == MIXTURE:
            check_parameters(made)
        else:
            made._check_parameters()
    except (TypeError, ValueError) as error:  # a text where a number is compared, for one
        raise ValueError(f"{where}: {error}") from None


def attempt(
    model: str, parameters: Parameters, train: Rows, test: HeldOut
) -> tuple[float | None, str]:
    """Fit a model, and score it on other rows; a score of None if it failed, and a note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            score = float(MODELS[model](**parameters).fit(train).score(test))
        except FAILURES as error:
            return None, str(error)
    if not math.isfinite(score):
        return None, f"the score became {score}"
    return score, "; ".join(dict.fromkeys(str(warning.message) for warning in caught))
