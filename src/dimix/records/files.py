"""Files that appear under their name whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under its name whole or not at all; text is UTF-8."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with beside.open(mode, encoding=None if "b" in mode else "utf-8") as out:
            yield out
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
