"""How commands answer: text or JSON on standard output, one line for an error, an exit code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

GOES_ON = "stopped; the same command goes on from the last finished epoch"
UNEXPECTED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
BAD_INPUT = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,  # of an extra
)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else, for machines.")
]


@contextmanager
def answering(when_stopped: str = "stopped; nothing was written") -> Iterator[None]:
    """Run a command: what it raises becomes one line on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        fail(when_stopped, INTERRUPTED)
    except BAD_INPUT as error:
        fail(str(error))
    except (OSError, MemoryError) as error:  # a full disk, for one
        fail(str(error) or "out of memory", UNEXPECTED)


def fail(message: str, code: int = USAGE_ERROR) -> NoReturn:
    """Say what is wrong, once, and stop."""
    Console(stderr=True).print(f"dimix: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code) from None


def console_for(as_json: bool) -> Console:
    """Where people are told what happens: nowhere, if a machine reads."""
    return Console(quiet=as_json, highlight=False)


def tell(console: Console, text: str) -> None:
    """One line as it is, however narrow the terminal."""
    console.print(text, markup=False, soft_wrap=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """The answer for machines."""
    typer.echo(json.dumps(answer, indent=1, sort_keys=True, allow_nan=False))
