"""Rows on disk: seconds a row and peak memory from ten thousand to ten million rows.

Each N has a process of its own, which maps a .npy file and makes a fixed number of memoized
passes over it from the same start. The time of a pass is that of the passes after the first;
short ones are repeated. Memory is the highest that the process ever held less what it held once
everything was imported.
"""

import subprocess
import sys
import tempfile
from functools import partial
from json import dumps, loads
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter

import numpy as np
import torch
from benchmarks.mixture.iteration import max_threads
from benchmarks.mixture.models import centred, default_prior
from benchmarks.record import ROOT, Case, rounded, run_missing

from dimix.mixture import MixturePosterior, blocks_of, fit_memoized, update

DIM, COMPONENTS, PASSES, REPEAT_ROWS = 16, 50, 3, 2_000_000
SIZES = (10_000, 31_623, 100_000, 316_228, 1_000_000, 3_162_278, 10_000_000)
SETTINGS = {"D": DIM, "T": COMPONENTS, "passes": PASSES, "file": ".npy, float32"}


def write_rows(file: Path, n: int) -> None:
    """Rows of twenty Gaussians, block after block."""
    rng = np.random.RandomState(0)
    means = 3 * rng.normal(size=(20, DIM)).astype(np.float32)
    rows = np.lib.format.open_memmap(file, "w+", np.float32, (n, DIM))
    for start in range(0, n, 100_000):
        block = rows[start : start + 100_000]
        noise = rng.standard_normal(block.shape).astype(np.float32)
        block[:] = means[rng.randint(20, size=len(block))] + noise
    rows.flush()


def start(sample: np.ndarray) -> MixturePosterior:
    """A posterior of T components around rows of a sample."""
    prior = default_prior(sample, COMPONENTS)
    phi = prior.family.features(centred(sample[:COMPONENTS].astype(np.float64), prior))
    return update(prior, phi)


def measure(file: Path) -> Case:
    """What the process of one N reports."""
    torch.set_num_threads(max_threads())
    imported = peak_mb()
    times, n = list[float](), len(np.load(file, mmap_mode="r"))
    begin = start(np.array(np.load(file, mmap_mode="r")[:10_000]))
    for _ in range(max(1, REPEAT_ROWS // n)):
        times += pass_seconds(file, begin)
    return {
        "N": n,
        "threads": torch.get_num_threads(),
        "passes_timed": len(times),
        "pass_seconds": rounded(median(times)),
        "microseconds_a_row": rounded(1e6 * median(times) / n),
        "peak_mb": rounded(peak_mb() - imported),
    }


def pass_seconds(file: Path, begin: MixturePosterior) -> list[float]:
    """The times of the passes after the first."""
    stamps = list[float]()
    fit_memoized(
        blocks_of(file),
        begin,
        tol=0,
        max_iter=PASSES,
        on_iteration=lambda i, bound: stamps.append(perf_counter()),
    )
    # The statistics of update 1 are those of the first pass: nothing is read between the two.
    return [float(seconds) for seconds in np.diff(stamps[1:])]


def peak_mb() -> float:
    """The most memory this program ever held; what the one that started it held does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(lines["VmHWM"].split()[0]) / 1024
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


def case(n: int) -> Case:
    """Write the file, measure in a fresh process, delete it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        write_rows(file, n)
        command = [sys.executable, "-m", "benchmarks.mixture.scaling", str(file)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    result: Case = loads(done.stdout)
    return result


def run(file: Path) -> None:
    """The cases that the record lacks."""
    run_missing(file, "scaling", SETTINGS, {f"N={n:,}": partial(case, n) for n in SIZES})


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table, with the distance from the straight line through all."""
    sizes = np.array([c["N"] for c in cases.values()])
    times = np.array([c["pass_seconds"] for c in cases.values()])
    # Relative residuals: every N says as much as any other.
    design = np.column_stack([np.ones(len(sizes)), sizes]) / times[:, None]
    fixed, each = np.linalg.lstsq(design, np.ones(len(sizes)), rcond=None)[0]
    lines = [
        f"Line through all: {fixed:.2g} s + {1e6 * each:.3g} µs a row.",
        "",
        "| N | a pass, s | µs a row | off the line | peak above the imports', MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for c in cases.values():
        off = c["pass_seconds"] / (fixed + each * c["N"]) - 1
        lines.append(
            f"| {c['N']:,} | {c['pass_seconds']} | {c['microseconds_a_row']} | {off:+.1%} "
            f"| {c['peak_mb']:.0f} |"
        )
    return lines


if __name__ == "__main__":
    print(dumps(measure(Path(sys.argv[1]))))
