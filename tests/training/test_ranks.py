"""Two processes that share every minibatch train the model that one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rank_script

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_networks")]
SCRIPT = str(Path(rank_script.__file__))
TOLERANCE = 1e-3
"""Of latents and bounds: sums over ranks are rounded otherwise, and training amplifies it."""


def torchrun(what: str, folder: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    subprocess.run(
        [*command, "--nproc-per-node", "2", SCRIPT, what, str(folder)],
        check=True,
        timeout=800,
    )


def test_two_processes_give_the_model_of_one(tmp_path: Path) -> None:
    torchrun("compare", tmp_path)
    first, second = (np.load(tmp_path / f"{rank}.npz") for rank in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name, expected in rank_script.fits(1).items():
        np.testing.assert_allclose(
            first[name], expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
        )
    assert len(first["moves moves"]) > 0
    np.testing.assert_allclose(first["resumed"], first["whole"], atol=TOLERANCE)
    assert (tmp_path / "vae" / "curves.csv").read_text().count("\n") == 4  # a header, three epochs


def test_what_is_wrong_on_one_rank_is_an_error_on_both(tmp_path: Path) -> None:
    torchrun("refuse", tmp_path)
    said = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert said["shards0"] == said["shards1"]
    assert said["shards0"].startswith("ValueError: X (its checksum is compared) must be the same")
    assert said["bad0"].startswith("RuntimeError: rank 1 of 2 failed with ValueError: X must hold")
    assert said["bad1"].startswith("ValueError: X must hold finite numbers alone; found NaN")
    assert said["few0"] == said["few1"]
    assert said["few0"].startswith("ValueError: batch_size must be at least 2, the number of")


def test_a_process_that_dies_ends_the_other_with_an_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "by hand",  # what tells Lightning that processes are there
    }
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, "die", str(tmp_path)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=400)[1] for process in processes]
    assert processes[1].returncode == 3
    assert processes[0].returncode == 1
    assert "RuntimeError" in errors[0]


def test_a_script_is_started_again_where_nobody_else_does(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "launch", str(tmp_path)], check=True, timeout=400)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    np.testing.assert_array_equal(first, second)
