"""The estimator's parameters as JSON and tensors, and back through their annotations."""

import inspect
from collections.abc import Container, Mapping
from numbers import Real
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch
from torch import Tensor

from dimix.mixture.estimator.arguments import check_parameters
from dimix.mixture.estimator.claims import Claims, TensorClaims, matches

Estimator = TypeVar("Estimator")

ARRAYS = ("mean_prior", "covariance_prior")
"""Parameters that may be arrays: these go with the tensors, under "parameters."."""
OF_THE_MACHINE = ("device",)
"""Parameters that are not saved, since they need not exist where the model is loaded."""


def as_json(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The parameters that JSON can say, and the arrays among them.

    Raises:
        ValueError: a parameter is an object that a saved model does not hold.
    """
    arrays = {
        f"parameters.{name}": torch.from_numpy(np.array(parameters[name], dtype=np.float64))
        for name in ARRAYS
        if not isinstance(parameters[name], Real | str | None)
    }
    numbers_and_words = {
        name: plain(name, value)
        for name, value in parameters.items()
        if f"parameters.{name}" not in arrays and name not in OF_THE_MACHINE
    }
    return numbers_and_words, arrays


def checked_parameters(
    estimator: type[Estimator], given: Claims, tensors: TensorClaims
) -> Estimator:
    """The unfitted estimator, after the checks that ``fit`` makes and those of every type.

    A parameter that the file does not know, since it is newer, takes its default.
    """
    values = typed(estimator, given, OF_THE_MACHINE)
    arrays = {name: _array(name, tensors) for name in ARRAYS if f"parameters.{name}" in tensors}
    built = estimator(**{**values, **arrays})
    try:
        check_parameters(built)
    except ValueError as error:
        raise ValueError(f"{given.file}: {error}") from None
    return built


def typed(estimator: type[Any], given: Claims, not_saved: Container[str]) -> dict[str, Any]:
    """A constructor's arguments among some entries, each of the type that is annotated there."""
    hints = get_type_hints(estimator.__init__) | dict.fromkeys(ARRAYS, float | str | None)
    known = inspect.signature(estimator).parameters
    for name in given:
        if name not in known or name in not_saved:
            raise given.error(name, f"is no parameter of a saved {estimator.__name__}")
    return {name: given.value(name, hints[name]) for name in given}


def _array(name: str, tensors: TensorClaims) -> Any:
    """mean_prior and covariance_prior have at most a row and a column for each feature."""
    n_features = tensors.length("prior.centre", range(1, 2**31))
    n_axes = 1 if name == "mean_prior" else tensors.n_axes("prior.scatter") - 1
    return tensors.take(f"parameters.{name}", (n_features,) * n_axes).numpy()


def plain(name: str, value: Any) -> Any:
    """A parameter as JSON has it.

    Raises:
        ValueError: it is an object that a saved model does not hold.
    """
    if isinstance(value, np.random.RandomState):
        raise ValueError(
            "random_state is a RandomState, whose state a saved model does not hold: "
            "set_params(random_state=...) to an int or None before saving"
        )
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [plain(name, part) for part in value]
    if not matches(value, bool | int | float | str | None):
        raise ValueError(f"{name} is {value!r}, which a saved model does not hold")
    return value
