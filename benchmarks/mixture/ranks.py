"""Two gloo processes over one: half the rows each, one thread each, the same updates."""

import os
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from benchmarks.mixture.data import clusters
from benchmarks.mixture.models import centred, default_prior
from benchmarks.record import Case, rounded, run_missing

from dimix.mixture import FeatureChunks, collect, fit_batch, update

SHAPES = {"D=10": (60_000, 10), "D=16": (60_000, 16), "D=64": (30_000, 64)}
COMPONENTS, UPDATES = 50, 20
SETTINGS = {"T": COMPONENTS, "updates": UPDATES, "backend": "gloo", "threads a process": 1}


def work(rank: int, size: int, rows: int, dim: int, folder: str) -> None:
    """One rank: fit its shard; rank 0 writes seconds an update and the final bound."""
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=size)
    rng = np.random.RandomState(0)
    x = clusters(rng, [rows // 20] * 20, dim, spread=5)
    labels = torch.from_numpy(rng.randint(COMPONENTS, size=len(x)))
    prior = default_prior(x, COMPONENTS)
    mine = slice(rank * len(x) // size, (rank + 1) * len(x) // size)
    chunks = FeatureChunks(prior.family, centred(x[mine], prior))
    resp = torch.nn.functional.one_hot(labels[mine], COMPONENTS).double()
    begin = update(prior, collect(chunks, resp))
    stamps = list[float]()
    result = fit_batch(
        chunks,
        begin,
        tol=0,
        max_iter=UPDATES,
        on_iteration=lambda i, bound: stamps.append(perf_counter()),
    )
    if rank == 0:
        seconds = float(np.median(np.diff(stamps)))
        np.save(Path(folder) / f"of{size}.npy", [seconds, result.bounds[-1].total])
    if size > 1:
        dist.destroy_process_group()


def case(rows: int, dim: int) -> Case:
    """One process, then two, then one again, as speed may drift."""
    times, bounds = list[float](), list[float]()
    for size in (1, 2, 1):
        with tempfile.TemporaryDirectory() as folder:
            arguments = (size, rows, dim, folder)
            torch.multiprocessing.spawn(work, arguments, nprocs=size)
            seconds, bound = np.load(Path(folder) / f"of{size}.npy").tolist()
        times.append(seconds)
        bounds.append(bound)
    alone = (times[0] + times[2]) / 2
    return {
        "N": rows,
        "D": dim,
        "cores": os.cpu_count(),
        "one_process_seconds": [rounded(times[0]), rounded(times[2])],
        "two_processes_seconds": rounded(times[1]),
        "speed_up": rounded(alone / times[1]),
        "bound_difference_relative": abs(bounds[1] - bounds[0]) / abs(bounds[0]),
    }


def run(file: Path) -> None:
    """The cases that the record lacks."""
    cases = {name: lambda shape=shape: case(*shape) for name, shape in SHAPES.items()}
    run_missing(file, "ranks", SETTINGS, cases)


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table."""
    lines = [
        "| case | N | one process, s an update | two, s | times as fast "
        "| bounds differ by, relative |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, c in cases.items():
        first, again = c["one_process_seconds"]
        lines.append(
            f"| {name} | {c['N']} | {first}, {again} | {c['two_processes_seconds']} "
            f"| {c['speed_up']:.2f} | {c['bound_difference_relative']:.1e} |"
        )
    return lines
