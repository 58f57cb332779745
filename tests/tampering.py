"""Saved models spoiled on purpose, under right checksums where somebody means it."""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import dimix
from dimix.mixture.estimator.folder import MIXTURE, SavedModel, read_folder, write_folder

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, torch.Tensor]], Any]


def tamper(folder: Path, change: Change, file: str = MIXTURE) -> None:
    """Change the config, the metadata and the tensors of one file, under right checksums."""
    saved = read_folder(folder)
    config, metadata = (json.loads(json.dumps(part)) for part in (saved.config, saved.metadata))
    tensors = {name: dict(held) for name, held in saved.tensors.items()}
    change(config, metadata, tensors[file])
    config.pop("sha256")
    shutil.rmtree(folder)
    write_folder(SavedModel(folder, config, metadata, tensors), overwrite=False, check=str)


def refused(folder: Path) -> str:
    """The one error that loading gives."""
    with pytest.raises(ValueError, match=str(folder)) as error:
        dimix.load(folder)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def set_entry(section: dict[str, Any], entry: str, value: Any) -> None:
    """Set an entry of nested objects, named by a path with dots."""
    *above, name = entry.split(".")
    for part in above:
        section = section[part]
    section[name] = value


class Bomb:
    """What leaves a file behind if it is ever unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def plant(folder: Path, name: str, content: bytes) -> None:
    """Put a file into a saved model with the checksum that belongs to it."""
    (folder / name).write_bytes(content)
    if name == "config.json":
        return
    config = json.loads((folder / "config.json").read_text())
    config["sha256"][name] = hashlib.sha256(content).hexdigest()
    others = {key: value for key, value in config["sha256"].items() if key != "config.json"}
    canonical = json.dumps({**config, "sha256": others}, sort_keys=True).encode()
    config["sha256"]["config.json"] = hashlib.sha256(canonical).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


def bombs(trace: Path, tmp_path: Path) -> dict[str, bytes]:
    """A hostile pickle as it is, and as PyTorch saves it."""
    torch.save({"state_dict": Bomb(trace)}, tmp_path / "bomb")
    return {
        "pickle": pickle.dumps(Bomb(trace), protocol=2),
        "torch": (tmp_path / "bomb").read_bytes(),
    }
