"""Files that appear under their name whole or not at all, and JSON read from them."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under its name whole or not at all; text is UTF-8."""
    encoding = None if "b" in mode else "utf-8"
    with appearing(file) as beside, beside.open(mode, encoding=encoding) as out:
        yield out


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from None


@contextmanager
def appearing(file: Path) -> Iterator[Path]:
    """Where to write a file that appears under its name once the block has ended well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
