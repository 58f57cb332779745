"""What a cell costs: seconds and peak memory."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost:
    """Seconds and peak resident memory, filled in when `measured` ends."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block's time and, where Linux lets the high-water mark be reset, its own peak."""
    _reset_peak()
    cost, started = Cost(), time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - started
    cost.peak_memory_mb = _peak_mb()


def _reset_peak() -> None:
    with suppress(OSError):  # not Linux: the peak is then the process's so far
        _RESET.write_text("5")


def _peak_mb() -> float:
    if _STATUS.exists():
        line = next(s for s in _STATUS.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
