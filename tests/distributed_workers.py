"""What a rank runs in the tests of several processes: a rank starts with this file alone."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from dimix.mixture import (
    DirichletProcessGaussianMixture,
    FeatureChunks,
    FullCovariance,
    fit_batch,
    update,
)
from dimix.mixture.inference.blocks import blocks_of, stream_moments
from dimix.mixture.inference.memoized import fit_memoized
from dimix.mixture.inference.stochastic import StochasticState, stochastic_step
from mixture_cases import blobs, make_prior

N_ROWS, SPLIT = 301, 120  # shards of different sizes


def fits(rank: int | None) -> dict[str, np.ndarray]:
    """Batch, memoized and stochastic fits to the shard of a rank (None: to all rows)."""
    family = FullCovariance(2)
    prior, raw = make_prior(family), blobs(N_ROWS, 2)
    resp = torch.rand(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start = update(prior, resp.mT @ family.features(raw[:30]))  # not summed over the ranks
    shard = {None: raw, 0: raw[:SPLIT], 1: raw[SPLIT:]}[rank]
    chunks = FeatureChunks(family, shard - prior.centre, weights=shard[:, 0].abs())
    batch = fit_batch(chunks, start, max_iter=8, tol=1e-6)
    memoized = fit_memoized(blocks_of(shard.numpy(), 50), batch.posterior, max_iter=4, tol=0)
    state = StochasticState(torch.zeros(4, family.n_features, dtype=torch.float64))
    moments = stream_moments(blocks_of(shard.numpy(), 50))
    return {
        "batch": np.array([bound.total for bound in batch.bounds]),
        "memoized": np.array([bound.total for bound in memoized.bounds]),
        "means": memoized.posterior.means.numpy(),
        "stream": stochastic_step(state, prior, chunks).statistics.numpy(),
        "mean": moments.mean,
        "covariance": moments.covariance,
    }


def fit_shard(rank: int, folder: str) -> None:
    """Fit to one of two shards, and leave the answer in ``folder``."""
    _join(rank, folder)
    np.savez(Path(folder) / f"{rank}.npz", **fits(rank))
    dist.destroy_process_group()


def outlive_the_other(rank: int, folder: str) -> None:
    """Rank 1 ends before the first sum; rank 0 notes down what it hears of it."""
    _join(rank, folder)
    if rank == 1:
        os._exit(0)
    _note_the_error(lambda: fits(rank), folder)


def _note_the_error(fit: Callable[[], object], folder: str) -> None:
    """Write down what ``fit`` raises, and end at once: gloo may abort where it tidies up alone."""
    try:
        fit()
    except RuntimeError as error:
        (Path(folder) / "error").write_text(str(error))
    os._exit(0)


def _join(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=30),
    )


def rows_and_shards(dim: int = 2) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows sorted by their first column, so that no shard looks like the whole, and two shards."""
    rows = blobs(N_ROWS, dim).numpy()
    rows = rows[rows[:, 0].argsort()]
    return rows, [rows[:SPLIT], rows[SPLIT:]]


def estimators(rank: int | None) -> dict[str, np.ndarray]:
    """What the estimator finds on the shard of a rank (None: on all rows), in every way to fit."""
    rows, shards = rows_and_shards()
    rows = rows if rank is None else shards[rank]
    weights = 1 + np.round(np.abs(rows[:, 0]))
    gappy = np.where(np.abs(np.sin(17 * rows)) < 0.2, np.nan, rows)
    gappy[:, 1] = rows[:, 1]  # every row has something
    answers = {}
    for name, data, options, given in (
        ("full", rows, {}, {}),
        (
            "weights",
            rows,
            {"n_init": 2, "init_params": "random_from_data"},
            {"sample_weight": weights},
        ),
        ("diag", gappy, {"covariance_type": "diag", "allow_missing": True}, {}),
        ("gaps", gappy, {"allow_missing": True}, {}),
        ("moves", rows, {"moves": True, "coarsening": 5.0}, {}),
        ("blocks", lambda: iter([rows[:50], rows[50:]]), {"moves": True}, {}),
    ):
        mixture = DirichletProcessGaussianMixture(
            6, random_state=0, tol=1e-6, max_iter=500, **{"moves": False, **options}
        ).fit(data, **given)
        answers |= {
            f"{name} means": mixture.means_,
            f"{name} covariances": mixture.covariances_,
            f"{name} weights": mixture.weights_,
            f"{name} bounds": np.array(mixture.lower_bounds_),
            f"{name} labels": mixture.component_labels_,
        }
    stream = DirichletProcessGaussianMixture(6, random_state=0)
    for _ in range(2):
        stream.partial_fit(rows)
    return answers | {"stream means": stream.means_}


def fit_estimators(rank: int, folder: str) -> None:
    """Fit the estimator to one of two shards, and leave the answers in ``folder``."""
    _join(rank, folder)
    np.savez(Path(folder) / f"{rank}.npz", **estimators(rank))
    dist.destroy_process_group()


def hear_errors(rank: int, folder: str) -> None:
    """Fits that must fail on both ranks: note down what each hears."""
    _join(rank, folder)
    _, shards = rows_and_shards(3)
    rows = shards[rank]
    bad = np.where(rows > rows.max() - 1e-9, np.nan, rows) if rank == 1 else rows
    for name, data in (("width", rows[:, : 3 - rank]), ("nan", bad)):
        try:
            DirichletProcessGaussianMixture(4).fit(data)
        except (ValueError, RuntimeError) as error:
            (Path(folder) / f"{name}{rank}").write_text(f"{type(error).__name__}: {error}")
    dist.destroy_process_group()


def outlive_the_other_estimator(rank: int, folder: str) -> None:
    """Rank 1 ends before it fits; rank 0 notes down what it hears of it."""
    _join(rank, folder)
    if rank == 1:
        os._exit(0)
    rows = rows_and_shards()[1][0]
    _note_the_error(lambda: DirichletProcessGaussianMixture(4).fit(rows), folder)
