"""The flagship as an estimator: encoder, decoder and infinite mixture on one bound.

A fit is five steps, each visible in `history_`:

    1. pre-train    a VAE with the prior N(0, I), on views of the data
    2. mixture      an overcomplete infinite mixture on the latents that it uses most
    3. joint        networks by gradients and mixture by conjugate updates on the same bound,
                    with births, splits, merges and deletions between epochs, while N_eff falls
    4. finish       of images: half as long again, half of them as they are, without moves
    5. settle       networks at rest: an overcomplete mixture again, and the tree from its
                    components to the clusters of the joint training, of images without those
                    that the images' neighbours tell to be parts of another, and on
"""

import math
from dataclasses import KW_ONLY, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import ArrayLike
from torch import Tensor

from dimix import models
from dimix.data.neighbours import Neighbours
from dimix.data.views import Jitter, RandomWarp, check_augment
from dimix.estimators.base import estimator
from dimix.estimators.fitted import FittedInfiniteMixture
from dimix.estimators.recipe import (
    IMAGES,
    ROUNDS,
    STAND_INS,
    TABLES,
    UNMOVED,
    UNMOVED_LAST,
    VIEWS_TOGETHER,
    Recipe,
    views_of_table,
)
from dimix.estimators.settling import most_used, overcomplete, settle, tell_nothing
from dimix.estimators.warning import warn_user
from dimix.mixture import MOVES, FullCovariance, Hierarchy, MixturePosterior
from dimix.mixture.estimator.arguments import check_choice, check_moves, check_number
from dimix.models.vae import Augment
from dimix.nets import MLP, networks
from dimix.priors import Climb, InfiniteMixture
from dimix.training import (
    MIXTURE,
    VIEWS,
    Scorer,
    Training,
    as_float,
    epoch_seed,
    train,
    waiting,
    with_scores,
)
from dimix.training.moves import Coarsening, MoveComponents, posteriors, posteriors_of_views

PRETRAINING, JOINT, FINISH = "pretraining", "joint", "finish"
NEIGHBOURS, STARTING, SETTLING = "neighbours", "mixture", "settling"
SHAPE_PRETRAINING = (
    *("latent_dim", "likelihood", "architecture", "sample_shape", "augment", "n_neighbors"),
    "pretrain_prior_weight",
)
"""What the pre-training depends on, besides data, seed, epochs and Adam."""
BEGIN, END = 0, 2**31
"""Where the seeds of the mixtures before and after the joint training come from."""


