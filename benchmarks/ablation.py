"""What each part of the deep infinite mixture brings, and how much its constants matter.

    python -m benchmarks.ablation --data-dir DIR [--rows 60000] [--seed S] [--variant NAME]

Trains on the first 10,000 images of MNIST, or so many, three seeds of each variant, and scores
on its 10,000 test images; by epoch as well, for the largest fall of NMI from one epoch to the
next. All that a variant does not name is the default, and what it does alike it does once: most
variants go on from one pre-training, whose seconds count for each. Adds what is missing in
results/infinite-mnist/ablation.json, and writes ablation.md beside it; a fit that was cut short
is gone on with.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from benchmarks.record import ROOT, Case, read, rounded, run_missing
from benchmarks.stability import largest_fall
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from benchmarks import scores
from dimix import DeepInfiniteMixture
from dimix.data import load
from dimix.data.base import ImageData
from dimix.estimators.recipe import UNMOVED
from dimix.metrics import clustering_scores
from dimix.priors import InfiniteMixture
from dimix.records import atomic_write, read_curves
from dimix.training import MIXTURE, Training, epoch_seed
from dimix.training.moves import Coarsening, MoveComponents, posteriors

ROWS, SEEDS = 10_000, 3
RECORD = ROOT / "results" / "infinite-mnist" / "ablation.json"
FOLDER = ROOT / "runs" / "benchmarks" / "ablation"
SETTINGS = {"threads": torch.get_num_threads()}


class WithoutHierarchy(DeepInfiniteMixture):
    """The components that the joint training leaves are the clusters."""

    def _settle(self, rows: Tensor) -> None:
        self.n_clusters_ = self._truncation


class WithoutCoarsening(DeepInfiniteMixture):
    """Every image counts once."""

    def _train(self, rows: Tensor, *further: Any) -> list[dict[str, float]]:
        self.coarsening = float(len(rows))
        return super()._train(rows, *further)


class ScaledNEff(DeepInfiniteMixture):
    """N_eff of the training and of the cut at ``factor`` times the default."""

    factor: float

    def _coarsening(self, n_rows: int) -> Coarsening:
        usual = super()._coarsening(n_rows)
        return replace(usual, first=self.factor * usual.first, last=self.factor * usual.last)


class HalfNEff(ScaledNEff):
    """N_eff at half of the default."""

    factor = 0.5


class TwiceNEff(ScaledNEff):
    """N_eff at twice the default."""

    factor = 2.0


class AllMoved(DeepInfiniteMixture):
    """No image is seen as it is, not in the end either."""

    _unmoved = 0.0, 0.0


class SomeUnmoved(DeepInfiniteMixture):
    """A quarter of the images are seen as they are, from the beginning to the end."""

    _unmoved = UNMOVED, UNMOVED


class LeftApart(DeepInfiniteMixture):
    """Fragments that the joint training has set apart stay clusters."""

    _join = False


class ConstantRate(DeepInfiniteMixture):
    """The learning rate does not fall."""

    def _step(self, training: Training, name: str, epochs: int) -> Training:
        return replace(super()._step(training, name, epochs), schedule="constant")


class WithRefits(DeepInfiniteMixture):
    """Algorithm 1's way: between epochs a new mixture, within them none of its updates.

    There is no finish, in which the mixture would stand still.
    """

    def n_epochs(self, n_rows: int, *, images: bool) -> tuple[int, int, int]:
        """As the default's, without a finish."""
        return *super().n_epochs(n_rows, images=images)[:2], 0

    def _mover(self, rows: Tensor, *further: Any) -> MoveComponents:
        return _Refits(self, rows)


