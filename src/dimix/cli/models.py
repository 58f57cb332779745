"""From the words of the command line to an estimator: which model, likelihood and network."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

ModelName = Literal["infinite", "gmvae", "vae", "algorithm1", "mixture"]
CLASSES: Mapping[str, str] = {
    "infinite": "DeepInfiniteMixture",
    "gmvae": "GMVAE",
    "vae": "VAE",
    "algorithm1": "Algorithm1",
    "mixture": "DirichletProcessGaussianMixture",
}
MIXTURE = "mixture"
OWN = ("random_state", "checkpoint_dir", "progress", "logger", "verbose", "verbose_interval")
"""Parameters that commands set themselves."""
LARGE_IMAGE = 32 * 32
"""Numbers in an image beyond which the network is convolutional."""
FEW_ROWS = 1_000
"""Rows below which a network may find clusters that are not there, or none."""


def check_names(model: str, parameters: Mapping[str, Any]) -> None:
    """Raise at the first parameter that the model does not take."""
    allowed = {*_class(model)().get_params(deep=False)} - {*OWN}
    allowed |= {"n_clusters"} if model == MIXTURE else set()
    for name in parameters:
        if name not in allowed:
            raise ValueError(
                f"{name} is no parameter of the model {model}, which takes "
                f"{', '.join(sorted(allowed))}"
            )


def chosen(
    model: str, parameters: Mapping[str, Any], X: Shaped[np.ndarray, "N *shape"]
) -> tuple[dict[str, Any], list[str]]:
    """The parameters with likelihood and network chosen where they are not given, and why.

    Raises:
        ValueError: the data are not of the kind that the model or the network takes.
    """
    if model == MIXTURE:
        if X.ndim > 2:
            raise ValueError("the model mixture takes tables, found images: take another model")
        return {"coarsening": "auto"} | dict(parameters), []
    likelihood, network = _likelihood(X), _architecture(X)
    found = {"likelihood": likelihood[0], "architecture": network[0]} | dict(parameters)
    if found["architecture"] == "conv" and X.ndim == 2:
        raise ValueError("--architecture conv takes images, found a table: take mlp")
    if found["likelihood"] == "bernoulli" and _leaves_the_ends(X):
        raise ValueError(
            f"--likelihood bernoulli takes images of bytes or values in [0, 1], found values from "
            f"{X.min():.4g} to {X.max():.4g}: take gaussian, or --no-standardize if the data are "
            "in [0, 1] as they are"
        )
    reasons = {"likelihood": likelihood[1], "architecture": network[1]}
    said = [
        f"{name} {found[name]}: {'as asked for' if name in parameters else why}"
        for name, why in reasons.items()
    ]
    return found, said + _few_rows(X)


def _few_rows(X: Shaped[np.ndarray, "N *shape"]) -> list[str]:
    if len(X) >= FEW_ROWS:
        return []
    instead = "compare --model mixture, which has none" if X.ndim == 2 else "look at the report"
    return [f"{len(X)} samples are few for a network to learn from: {instead}"]


def _likelihood(X: Shaped[np.ndarray, "N *shape"]) -> tuple[str, str]:
    from dimix.estimators.inputs import FEWEST_BITS, as_tensor, likelihood_of

    found = likelihood_of(as_tensor(X))
    if _leaves_the_ends(X):
        return found, f"values from {X.min():.4g} to {X.max():.4g} leave [0, 1]"
    if X[0].size < FEWEST_BITS:
        return found, f"samples have fewer than {FEWEST_BITS} numbers"
    unit = "bytes" if X.dtype == np.uint8 else "values in [0, 1]"
    ends = (
        "nearly all close to an end"
        if found == "bernoulli"
        else "not nearly all close to an end, 0 and 1 alike"
    )
    return found, f"{unit}, {ends}"


def _leaves_the_ends(X: Shaped[np.ndarray, "N *shape"]) -> bool:
    """Whether values lie outside [0, 1]; bytes are shares of 255."""
    return X.dtype != np.uint8 and bool(X.min() < 0 or X.max() > 1)


def _architecture(X: Shaped[np.ndarray, "N *shape"]) -> tuple[str, str]:
    from dimix.nets.bodies import SMALLEST

    if X.ndim == 2:
        return "mlp", "the data are a table"
    size, shape = int(np.prod(X.shape[1:])), " x ".join(map(str, X.shape[1:]))
    if size <= LARGE_IMAGE:
        return "mlp", f"images of {shape} have at most {LARGE_IMAGE:,} numbers"
    if min(X.shape[1:3]) < SMALLEST:
        return "mlp", f"images of {shape} are too narrow to be convolved"
    return "conv", f"images of {shape} have more than {LARGE_IMAGE:,} numbers"


def estimator(model: str, parameters: Mapping[str, Any], seed: int) -> Any:
    """The estimator, not yet fitted.

    Raises:
        ValueError: the clusters that a mixture is to have are no number, or it has no tree.
    """
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()}
    if model == MIXTURE:
        _check_cut(given.pop("n_clusters", None), given)
    return _class(model)(**given, random_state=seed)


def check(estimator: Any, X: Shaped[np.ndarray, "N *shape"]) -> None:
    """Raise what a fit of these data would at its beginning; the estimator stays as it is.

    Raises:
        ValueError: a parameter, or the data, are not what the estimator takes.
    """
    from dimix.mixture.estimator.arguments import check_parameters
    from dimix.mixture.estimator.prior import check_prior

    trial = copy.copy(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the fit says it again
        if hasattr(trial, "covariance_type"):
            check_parameters(trial)
            check_prior(trial, trial._rows(X, None, None).x.shape[1])
        else:
            trial._check_parameters()
            trial._checked(X, None)


def _check_cut(n_clusters: Any, parameters: Mapping[str, Any]) -> None:
    """Raise unless a mixture's tree can be cut, after the fit, into so many clusters."""
    from dimix.mixture.estimator.arguments import check_number

    if n_clusters is None:
        return
    check_number("n_clusters", n_clusters, low=1, integer=True)
    if parameters["coarsening"] is None:
        raise ValueError("n_clusters takes a tree of components, which coarsening=null leaves out")


def _class(model: str) -> Any:
    import dimix

    return getattr(dimix, CLASSES[model])
