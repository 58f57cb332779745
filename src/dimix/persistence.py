"""Saved models: ``load`` gives back whatever any ``save`` of dimix wrote.

A saved model is a folder of JSON and safetensors (docs/format.md). The class that it names is
looked up in ``READERS`` and nowhere else: no name in a file is ever imported.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from reprlib import repr as short
from typing import Any

from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.estimator import saved as saved_mixture
from dimix.mixture.estimator.folder import CONFIG, SavedModel, read_config, read_folder


def _mixture(saved: SavedModel) -> DirichletProcessGaussianMixture:
    return saved_mixture.read(saved, DirichletProcessGaussianMixture)


def _deep(name: str, saved: SavedModel) -> Any:
    # Lightning takes seconds to import, which a mixture does not need.
    from dimix import estimators
    from dimix.estimators import saved as saved_deep

    return saved_deep.read(saved, getattr(estimators, name))


DEEP = ("VAE", "GMVAE", "Algorithm1", "DeepInfiniteMixture")
READERS: Mapping[str, Callable[[SavedModel], Any]] = {
    saved_mixture.CLASS: _mixture,
    **{name: partial(_deep, name) for name in DEEP},
}
"""What turns the checked files of each class into a fitted estimator."""


def load(folder: str | Path) -> Any:
    """The fitted estimator that was saved in a folder; nothing in the folder is executed.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder is not a saved model, is damaged, or says what cannot be; the
            message names the file and what is wrong with it.
    """
    folder = Path(folder)
    name = read_config(folder).get("class")
    if not isinstance(name, str) or name not in READERS:
        allowed = ", ".join(map(repr, READERS))
        raise ValueError(f"{folder / CONFIG}: 'class' must be one of {allowed}, got {short(name)}")
    return READERS[name](read_folder(folder))
