"""A real process, stopped by Ctrl-C and by kill -9 in the middle of a training, and resumed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dimix.records import read_curves, read_record

EPOCHS = 60
# A shell starts what runs in its background with Ctrl-C ignored, and that is inherited.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
DIMIX = [sys.executable, "-c", f"{HEAR_CTRL_C}; from dimix.cli import app; app()"]
GRID = ["reproduce", "--dataset", "digits", "--latent-dim", "2", "--epochs", str(EPOCHS)]
CELL, NETWORK = "cells/z2-seed0/vae", "networks/z2-seed0/vae"


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DIMIX, *GRID, "--row", "vae", "--out", str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs_done(out: Path) -> int:
    file = out / NETWORK / "curves.csv"
    return len(read_curves(file)["epoch"]) if file.exists() else 0


def stop_after(out: Path, epochs: int, number: signal.Signals) -> tuple[int, str]:
    process = start(out)
    while epochs_done(out) < epochs and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


@pytest.mark.slow
def test_ctrl_c_then_kill_then_the_record_of_an_uninterrupted_run(tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    code, output = stop_after(broken, 3, signal.SIGINT)
    assert code == 130, output
    assert "the same command goes on" in output
    assert "Traceback" not in output
    for epochs in (10, 25, 40):
        code, _ = stop_after(broken, epochs, signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert not (broken / CELL / "record.json").exists()
    for out in (broken, whole):
        process = start(out)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    resumed, expected = (read_record(out / CELL / "record.json") for out in (broken, whole))
    assert resumed.same_result(expected)
    assert epochs_done(broken) == EPOCHS
