"""What the clusters cost as a generative model: the bound beside that of a plain VAE.

    python -m benchmarks.generative --data-dir DIR

The VAE has the prior N(0, I), and else the networks, views, minibatches and total epochs of the
deep infinite mixture with 10 latents, whose network is the one that `dimix reproduce` left in
results/infinite-mnist/networks, or is trained there the same way. Both are scored on the same
clean test images, with the same likelihood and every term at weight 1. Writes
results/infinite-mnist/generative.json and .md.
"""

import argparse
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.record import Case, read, rounded, run_missing
from benchmarks.stability import RUN, folder_of, network_of
from torch import Tensor

from dimix import DeepInfiniteMixture
from dimix.data.views import RandomWarp
from dimix.experiments.problem import Problem, load_problem
from dimix.models import VAE, Model
from dimix.records import atomic_write
from dimix.training import Training, average_terms, own_random_numbers, train

SEEDS = (0,)


def plain_vae(
    rows: Tensor, shape: tuple[int, ...], latent_dim: int, steps: Iterable[tuple[Training, float]]
) -> VAE:
    """A VAE trained in steps on views of images, a share of which are left as they are in each."""
    trainings = list(steps)
    with own_random_numbers():
        torch.manual_seed(trainings[0][0].seed)
        vae = VAE(shape, latent_dim, augment=RandomWarp())
    for training, vae.unmoved in trainings:
        train(vae, rows, training)
    return vae


def steps_of_ours(
    ours: DeepInfiniteMixture, n_rows: int, folder: Path
) -> Iterator[tuple[Training, float]]:
    """Our trainings, the first two as one, and the share of images that each leaves as they are."""
    *before, finish = ours.n_epochs(n_rows, images=True)
    lengths = {"before": sum(before), "finish": finish}
    for (name, epochs), unmoved in zip(lengths.items(), ours._unmoved, strict=True):
        training = Training(
            epochs=epochs,
            batch_size=ours.batch_size,
            learning_rate=ours.learning_rate,
            seed=int(ours.random_state),
            schedule="linear",
            checkpoint_dir=folder / name,
            progress=f"VAE on views, seed {ours.random_state}",
        )
        yield training, unmoved


def terms(model: Model, rows: Tensor) -> dict[str, float]:
    """Reconstruction, the prior's terms and their sum, the bound: nats a sample, all weights 1."""
    means = average_terms(model, rows, seed=0)
    reconstruction = means.pop("reconstruction")
    prior = sum(value for name, value in means.items() if name != "loss")
    parts = {"reconstruction": reconstruction, "prior": prior, "bound": reconstruction + prior}
    return {name: rounded(value, 6) for name, value in parts.items()}


def case(data_dir: Path, seed: int) -> Case:
    """Both bounds of one seed."""
    problem = load_problem("mnist", data_dir, seed)
    ours: Any = network_of(problem, seed).estimator
    epochs = len(ours.history_)
    rows, test = flat(problem, "train"), flat(problem, "test")
    steps = steps_of_ours(ours, len(rows), folder_of(seed) / "vae-on-views")
    vae = plain_vae(rows, problem.train.images.shape[1:], ours.latent_dim, steps)
    found = {"infinite": terms(ours.model_, test), "vae": terms(vae, test)}
    difference = rounded(found["infinite"]["bound"] - found["vae"]["bound"])
    return {"epochs": epochs, **found, "difference": difference}


def flat(problem: Problem, part: str) -> Tensor:
    """The images of one part as rows of bytes."""
    return torch.from_numpy(getattr(problem, part).images).flatten(1)


def page(record: dict[str, Any]) -> str:
    """The record as a table."""
    lines = [
        "| seed | epochs | model | reconstruction | prior | bound, nats a test image |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for name, case in record["bound"]["cases"].items():
        for model, parts in case.items():
            if isinstance(parts, dict):
                cells = " | ".join(f"{value:.2f}" for value in parts.values())
                lines.append(f"| {name} | {case['epochs']} | {model} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what the record lacks, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds the folder mnist")
    data_dir = parser.parse_args().data_dir
    file = RUN / "generative.json"
    views = "RandomWarp(), in the end half of the images as they are"
    settings = {"latent_dim": 10, "views": views, "schedule": "linear"}
    for seed in SEEDS:
        run_missing(file, "bound", settings, {str(seed): partial(case, data_dir, seed)})
    with atomic_write(file.with_suffix(".md")) as out:
        out.write(page(read(file)))


if __name__ == "__main__":
    main()
