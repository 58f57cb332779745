"""Run what the record lacks, then write the page.

    python -m benchmarks.baselines --data-dir DIR

Each seed sets aside the same 5,000 of MNIST's training images as `dimix reproduce` does, trains
on the other 55,000 and scores on the 10,000 test images. Labels only score; VaDE is told that
there are ten classes. Adds what is missing in results/infinite-mnist/baselines.json.
"""

import argparse
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from benchmarks.baselines.autoencoder import rows_of
from benchmarks.baselines.umap import autoencoder_umap_mixture
from benchmarks.baselines.vade import vade
from benchmarks.record import ROOT, Case, read, rounded, run_missing
from benchmarks.stability import RUN, of_ten_latents

from benchmarks import scores
from dimix.experiments.problem import Problem, load_problem
from dimix.records import atomic_write

UMAP, VADE, OURS = "autoencoder + UMAP + DP-GMM", "VaDE, K known", "DeepInfiniteMixture"
SEEDS, CLASSES = 3, 10
CHECKPOINTS = ROOT / "runs" / "benchmarks"
SETTINGS = {"threads": torch.get_num_threads()}


def case(method: str, problem: Problem, seed: int) -> Case:
    """Scores on the test images, and the seconds of the whole fit."""
    train, test = rows_of(problem.train.images), rows_of(problem.test.images)
    started = perf_counter()
    if method == UMAP:
        found = autoencoder_umap_mixture(train, test, seed)
        seconds = perf_counter() - started
    else:
        model = vade(train, CLASSES, seed, folder=CHECKPOINTS / f"vade-{seed}")
        found, seconds = model.predict(test), model.seconds
    return scores.scores(found, problem.test.labels) | {"seconds": rounded(seconds, 3)}


def ours() -> list[Case]:
    """The scores of `dimix reproduce --row infinite`, ten latents."""
    return [record.scores["test"] | {"seconds": record.seconds} for record in of_ten_latents()]


def page(record: dict[str, Any]) -> str:
    """A row for each method, ours first."""
    theirs = {method: list(part["cases"].values()) for method, part in record.items()}
    return scores.page("method", {OURS: ours()} | theirs)


def main() -> None:
    """Run the methods that are named, or both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds the folder mnist")
    parser.add_argument("--method", action="append", choices=(UMAP, VADE), help="only these")
    parser.add_argument("--out", type=Path, default=RUN / "baselines.json")
    arguments = parser.parse_args()
    for seed in range(SEEDS):
        problem = load_problem("mnist", arguments.data_dir, seed)
        for method in arguments.method or (UMAP, VADE):
            run = {f"seed {seed}": partial(case, method, problem, seed)}
            run_missing(arguments.out, method, SETTINGS, run)
            with atomic_write(arguments.out.with_suffix(".md")) as file:
                file.write(page(read(arguments.out)))


if __name__ == "__main__":
    main()
