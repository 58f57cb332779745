"""The deep infinite mixture on a GPU: all of MNIST in each precision, and with convolutions.

    python -m benchmarks.gpu --data-dir DIR [--variant NAME] [--at-once N]

Sets aside what `dimix reproduce` does with seed 0, trains on the other 55,000 images, and scores
on the 10,000 test images. Several such commands may share a GPU, each told how many they are.
Adds what is missing in results/infinite-mnist/gpu.json, and writes gpu.md beside it.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from benchmarks.ablation import AllMoved
from benchmarks.record import ROOT, Case, read, rounded, run_missing

from benchmarks import scores
from dimix import DeepInfiniteMixture
from dimix.experiments.problem import Problem, load_problem
from dimix.records import atomic_write

RECORD = ROOT / "results" / "infinite-mnist" / "gpu.json"
SEED, LATENTS = 0, 10
SETTINGS = {"seed": SEED, "latent_dim": LATENTS}
SHORT: Mapping[str, Any] = {"architecture": "conv", "epochs": 55}
VARIANTS: Mapping[str, Callable[..., DeepInfiniteMixture]] = {
    "default": DeepInfiniteMixture,
    "float32": partial(DeepInfiniteMixture, precision="32-true"),
    "two views": partial(DeepInfiniteMixture, views=2),
    "convolutions": partial(DeepInfiniteMixture, architecture="conv"),
    "convolutions, 55 joint epochs": partial(DeepInfiniteMixture, **SHORT),
    "convolutions, 55 joint epochs, no image as it is": partial(AllMoved, **SHORT),
}


def case(variant: str, problem: Problem, at_once: int) -> Case:
    """Scores and bound on the test images, and the seconds while so many fits share the GPU."""
    settings: dict[str, Any] = {"device": "cuda", "likelihood": "bernoulli", "random_state": SEED}
    model = VARIANTS[variant](latent_dim=LATENTS, **settings, progress=False)
    started = perf_counter()
    model.fit(problem.train.images, X_val=problem.validation.images)
    seconds = perf_counter() - started
    found = scores.scores(model.predict(problem.test.images), problem.test.labels)
    bound = rounded(model.score(problem.test.images), 6)
    cost = {"seconds": rounded(seconds, 3), "fits_at_once": at_once}
    return found | {"bound": bound, **cost, "threads": torch.get_num_threads()}


def page(record: Mapping[str, Any]) -> str:
    """A row for each variant on each GPU."""
    run = {
        f"{name}, {gpu}, {found['fits_at_once']} fits at once": [found]
        for gpu, part in record.items()
        for name, found in part["cases"].items()
    }
    return scores.page("variant", run, {"bound": "bound"})


def main() -> None:
    """Run what the record lacks, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds the folder mnist")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only these")
    parser.add_argument("--at-once", type=int, default=1, help="commands that share the GPU")
    parser.add_argument("--out", type=Path, default=RECORD)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here")
    problem = load_problem("mnist", arguments.data_dir, SEED)
    variants = arguments.variant or VARIANTS
    run = {name: partial(case, name, problem, arguments.at_once) for name in variants}
    run_missing(arguments.out, torch.cuda.get_device_name(), SETTINGS, run)
    with atomic_write(arguments.out.with_suffix(".md")) as file:
        file.write(page(read(arguments.out)))


if __name__ == "__main__":
    main()
