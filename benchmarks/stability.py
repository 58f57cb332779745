"""How far the answers on MNIST can be trusted: by epoch, by seed, by stated probability.

    python -m benchmarks.stability [--data-dir DIR]

Reads the records of results/infinite-mnist and results/paper-mnist, and the networks that the
first left beside them (without these, first `dimix reproduce` as in docs/infinite-measured.md).
Without --data-dir only what is by epoch is measured anew, which takes no network. Writes
results/infinite-mnist/stability.json and .md:

    by epoch          the largest fall of NMI on held-out images from one epoch to the next, of the
                      joint training with the finish and of the paper's Algorithm 1
    by seed           agreement (ARI) of two seeds' clusters on the same test images
    by probability    of the test images: mean probability of the predicted cluster, the share that
                      lies in the class matched to it, and the expected calibration error
"""

import argparse
import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.record import ROOT, machine, read, rounded
from jaxtyping import Float, Int64
from sklearn.metrics import adjusted_rand_score

from dimix.experiments.networks import TrainedNetwork, Workshop
from dimix.experiments.problem import Problem, load_problem
from dimix.metrics import matched_rows
from dimix.records import Record, atomic_write, read_run

RUN, PAPER = ROOT / "results" / "infinite-mnist", ROOT / "results" / "paper-mnist"
BINS = 15


def largest_fall(scores: Float[np.ndarray, " E"]) -> float:
    """By how much a score falls at most from one epoch to the next; epochs without one are NaN."""
    return rounded(float(np.nanmax(-np.diff(scores))), 3)


def by_epoch(run: Path, rows: str) -> Iterator[dict[str, Any]]:
    """The largest fall of NMI of every cell whose row's name begins so."""
    for cell in read_run(run):
        if cell.record.row.startswith(rows):
            yield {
                "row": cell.record.row,
                "latent_dim": cell.record.latent_dim,
                "seed": cell.record.seed,
                "largest_fall": largest_fall(cell.curves["val_nmi"]),
            }


def calibration(
    probability: Float[np.ndarray, "N K"], labels: Int64[np.ndarray, " N"]
) -> dict[str, float]:
    """Mean probability of the predicted clusters, share that is right, expected error.

    Clusters are matched one to one to classes; images of a cluster without a class are wrong.
    The error is the mean over the images of the difference of both in an image's bin (Guo et
    al. 2017), in 15 bins of equal width.
    """
    found, sure = probability.argmax(1), probability.max(1)
    right = matched_rows(labels, found)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, sure - right, minlength=BINS)
    return {
        "mean_probability": rounded(float(sure.mean())),
        "accuracy": rounded(float(right.mean())),
        "expected_calibration_error": rounded(float(np.abs(gap).sum() / len(sure))),
    }


def network_of(problem: Problem, seed: int) -> TrainedNetwork:
    """One seed's network with 10 latents: the recorded one, or one trained the same way."""
    epochs = json.loads((RUN / "run.json").read_text())["epochs"]
    workshop = Workshop(problem, folder_of(seed), latent_dim=10, seed=seed, epochs=epochs)
    return workshop.network("infinite")


def folder_of(seed: int) -> Path:
    """Where the checkpoints of one seed's networks lie."""
    return RUN / "networks" / f"z10-seed{seed}"


def of_test_images(data_dir: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The test images' probabilities [N, K] under one seed's recorded network, and labels [N]."""
    folder = folder_of(seed)
    if not (folder / "infinite" / "joint" / "last.ckpt").exists():
        raise SystemExit(f"{folder}: no trained network there: first `dimix reproduce`")
    problem = load_problem("mnist", data_dir, seed)
    model: Any = network_of(problem, seed).estimator
    return model.predict_proba(problem.test.images), problem.test.labels


def of_ten_latents() -> list[Record]:
    """The record of each seed with 10 latents, K unknown."""
    records = [cell.record for cell in read_run(RUN)]
    return [record for record in records if (record.row, record.latent_dim) == ("infinite", 10)]


def by_network(data_dir: Path) -> dict[str, Any]:
    """What the record says by seed and by probability."""
    seeds = [record.seed for record in of_ten_latents()]
    found, sure = {}, {}
    for seed in seeds:
        probability, labels = of_test_images(data_dir, seed)
        found[seed], sure[seed] = probability.argmax(1), calibration(probability, labels)
        print(f"seed {seed}: {sure[seed]}", flush=True)
    pairs = combinations(seeds, 2)
    return {
        "machine": machine(),
        "by_seed": {
            f"{a}, {b}": rounded(adjusted_rand_score(found[a], found[b])) for a, b in pairs
        },
        "by_probability": {str(seed): values for seed, values in sure.items()},
    }


def page(record: dict[str, Any]) -> str:
    """The record as three tables."""
    lines = ["| row | Z | seed | largest fall of NMI |", "| --- | ---: | ---: | ---: |"]
    for case in record["by_epoch"]:
        lines.append("| {row} | {latent_dim} | {seed} | {largest_fall} |".format(**case))
    agreement = list(record["by_seed"].values())
    lines += ["", "| pairs of seeds | agreement (ARI), mean | least | most |"]
    lines += ["| ---: | ---: | ---: | ---: |"]
    ends = f"{np.mean(agreement):.3f} | {min(agreement):.3f} | {max(agreement):.3f}"
    lines += [f"| {len(agreement)} | {ends} |", ""]
    lines += ["| seed | mean probability | accuracy | expected calibration error |"]
    lines += ["| ---: | ---: | ---: | ---: |"]
    for seed, values in record["by_probability"].items():
        lines.append(f"| {seed} | {' | '.join(f'{v:.3f}' for v in values.values())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the record and its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="holds the folder mnist")
    data_dir, file = parser.parse_args().data_dir, RUN / "stability.json"
    record = by_network(data_dir) if data_dir else read(file)
    record["by_epoch"] = [*by_epoch(RUN, "infinite"), *by_epoch(PAPER, "algorithm1")]
    with atomic_write(file) as out:
        json.dump(record, out, indent=1)
        out.write("\n")
    with atomic_write(file.with_suffix(".md")) as out:
        out.write(page(record))


if __name__ == "__main__":
    main()
