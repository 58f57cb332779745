"""The record: one JSON file, to which each finished case is added at once and whole.

    {"iteration": {"machine": {…}, "settings": {…}, "cases": {"D=10": {…}, …}}, "bounds": …}

A case that is there is not run again. Its settings must then be those of now, or the part says
that it has to be deleted from the record first.
"""

import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dimix.experiments.cells import versions
from dimix.records import atomic_write

Case = dict[str, Any]
ROOT = Path(__file__).parents[1]
"""Where `python -m benchmarks.NAME` runs."""


def machine() -> dict[str, str]:
    """Processor, cores and versions; nothing that names the machine."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":", 1)[1].strip() if names else model
    rest = {name: value for name, value in versions().items() if name != "threads"}
    return {"cpu": model, "cores": str(os.cpu_count()), **rest}


def read(file: Path) -> dict[str, Any]:
    """The record as it stands."""
    return json.loads(file.read_text()) if file.exists() else {}


def run_missing(
    file: Path, part: str, settings: Mapping[str, Any], cases: Mapping[str, Callable[[], Case]]
) -> None:
    """Run the cases of a part that the record lacks, each written as soon as it is done."""
    found = read(file).get(part, {})
    if found and found["settings"] != settings:
        raise SystemExit(
            f"{part}: {file} was made with other settings: delete that part there to run it again"
        )
    for name, case in cases.items():
        if name in found.get("cases", {}):
            continue
        result = case()
        print(f"{part}: {name}: {_short(result)}", flush=True)
        with _only_writer(file):
            record = read(file)
            entry = record.setdefault(part, {"machine": machine(), "settings": settings})
            entry.setdefault("cases", {})[name] = result
            with atomic_write(file) as out:
                json.dump(record, out, indent=1, ensure_ascii=False)
                out.write("\n")


@contextmanager
def _only_writer(file: Path) -> Iterator[None]:
    """Hold the folder's lock, so that parts may run side by side."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _short(case: Case) -> str:
    return "  ".join(f"{k} {v}" for k, v in case.items() if not isinstance(v, list | dict))


def rounded(value: float, digits: int = 4) -> float:
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")
