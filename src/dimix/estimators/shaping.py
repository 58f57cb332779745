"""Which parameters shape a training, in the words that its checkpoint keeps of them.

A fit goes on from a checkpoint only if these are the same. Data, seed, epochs and Adam are compared
besides, by `Training.identity`.
"""

import re
from dataclasses import is_dataclass
from typing import Any

import numpy as np

NOT_SHAPING = (
    *("epochs", "batch_size", "learning_rate", "random_state"),
    *("device", "devices", "num_nodes", "precision"),
    *("checkpoint_dir", "progress", "logger", "pretrained"),
)
"""Parameters of the machine, of Adam, and of how a training begins."""


def shaping(estimator: Any) -> dict[str, Any]:
    """The parameters by name, the shape of a sample, and the likelihood and networks chosen."""
    given = estimator.get_params(deep=False).items()
    chosen = {
        "likelihood": estimator.likelihood_,
        "architecture": estimator.networks_,
        "sample_shape": tuple(estimator.sample_shape_),
    }
    own = {name: value for name, value in given if name not in NOT_SHAPING} | chosen
    return {name: _in_words(value) for name, value in own.items()}


def _in_words(value: Any) -> Any:
    """A number, text or the like as it is; of another value its text or, failing that, its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple | list) or is_dataclass(value):
        return re.sub(" at 0x[0-9a-f]+", "", str(value))  # which no other process would share
    return getattr(value, "__qualname__", type(value).__qualname__)