class _Refits(MoveComponents):
    """A new overcomplete mixture after each epoch, merged as far as the coarsened bound rises."""

    def __init__(self, estimator: WithRefits, rows: Tensor) -> None:
        super().__init__(
            estimator.model_,
            lambda _: posteriors(estimator.model_, rows),
            estimator.seed_,
            kinds=(),
            coarsening=estimator._coarsening(len(rows)),
            every=1,
        )
        self.rows = rows
        self.estimator = estimator
        _stand_still(estimator.model_.mixture)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch:  # gone on with: a checkpoint holds no prior
            self._refit(trainer.current_epoch, trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._refit(trainer.current_epoch + 1, trainer)

    def _refit(self, epoch: int, trainer: Trainer) -> None:
        estimator = self.estimator
        assert trainer.max_epochs
        mixture = estimator._mixture(self.rows, epoch)
        mixture.n_eff.fill_(self.coarsening.n_eff(epoch / trainer.max_epochs))
        rng = np.random.RandomState(epoch_seed(self.seed, epoch, MIXTURE))
        mixture.improve(*self.latents(epoch), rng, moves=("merge",))
        _stand_still(mixture)
        self.model.give_mixture(mixture, estimator.views, estimator.prior_weight)


def _stand_still(mixture: InfiniteMixture) -> None:
    mixture.fold = lambda statistics, n_objects: None  # type: ignore[method-assign]


NEIGHBOURS = "views of five neighbours as well"
SOME_UNMOVED = "a quarter of the images as they are"
LEFT_APART, NO_HIERARCHY = "fragments left apart", "no hierarchy"

VARIANTS: Mapping[str, Callable[..., DeepInfiniteMixture]] = {
    "default": DeepInfiniteMixture,
    "no views": partial(DeepInfiniteMixture, augment=None),
    NEIGHBOURS: partial(DeepInfiniteMixture, n_neighbors=5),
    SOME_UNMOVED: SomeUnmoved,
    "no image as it is": AllMoved,
    "no coarsening (N_eff = N)": WithoutCoarsening,
    "half of N_eff": HalfNEff,
    "twice N_eff": TwiceNEff,
    "constant learning rate": ConstantRate,
    LEFT_APART: LeftApart,
    NO_HIERARCHY: WithoutHierarchy,
    "no moves": partial(DeepInfiniteMixture, moves=False),
    "a refit each epoch in place of the joint bound": WithRefits,
    "T = 10": partial(DeepInfiniteMixture, n_components=10),
    "T = 40": partial(DeepInfiniteMixture, n_components=40),
    "T = 100": partial(DeepInfiniteMixture, n_components=100),
}


ANEW = {"default", "no views", NEIGHBOURS, SOME_UNMOVED, "constant learning rate"}
"""Variants that are pre-trained anew; the others go on from the default's pre-training."""


def folder_of(variant: str, seed: int, base: Path) -> Path:
    """A folder for the variant's checkpoints; what it does as the default does is linked there."""
    alike = [] if variant in ANEW else ["pretraining"]
    alike += ["joint", "finish"] if variant in (LEFT_APART, NO_HIERARCHY) else []
    folder = base / f"seed{seed}" / variant
    folder.mkdir(parents=True, exist_ok=True)
    for step in alike:
        (folder.parent / "default" / step).mkdir(parents=True, exist_ok=True)
        if not (folder / step).is_symlink():
            (folder / step).symlink_to(Path("..") / "default" / step)
    return folder


def case(variant: str, seed: int, train: ImageData, test: ImageData, base: Path) -> Case:
    """Scores of one fit on the test images, and its seconds, the scores by epoch among them."""
    folder = folder_of(variant, seed, base)
    done = sum(read_curves(file)["seconds"].sum() for file in folder.glob("*/curves.csv"))
    model = VARIANTS[variant](random_state=seed, progress=False, checkpoint_dir=folder)
    started = perf_counter()
    model.fit(train.images, scorer=partial(nmi, test=test))
    seconds = perf_counter() - started + float(done)
    found = scores.scores(model.predict(test.images), test.labels)
    by_epoch = np.array([row.get("nmi", np.nan) for row in model.history_])
    return found | {"largest_fall": largest_fall(by_epoch), "seconds": rounded(seconds, 3)}


def nmi(model: DeepInfiniteMixture, test: ImageData) -> dict[str, float]:
    """NMI of the components with the classes."""
    return {"nmi": clustering_scores(test.labels, model.predict(test.images)).nmi}


def first_images(data_dir: Path, rows: int) -> tuple[ImageData, ImageData]:
    """The images to train on, and those to score on."""
    train, test = load("mnist", "train", data_dir), load("mnist", "test", data_dir)
    return replace(train, images=train.images[:rows], labels=train.labels[:rows]), test


def part_of(rows: int) -> str:
    """The record's part with these images."""
    return f"{rows:,} images"


def page(record: dict[str, Any]) -> str:
    """A row for each variant that has been run, those on other numbers of images last."""
    run: dict[str, list[Case]] = defaultdict(list)
    for part in sorted(record, key=lambda part: part != part_of(ROWS)):
        by_variant = sorted(record[part]["cases"].items(), key=lambda case: _place(case[0]))
        for name, found in by_variant:
            variant = name.rpartition(", seed")[0]
            run[variant if part == part_of(ROWS) else f"{variant}, {part}"].append(found)
    return scores.page("variant", run, {"largest_fall": "largest fall of NMI"})


def _place(name: str) -> int:
    return list(VARIANTS).index(name.rpartition(", seed")[0])


def main() -> None:
    """Run what the record lacks, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds the folder mnist")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the training images, from first")
    parser.add_argument("--seed", type=int, action="append", help="only these")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only these")
    parser.add_argument("--out", type=Path, default=RECORD)
    arguments = parser.parse_args()
    data, part = first_images(arguments.data_dir, arguments.rows), part_of(arguments.rows)
    for seed in arguments.seed or range(SEEDS):
        for variant in arguments.variant or VARIANTS:
            run = {f"{variant}, seed {seed}": partial(case, variant, seed, *data, FOLDER / part)}
            run_missing(arguments.out, part, SETTINGS, run)
            with atomic_write(arguments.out.with_suffix(".md")) as file:
                file.write(page(read(arguments.out)))


if __name__ == "__main__":
    main()
