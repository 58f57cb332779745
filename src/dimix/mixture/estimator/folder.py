"""A saved model's folder: whole or absent, and checked to the byte before any of it is used.

    config.json          format, version, class, what to build, and the SHA-256 of every file
    NAME.safetensors     arrays
    metadata.json        where the model comes from: versions, data summary, history

The names of the files are fixed here, so that nothing in a folder can point outside of it, and
JSON and safetensors are all that is read: loading executes nothing.
"""

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

FORMAT, VERSION = "dimix", 1
CONFIG, METADATA = "config.json", "metadata.json"
MIXTURE, WEIGHTS = "mixture.safetensors", "weights.safetensors"
FILES = (CONFIG, METADATA, MIXTURE, WEIGHTS)
MOST_JSON = 2**26
"""Bytes from which a JSON file is not read: no model comes near."""

Json = Mapping[str, Any]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds; ``tensors`` is keyed by file. Everything in it is still a claim."""

    path: Path
    config: Json
    metadata: Json
    tensors: Mapping[str, Tensors]

    def check_files(self, *names: str) -> None:
        """Raise unless the files of tensors are these."""
        if set(self.tensors) != set(names):
            wanted = " and ".join(names)
            raise ValueError(
                f"{self.path / CONFIG}: 'sha256' must name {wanted} and no other tensors"
            )


def write_folder(model: SavedModel, overwrite: bool, check: Callable[[Path], object]) -> None:
    """Write ``model.path``, beside it first, so that it appears whole or not at all.

    ``check`` loads the folder before it takes its place: what cannot be loaded is not saved.

    Raises:
        FileExistsError: the path exists, and is not a saved model or is not to be overwritten.
    """
    folder = model.path.resolve()
    _check_place(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        _write_files(model, beside)
        check(beside)
        _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_config(folder: Path) -> Json:
    """The config of a saved model in a format that this version reads; not yet its checksum.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is not a saved model, or one of another version of the format.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ValueError(f"{folder}: a saved model is a folder, this is a file")
    config = _parsed(folder / CONFIG, _bytes_of(folder / CONFIG))
    if config.get("format") != FORMAT:
        raise ValueError(
            f"{folder / CONFIG}: not a saved model: 'format' must be {FORMAT!r}, "
            f"got {short(config.get('format'))}"
        )
    version = config.get("version")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"{folder / CONFIG}: 'version' must be {VERSION}, the format that this dimix reads, "
            f"got {short(version)}"
        )
    return config


def read_folder(folder: Path) -> SavedModel:
    """Every file of a saved model, each of them the one that was written."""
    config = read_config(folder)
    sums = config.get("sha256")
    if not isinstance(sums, dict) or not set(sums) <= set(FILES) or METADATA not in sums:
        raise ValueError(f"{folder / CONFIG}: 'sha256' must hold the checksum of each file")
    _check_sum(folder / CONFIG, _canonical(config), sums.get(CONFIG))
    contents = {name: _bytes_of(folder / name) for name in sums if name != CONFIG}
    for name, content in contents.items():
        _check_sum(folder / name, content, sums[name])
    metadata = _parsed(folder / METADATA, contents.pop(METADATA))
    tensors = {name: _tensors(folder / name, content) for name, content in contents.items()}
    return SavedModel(folder, config, metadata, tensors)


def _write_files(model: SavedModel, folder: Path) -> None:
    folder.mkdir()
    contents = {name: safetensors.save(dict(held)) for name, held in model.tensors.items()}
    contents[METADATA] = _text(model.metadata)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    config = {"format": FORMAT, "version": VERSION, **model.config, "sha256": sums}
    sums[CONFIG] = hashlib.sha256(_canonical(config)).hexdigest()
    for name, content in {**contents, CONFIG: _text(config)}.items():
        with (folder / name).open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())


def _put(beside: Path, folder: Path) -> None:
    """Give a folder its name; the one that had it goes only once the new one is in place."""
    if not folder.exists():
        beside.rename(folder)
        return
    aside = beside.with_suffix(".old")
    folder.rename(aside)
    try:
        beside.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)


def _check_place(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    try:
        is_model = read_config(folder) is not None
        strangers = sorted({entry.name for entry in folder.iterdir()} - set(FILES))
    except ValueError as error:
        raise FileExistsError(f"{folder} exists and is not a saved model: {error}") from None
    if is_model and strangers:
        raise FileExistsError(f"{folder} holds more than a saved model: {', '.join(strangers)}")
    if not overwrite:
        raise FileExistsError(f"{folder} is a saved model; overwrite=True replaces it")


def _bytes_of(file: Path) -> bytes:
    """The content of a plain file; a link could lead out of the folder."""
    try:
        about = file.lstat()
    except FileNotFoundError:
        raise ValueError(f"{file}: missing, so that {file.parent} is no saved model") from None
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{file}: must be a plain file, not a link, folder or device")
    if file.suffix == ".json" and about.st_size > MOST_JSON:
        raise ValueError(f"{file}: {about.st_size} bytes, more than the {MOST_JSON} allowed")
    return file.read_bytes()


def _parsed(file: Path, content: bytes) -> Json:
    try:
        value = json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file}: must hold a JSON object, got {type(value).__name__}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _tensors(file: Path, content: bytes) -> Tensors:
    try:
        loaded = safetensors.load(content)
    # A type that PyTorch does not have is a KeyError there, a shape beyond 2⁶³ an OverflowError.
    except (SafetensorError, ValueError, KeyError, OverflowError, RuntimeError) as error:
        raise ValueError(f"{file}: not a safetensors file: {error}") from None
    # Copies lie where PyTorch's own tensors would: products round the same at any address.
    return {name: tensor.clone() for name, tensor in loaded.items()}


def _check_sum(file: Path, content: bytes, wanted: object) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise ValueError(
            f"{file}: damaged or changed since it was saved: its SHA-256 is {short(found)}, "
            f"{CONFIG} says {short(wanted)}"
        )


def _canonical(config: Json) -> bytes:
    """The config as its own checksum sees it: without that checksum, in one spelling."""
    sums = {name: value for name, value in config["sha256"].items() if name != CONFIG}
    return json.dumps({**config, "sha256": sums}, sort_keys=True).encode()


def _text(value: Json) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
