"""What the deep models' estimators share: fit, transform, predict, sample, score.

`X` is a table [N, P] or images [N, H, W(, C)] of numbers, in [0, 1] under the Bernoulli
likelihood; bytes of images stand for 0..255 parts of 255, those of a table for themselves.
Reconstructions and samples come back as floats in the shape of `X`'s samples.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dimix import models
from dimix.estimators import saved
from dimix.estimators.inputs import (
    as_tensor,
    check_rows,
    check_shape,
    check_units,
    likelihood_of,
    summary_of,
    units_of,
)
from dimix.estimators.layout import warn_of_layout
from dimix.estimators.shaping import shaping
from dimix.mixture.estimator.arguments import (
    check_choice,
    check_number,
    check_numeric,
    check_seed,
)
from dimix.mixture.inference.distributed import check_same, from_first, in_use, together
from dimix.nets import Architecture, Likelihood, networks, set_units, suited
from dimix.training import (
    EVALUATION,
    Device,
    Fixed,
    Precision,
    Ranks,
    Scorer,
    Training,
    as_numbers,
    average_terms,
    check_device,
    device_of,
    epoch_seed,
    in_chunks,
    own_random_numbers,
    train,
)

Array = NDArray[np.floating[Any]]
PAPER_EPOCHS = 100

# A dataclass writes the constructor that scikit-learn asks for (every parameter by name, kept
# as it is) and lets subclasses add to it; identity and representation stay scikit-learn's.
estimator = dataclass(eq=False, repr=False)


@estimator
class DeepEstimator(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """What every deep model's estimator shares; a subclass says how its model is built.

    Parameters:
        latent_dim: D, the number of latent features.
        likelihood: "bernoulli" for data in [0, 1], "gaussian" for anything; "auto" takes the
            first where samples have 32 numbers or more, nearly all close to 0 or 1, and some to 1.
        architecture: "mlp" (W-W-4W and mirrored; W is twice the pixels of an image, or twice the
            root of a table's rows, from 128 to 500), a tuple of other widths, "conv" for images,
            or `dimix.nets.Networks` of one's own.
        epochs: passes over the data; None takes the model's own number, the paper's 100.
        batch_size, learning_rate: of Adam.
        device: "cpu", "cuda", or "auto" for the second where there is one.
        devices, num_nodes: how many of them on each of how many machines share every minibatch.
        precision: of the networks; "auto" takes bfloat16 on GPUs that have it, and on processors
            that are faster with it.
        random_state: an integer makes the fit reproducible.
        checkpoint_dir: a folder for a checkpoint after every epoch; a fit that finds one there
            goes on from it, if it is of the same data, seed and parameters, functions being
            compared by their names. It holds one model's training: give each fit its own.
        progress: a title for the progress bar, or False for none.
        logger: any Lightning logger; it is given every epoch's row of `history_`.

    Attributes:
        model_: the torch module.
        history_: a list with one dict an epoch: seconds, `train_*` and `val_*` bound terms.
        sample_shape_: the shape of one sample.
        fitted_with_: the parameters of the fit, by name; those set after it wait for the next.
        networks_: `architecture`, "mlp" with the widths that it took.
        data_summary_: `n_rows` of the training data, and `min`, `max` and `mean` of its numbers.
        bytes_: whether they were images of bytes.
    """

    latent_dim: int = 10
    _: KW_ONLY
    likelihood: Likelihood | Literal["auto"] = "auto"
    architecture: Architecture = "mlp"
    epochs: int | None = None
    batch_size: int = 256
    learning_rate: float = 1e-3
    device: Device = "cpu"
    devices: int = 1
    num_nodes: int = 1
    precision: Precision = "auto"
    random_state: int | None = None
    checkpoint_dir: str | Path | None = None
    progress: str | bool = True
    logger: Logger | None = None

    _answers: ClassVar[tuple[str, ...]] = ("history_",)
    """What a fit sets at its end."""
    _fewest: ClassVar[int] = 1
    """The fewest samples that a fit takes."""

    def build(self, shape: tuple[int, ...]) -> models.Model:
        """The untrained model for samples of this shape."""
        raise NotImplementedError  # abstract

    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        X_val: ArrayLike | None = None,
        scorer: Callable[[Self], dict[str, float]] | None = None,
    ) -> Self:
        """Train on `X`; `y` is ignored.

        `X_val` adds validation terms to `history_`, and `scorer`, called with this estimator
        after each epoch (of the deep infinite mixture, after each that follows the
        pre-training), any further columns. Neither influences the training. The estimator can
        `predict` and `transform` then, with the networks and clusters of that epoch; what is
        found in the end, as `labels_`, is not there yet.

        Several processes (`devices`, `num_nodes`) call this alike, each with all of `X`.

        Raises:
            ValueError: bad data or parameters, before any work; an earlier fit stays as it was.
            DivergedError: the loss became NaN or infinite.
            RuntimeError: another of several processes has failed.
        """
        self._check_parameters()
        if not (scorer is None or callable(scorer)):
            raise ValueError(f"scorer must be a callable or None, got {scorer!r}")
        with self._ranks().joined():
            with self._as_it_was_if_refused():
                rows, x_val = self._begin(X, X_val)
            self.history_: list[dict[str, float]] = self._train(
                rows.flatten(1),
                None if x_val is None else x_val.flatten(1),
                None if scorer is None else lambda: as_numbers(scorer(self)),
            )
        return self

    @contextmanager
    def _as_it_was_if_refused(self) -> Iterator[None]:
        """Until the training begins, an error leaves an earlier fit usable."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _begin(self, X: Any, X_val: ArrayLike | None) -> tuple[Tensor, Tensor | None]:
        """The checked data; the untrained model is built, and an earlier fit's answers go."""
        rows, x_val = self._prepare(X, X_val)
        for name in self._answers:
            self.__dict__.pop(name, None)
        warn_of_layout(rows)
        with own_random_numbers():
            torch.manual_seed(self.seed_)
            self.model_: Any = self.build(tuple(self.sample_shape_))
        if self.likelihood_ == "gaussian":
            set_units(self.model_, *units_of(rows))
        return rows, x_val

    def _prepare(self, X: Any, X_val: ArrayLike | None) -> tuple[Tensor, Tensor | None]:
        """The checked data, and what all ranks must have alike: the data and the seed."""
        with self._ranks().sharing():
            with together():
                rows, x_val = self._checked(X, X_val)
            if in_use():
                check_same("X (its checksum is compared)", zlib.crc32(rows.numpy().data))
            self.seed_ = from_first(
                lambda: int(check_random_state(self.random_state).randint(2**31))
            )
        self.sample_shape_, self.data_summary_ = rows.shape[1:], summary_of(rows)
        self.bytes_ = rows.dtype == torch.uint8
        self.fitted_with_ = self.get_params(deep=False)
        self.networks_ = suited(self.architecture, tuple(self.sample_shape_), len(rows))
        return rows, x_val

    def _checked(self, X: Any, X_val: ArrayLike | None) -> tuple[Tensor, Tensor | None]:
        """Both sets of data as tensors [N, ...]."""
        rows, n_ranks = check_rows(self, X, self.likelihood, reset=True), self._ranks().number
        if len(rows) < self._fewest:
            raise ValueError(
                f"X must have at least {self._fewest} samples; found {len(rows)} sample(s)"
            )
        if len(rows) < n_ranks:
            raise ValueError(f"{n_ranks} processes need as many samples; found {len(rows)} in X")
        self.likelihood_ = likelihood_of(rows) if self.likelihood == "auto" else self.likelihood
        if X_val is None:
            return rows, None
        check_numeric(X_val, "X_val")
        check_array(X_val, dtype="numeric", allow_nd=True, input_name="X_val")
        check_shape(X_val, tuple(rows.shape[1:]), name="X_val")
        validation = check_rows(self, X_val, self.likelihood_, name="X_val")
        check_units(validation, summary_of(rows), rows.dtype == torch.uint8, name="X_val")
        return rows, validation

    def _train(
        self, rows: Tensor, x_val: Tensor | None, scorer: Scorer | None
    ) -> list[dict[str, float]]:
        """Train `model_` on flat rows [N, P]; the history."""
        return train(self.model_, rows, self._training(), x_val, scorer)

    @property
    def _n_features_out(self) -> int:
        """D of the fitted networks, by the name under which scikit-learn asks for it."""
        return int(self.fitted_with_["latent_dim"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_parameters(self) -> None:
        for name in ("latent_dim", "batch_size", "devices", "num_nodes"):
            check_number(name, getattr(self, name), low=1, integer=True)
        if self.epochs is not None:
            check_number("epochs", self.epochs, low=1, integer=True, besides="None")
        check_number("learning_rate", self.learning_rate, low=0, closed=False)
        networks(self.architecture)
        check_choice("likelihood", self.likelihood, ("auto", *get_args(Likelihood)))
        check_choice("precision", self.precision, ("auto", *get_args(Fixed)))
        check_device(self.device)
        self._ranks().check_number()
        if self.batch_size < self._ranks().number:
            raise ValueError(
                f"batch_size must be at least {self._ranks().number}, the number of processes "
                f"that share a minibatch, got {self.batch_size}"
            )
        _check_folder("checkpoint_dir", self.checkpoint_dir)
        check_seed(self.random_state)
        if not isinstance(self.logger, Logger | None):
            raise ValueError(f"logger must be a Lightning logger or None, got {self.logger!r}")
        if not isinstance(self.progress, str | bool):
            raise ValueError(f"progress must be a title, True or False, got {self.progress!r}")

    def _ranks(self) -> Ranks:
        return Ranks(self.device, int(self.devices), int(self.num_nodes))

    def _training(self) -> Training:
        title = type(self).__name__ if self.progress is True else self.progress
        return Training(
            epochs=PAPER_EPOCHS if self.epochs is None else int(self.epochs),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            seed=self.seed_,
            any_seed=not isinstance(self.random_state, Integral),
            settings=shaping(self),
            precision=self.precision,
            ranks=self._ranks(),
            checkpoint_dir=Path(self.checkpoint_dir) if self.checkpoint_dir else None,
            progress=title or None,
            logger=self.logger,
        )

    def _rows(self, X: ArrayLike) -> Tensor:
        """Checked data as flat rows [N, P]."""
        check_is_fitted(self, "model_")
        check_numeric(X)
        fitted = tuple(self.sample_shape_)
        if len(fitted) > 1 or np.asarray(X).ndim > 2:  # of tables scikit-learn tells
            check_shape(X, fitted)
        rows = check_rows(self, X, self.likelihood_)
        check_units(rows, self.data_summary_, self.bytes_)
        return rows.flatten(1)

    def transform(self, X: ArrayLike) -> Array:
        """Latent means, [N, D]."""
        check_is_fitted(self, "model_")
        return in_chunks(self.model_.embed, self._rows(X), device_of(self.model_)).numpy()

    def inverse_transform(self, Z: ArrayLike) -> Array:
        """Means of p(x | z) for latents [N, D], in the shape of the data's samples."""
        check_is_fitted(self, "model_")
        z = as_tensor(check_array(Z, dtype=np.float32, input_name="Z"))
        if z.shape[1] != self._n_features_out:
            raise ValueError(f"Z must be [N, {self._n_features_out}]; found {list(z.shape)}")
        x = in_chunks(lambda part: self.model_.decode(part).mean, z, device_of(self.model_))
        images: Array = x.unflatten(1, self.sample_shape_).numpy()
        return images

    def reconstruct(self, X: ArrayLike) -> Array:
        """`X` encoded and decoded again, both at the mean."""
        return self.inverse_transform(self.transform(X))

    def bound_terms(self, X: ArrayLike) -> dict[str, float]:
        """The bound's terms by name, mean nats per sample, noise drawn from the fit's seed."""
        rows = self._rows(X)
        terms = average_terms(self.model_, rows, epoch_seed(self.seed_, 0, EVALUATION))
        return {name: value for name, value in terms.items() if name != "loss"}

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Save the fitted model as a folder of JSON and safetensors, for `dimix.load`.

        The folder appears whole or not at all. What was fitted comes back to the bit, on the
        CPU. Left behind is what a fitted model does not need: `checkpoint_dir`, `progress`,
        `logger`, `device`, `devices`, `num_nodes`, `pretrained`, and an `augment` of one's own.

        Raises:
            FileExistsError: the folder exists, and is not a saved model or not to be overwritten.
            ValueError: a parameter that is saved is no number, text or list of these.
        """
        saved.write(self, folder, overwrite=overwrite)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """The mean bound on log p(x), nats per sample; higher is better."""
        return sum(self.bound_terms(X).values())


def _check_folder(name: str, value: Any) -> None:
    """Raise unless it is None or a path where a folder is or can be."""
    if not isinstance(value, str | Path | None):
        raise ValueError(f"{name} must be a path or None, got {value!r}")
    if value is not None and not all(
        part.is_dir() for part in (Path(value), *Path(value).parents) if part.exists()
    ):
        raise ValueError(f"{name} must be a folder, or where one can be made; {value!r} is a file")
