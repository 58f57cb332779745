"""The command line called as a shell would, and a process of it that a test may kill."""

import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from dimix.cli import app
from narrow import narrow

TINY = ("--epochs", "1", "--set", "pretrain_epochs=1", "--n-components", "4", "--latent-dim", "2")
"""The smallest fit of the deep infinite mixture."""


def call(*arguments: object) -> tuple[int, str]:
    """Exit code and all output, on one line; an error that no command expects is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


def answer(*arguments: object) -> Any:
    """What a command that must succeed prints with --json, on standard output alone."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if result.exit_code:
        raise result.exception or AssertionError
    return json.loads(result.stdout)


def run_tiny(*arguments: object) -> None:
    """In a process of its own: a command on networks so narrow that they train in a moment.

    One thread: with two, a busy machine rounds now one way, now another.
    """
    torch.set_num_threads(1)
    narrow(pytest.MonkeyPatch())
    app([str(a) for a in arguments])
