"""What a rank runs in the tests of several processes: a rank starts with this file alone."""

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from dimix.mixture import FeatureChunks, FullCovariance, fit_batch, update
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
    try:
        fits(rank)
    except RuntimeError as error:
        (Path(folder) / "error").write_text(str(error))


def _join(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=30),
    )