@estimator
class DeepInfiniteMixture(FittedInfiniteMixture):
    """A deep latent model that finds the number of clusters.

    Parameters, besides those of `DeepEstimator`:
        n_components: T, the most components there may be; n_clusters, if that is more.
        n_clusters: None finds the number of clusters; a number gives it beforehand.
        mixture_dim: the most latents that the mixture is of, those that the pre-training uses
            most, and none that it leaves unused. The others keep N(0, I). Each of them would add to
            the numbers that describe a component, and so to N_eff, though it told nothing.
        coarsening: N_eff, with how many rows' worth of trust a Gaussian shape is taken. "auto"
            trains with 900 rows for each number that describes a component, which may be more
            than there are, and in the end with those that there are, within 30 to 75 (of a
            table with 450, in the end 30). The clusters of images are those that are left then,
            without fragments (one that has a fifth of its rows' nearest neighbours in another is
            a part of that); the final tree of a table is cut in a clear gap, or else at that N_eff.
        augment: a callable that returns random copies of samples [B, ...], "auto" (small
            warps of images; for tables noise that goes half as far as neighbours are, or the
            whole way where there are few rows) or None. Of images, half are left as they are in
            the fourth step; for "conv" and networks of one's own, a quarter before.
        n_neighbors: how many of its nearest others stand for each sample in half of its views
            before the fourth step; 0 for none. They are looked for among 10,000 rows.
        views: copies of each sample that a training pass sees from the third step on.
        sharpness: τ of q(c) = softmax(τ L) in training; 1 is the exact bound's.
        prior_weight: weight of the prior's terms in the joint training, from 1 up.
        pretrain_prior_weight: the same in the first step, above 0. All of N(0, I), 1, would
            press the clusters of few samples into one Gaussian.
        moves: True, False, or some of "birth", "split", "merge", "delete".
        pretrain_epochs, epochs: of the first and the third step; None takes as many as make
            2,800 (images; 2,000 of a table) and 26,000 minibatches, within 20 to 350 (150) and
            30 to 135 (150); the third step has more where there are so few samples that these
            would not make 1,800 (400) minibatches. The fourth, of images, has half of it.

    Attributes, besides those of `DeepClusterer`:
        n_clusters_: the number of clusters.
        component_labels_: the cluster of each component, [T].
        hierarchy_: the tree over components.
        posterior_: q(v, μ, Λ) of the mixture.
        mixed_latents_: which latents the mixture is of, [D].
        moves_: (epoch, kind, components after it, gain in nats) of the moves that were kept; epochs
            are those of the joint training, from 1.
    """

    _: KW_ONLY
    n_components: int = 50
    n_clusters: int | None = None
    mixture_dim: int = 10
    coarsening: float | Literal["auto"] = "auto"
    augment: Augment | Literal["auto"] | None = "auto"
    n_neighbors: int = 0
    views: int = 1
    sharpness: float = 3.0
    prior_weight: float = 1.5
    moves: bool | tuple[str, ...] = True
    pretrain_epochs: int | None = None
    pretrain_prior_weight: float = 0.25

    _answers: ClassVar[tuple[str, ...]] = (
        *("history_", "labels_", "moves_"),
        *("component_labels_", "hierarchy_", "n_clusters_"),
    )
    _fewest: ClassVar[int] = 2
    _join: ClassVar[bool] = True
    """Whether fragments of images' clusters are joined."""

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("n_components", "mixture_dim", "views"):
            check_number(name, getattr(self, name), low=1, integer=True)
        for name in ("sharpness", "prior_weight"):
            check_number(name, getattr(self, name), low=1)
        if self.pretrain_epochs is not None:
            epochs = self.pretrain_epochs
            check_number("pretrain_epochs", epochs, low=1, integer=True, besides="None")
        weight = self.pretrain_prior_weight
        check_number("pretrain_prior_weight", weight, low=0, closed=False)
        if not isinstance(self.coarsening, str) or self.coarsening != "auto":
            check_number("coarsening", self.coarsening, low=1, besides="'auto'")
        if not callable(self.augment):
            check_choice("augment", self.augment, ("auto", None), besides="a callable")
        if self.n_clusters is not None:
            check_number("n_clusters", self.n_clusters, low=1, integer=True, besides="None")
        check_number("n_neighbors", self.n_neighbors, low=0, integer=True)
        check_moves(self.moves)

    def _begin(self, X: Any, X_val: ArrayLike | None) -> tuple[Tensor, Tensor | None]:
        rows, x_val = super()._begin(X, X_val)
        if callable(self.augment):
            check_augment(self.augment, as_float(rows[: self.batch_size]))
        return rows, x_val

    def _checked(self, X: Any, X_val: ArrayLike | None) -> tuple[Tensor, Tensor | None]:
        rows, x_val = super()._checked(X, X_val)
        if len(rows) < (self.n_clusters or 0):
            raise ValueError(
                f"X must have at least {self.n_clusters} samples for n_clusters="
                f"{self.n_clusters}; found {len(rows)} sample(s)"
            )
        return rows, x_val

    def build(self, shape: tuple[int, ...]) -> models.DeepInfiniteMixture:
        """The untrained model for samples of this shape."""
        return models.DeepInfiniteMixture(
            shape, self.latent_dim, architecture=self.networks_, likelihood=self.likelihood_
        )

    def _augment(self, rows: Tensor) -> Augment | None:
        """What makes the views of these flat rows."""
        if self.augment == "auto":
            return RandomWarp() if self._of_images else views_of_table(rows)
        return self.augment

    @property
    def _unmoved(self) -> tuple[float, float]:
        """The share of the samples that networks see as they are, before the finish and in it."""
        dense = isinstance(networks(self.networks_), MLP)
        return (UNMOVED if self._of_images and not dense else 0.0), UNMOVED_LAST

    def _train(
        self, rows: Tensor, x_val: Tensor | None, scorer: Scorer | None
    ) -> list[dict[str, float]]:
        training = self._seeing(rows)
        first, second, third = self.n_epochs(len(rows), images=self._of_images)
        self.model_.prior_weight = float(self.pretrain_prior_weight)
        self.model_.unmoved, unmoved_last = self._unmoved
        history = train(self.model_, rows, self._step(training, PRETRAINING, first), x_val)
        self.mixed_latents_ = most_used(posteriors(self.model_, rows), self.mixture_dim).numpy()
        with waiting(_title(training, STARTING)):
            self.model_.give_mixture(self._mixture(rows), self.views, self.prior_weight)
        self.component_labels_ = np.arange(self._truncation)
        mover, columns = self._mover(rows, second, training.neighbours), self._columns(scorer)
        joint = replace(self._step(training, JOINT, second), before=first, callbacks=[mover])
        history += _counted_on(joint, train(self.model_, rows, joint, x_val, columns))
        self.moves_ = mover.moves
        if third:
            self.model_.unmoved = unmoved_last
            finish = self._step(training, FINISH, third)
            finish = replace(finish, before=first + second, neighbours=None)
            history += _counted_on(finish, train(self.model_, rows, finish, x_val, columns))
        with waiting(_title(training, SETTLING)):
            self._settle(rows)
        self._warn_of_collapse(rows)
        return history

    def _seeing(self, rows: Tensor) -> Training:
        """How networks are trained, once it is settled what they see of these rows."""
        self.model_.augment = self._augment(rows)
        training = replace(self._training(), schedule="linear")
        if not self.n_neighbors:
            return training
        with waiting(_title(training, NEIGHBOURS)):
            neighbours = Neighbours.among(rows, int(self.n_neighbors), STAND_INS)
        return replace(training, neighbours=neighbours)

    def _mover(self, rows: Tensor, epochs: int, neighbours: Neighbours | None) -> MoveComponents:
        """What happens to the components between epochs of the joint training."""
        together = min(epochs, VIEWS_TOGETHER / math.ceil(len(rows) / self.batch_size))
        return MoveComponents(
            self.model_,
            lambda epoch: self._judged(rows, epoch, min(epoch / together, 1.0), neighbours),
            self.seed_,
            kinds=self._kinds,
            fewest=self.n_clusters or 1,
            coarsening=self._coarsening(len(rows)),
            every=max(1, epochs // ROUNDS),
        )

    def _judged(
        self, rows: Tensor, step: int, share: float = 1.0, neighbours: Neighbours | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance of the latents that moves, and the merges of the tree, are judged on.

        They are of a random view of each of a ``share`` of the rows, and of the others as they
        are. The bound is of views: of images as they are, parts of a cluster that views bring
        together may look further apart than a few odd images from those of another. But views
        come together only as networks train, and before that those of different clusters overlap.
        Noise on tables only blurs what is apart.
        """
        if self._views_are_noise:
            return posteriors(self.model_, rows)
        seed = epoch_seed(self.seed_, step, VIEWS)
        return posteriors_of_views(self.model_, rows, seed, share, neighbours)

    def _columns(self, scorer: Scorer | None) -> Scorer:
        """The joint training's own columns of the history, before any further ones."""

        def columns() -> dict[str, float]:
            mixture = self.model_.mixture
            own = {"n_components": float(mixture.n_filled), "n_eff": float(mixture.n_eff)}
            return with_scores(own, scorer() if scorer else {})

        return columns

    def _step(self, training: Training, name: str, epochs: int) -> Training:
        """One of the trainings, with a checkpoint folder and a title of its own."""
        folder = training.checkpoint_dir and training.checkpoint_dir / name
        settings = dict(training.settings)
        if name == PRETRAINING:
            settings = {parameter: settings[parameter] for parameter in SHAPE_PRETRAINING}
        return replace(
            training,
            epochs=epochs,
            settings=settings,
            checkpoint_dir=folder,
            progress=_title(training, name),
        )

    def n_epochs(self, n_rows: int, *, images: bool) -> tuple[int, int, int]:
        """Epochs of the pre-training, the joint training and the finish on so many rows."""
        recipe = IMAGES if images else TABLES
        first, second = recipe.epochs(n_rows, int(self.batch_size))
        joint = int(self.epochs or second)
        return int(self.pretrain_epochs or first), joint, recipe.finishing(joint)

    @property
    def _of_images(self) -> bool:
        return len(self.sample_shape_) > 1

    @property
    def _recipe(self) -> Recipe:
        return IMAGES if self._of_images else TABLES

    @property
    def _views_are_noise(self) -> bool:
        return isinstance(self.model_.augment, Jitter)

    @property
    def _keeps_clusters(self) -> bool:
        """Whether the final tree keeps the clusters of the training."""
        return "merge" in self._kinds and self._of_images

    @property
    def _kinds(self) -> tuple[str, ...]:
        """The kinds of moves that are tried."""
        return MOVES if self.moves is True else tuple(self.moves or ())

    @property
    def _truncation(self) -> int:
        return max(self.n_components, self.n_clusters or 1)

    def _coarsening(self, n_rows: int) -> Coarsening:
        """N_eff of the joint training on so many rows."""
        if self.coarsening != "auto":
            return Coarsening(float(self.coarsening), float(self.coarsening))
        n_numbers = FullCovariance(int(self.mixed_latents_.sum())).n_features
        return self._recipe.rows_a_number.coarsening(n_rows, n_numbers)

    def _warn_of_collapse(self, rows: Tensor) -> None:
        """Say so where q(z | x) has become the same for all x."""
        if self.n_clusters_ == 1 and tell_nothing(posteriors(self.model_, rows)):
            warn_user(
                "the latents tell nothing about X (posterior collapse): the decoder takes all that "
                "varies for noise, and one cluster does not mean that there is no other; "
                "DirichletProcessGaussianMixture clusters X itself"
            )

    def _weight(self, rows: Tensor) -> float:
        """How often each row counts in a mixture of all: several times, if N_eff begins above N."""
        return max(1.0, self._coarsening(len(rows)).first / len(rows))

    def _overcomplete(self, rows: Tensor, step: int) -> MixturePosterior:
        """An infinite mixture of all rows, from a start of T components."""
        mean, var = (part[:, self._mixed] for part in posteriors(self.model_, rows))
        seed = epoch_seed(self.seed_, step, MIXTURE)
        return overcomplete((mean, var), self._truncation, weight=self._weight(rows), seed=seed)

    def _mixture(self, rows: Tensor, step: int = BEGIN) -> InfiniteMixture:
        """An overcomplete mixture of all rows, for the joint training to go on from."""
        return InfiniteMixture.from_fit(
            self._overcomplete(rows, step),
            *posteriors(self.model_, rows),
            Climb(n_rows=len(rows), views=self.views, sharpness=self.sharpness),
            self._coarsening(len(rows)).first,
            self._mixed,
        )

    @property
    def _mixed(self) -> Bool[Tensor, " D"]:
        return torch.from_numpy(self.mixed_latents_)

    def _settle(self, rows: Tensor) -> None:
        """The last step: the mixture of the final latents, its tree, and the cut.

        The tree over images keeps the clusters that the training ended with, once fragments are
        joined: its merges are judged on views, and its components fitted to images as they are.
        That over a table is free to find others; so is any after a training without merges,
        which leaves parts.

        Where objects counted several times, the tree begins where they count once, or where the
        training ended: what it would tell apart above that, it has no objects for.
        """
        end = self._coarsening(len(rows)).last
        tree = settle(
            self.model_,
            rows,
            self._overcomplete(rows, END),
            self._judged(rows, END),
            self._mixed,
            weight=self._weight(rows),
            kept_at=end if self._keeps_clusters else None,
            join=self._join,
        )
        self.hierarchy_ = self._as_trained(tree.begun_at(max(float(len(rows)), end)), end)
        if self.n_clusters:
            self.cut(n_clusters=self.hierarchy_.supported(self.n_clusters))
        elif self.coarsening == "auto":
            self.cut("auto")
        else:
            self.cut(n_eff=self.coarsening)

    def _as_trained(self, tree: Hierarchy, end: float) -> Hierarchy:
        """The tree, with what the training, whose N_eff ended there, says of it."""
        return replace(tree, trained_n_eff=end, are_kept=self._keeps_clusters)


def _title(training: Training, step: str) -> str | None:
    return training.progress and f"{training.progress}: {step}"


def _counted_on(training: Training, history: list[dict[str, float]]) -> list[dict[str, float]]:
    """The history of a training, its epochs counted on from those before it."""
    return [row | {"epoch": row["epoch"] + training.before} for row in history]
