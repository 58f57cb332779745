"""A real process of `dimix fit`, killed at random moments: always resumable or complete."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dimix
from cli_calls import TINY, answer, call, run_tiny

KILLS = 50
FORKS = multiprocessing.get_context("forkserver")
MODULES = ["cli_calls", "dimix.estimators", "dimix.summary", "dimix.metrics", "dimix.data"]
# A shell starts what runs in its background with Ctrl-C ignored, and that is inherited.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
RUN = f"{HEAR_CTRL_C}; import sys; from cli_calls import run_tiny; run_tiny(*sys.argv[1:])"


def fit(images: Path, out: Path) -> list[str]:
    return ["fit", str(images), "--out", str(out), *TINY, "--json"]


def same_model(one: Path, other: Path) -> bool:
    files = [f"model/{name}.safetensors" for name in ("weights", "mixture")]
    return all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


def run_whole(*arguments: str) -> float:
    """A command that is left alone: how many seconds it took."""
    began = time.monotonic()
    process = FORKS.Process(target=run_tiny, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def was_killed(seconds: float, *arguments: str) -> bool:
    """Whether a command was killed after so long; else it had ended before."""
    process = FORKS.Process(target=run_tiny, args=arguments)
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_leave_what_can_be_resumed_or_is_complete(images: Path, tmp_path: Path) -> None:
    FORKS.set_forkserver_preload(MODULES)
    out, whole = tmp_path / "fit", tmp_path / "whole"
    run_whole("--help")  # imports, once for all
    takes = run_whole(*fit(images, whole))
    rng, kills = random.Random(0), 0
    while kills < KILLS:
        kills += was_killed(rng.uniform(0, takes), *fit(images, out))
        if not (out / "fit.json").exists():
            continue
        if (out / "model").exists():
            assert np.isfinite(dimix.load(out / "model").score(np.load(images)))
        if answer("info", out)["state"] == "complete":
            assert same_model(out, whole)
            shutil.rmtree(out)
    run_whole(*fit(images, out))
    assert answer("info", out)["state"] == "complete"
    assert same_model(out, whole)


def run_with_files_of_at_most(n_bytes: int, *arguments: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    run_tiny(*arguments)


@pytest.mark.slow
def test_files_that_cannot_be_written_leave_what_can_be_resumed(
    images: Path, tmp_path: Path
) -> None:
    """As on a full disk, the system refuses the bytes beyond a limit: the file is left out."""
    FORKS.set_forkserver_preload(MODULES)
    out, whole = tmp_path / "fit", tmp_path / "whole"
    run_whole(*fit(images, whole))
    sizes = sorted(file.stat().st_size for file in whole.rglob("*") if file.is_file())
    for size in sizes:
        process = FORKS.Process(
            target=run_with_files_of_at_most, args=(size - 1, *fit(images, out))
        )
        process.start()
        process.join()
        assert process.exitcode == 1
        assert not list(out.rglob("*.part"))
        if (out / "model").exists():
            assert same_model(out, whole)
    run_whole(*fit(images, out))
    assert answer("info", out)["state"] == "complete"
    assert same_model(out, whole)


@pytest.mark.slow
def test_ctrl_c_gives_130_and_says_how_to_go_on(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    long = ["fit", str(images), "--out", str(out), "--latent-dim", "2", "--epochs", "2000"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *long, "--model", "vae"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (out / "training" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "the same command goes on from the last finished epoch" in output
    assert "Traceback" not in output
    assert answer("info", out)["state"].startswith("in training, epoch ")
    code, output = call("predict", out, images, "--out", tmp_path / "p.csv")
    assert code == 2
    assert f"this fit has no model yet; `dimix resume {out}` goes on with it" in output
