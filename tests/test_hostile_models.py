"""A folder that is not what was saved gives one error that names the file, and runs nothing."""

import builtins
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as parse

import dimix
from dimix.mixture.estimator.fitted import OF_ANOTHER
from dimix.mixture.estimator.folder import read_folder, write_folder
from saved_models import KEPT, MODELS, rows
from tampering import refused, set_entry, tamper

X = rows()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with every optional part."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    mixture = MODELS["hierarchy"]()
    of_fit = {name: vars(mixture)[name] for name in (*OF_ANOTHER, "component_labels_")}
    with pytest.warns(UserWarning, match="begins a stream"):
        mixture.partial_fit(X)
    vars(mixture).update(of_fit | {"n_iter_": mixture.n_iter_})
    mixture.save(folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def test_the_spoiled_copy_is_sound_before(model: Path) -> None:
    tamper(model, lambda *_: None)
    assert dimix.load(model).hierarchy_.linkage.shape[1] == 4


def test_a_parameter_that_is_newer_than_the_file_takes_its_default(model: Path) -> None:
    tamper(model, lambda config, *_: config["parameters"].pop("moves"))
    assert dimix.load(model).moves is True


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "mixture.safetensors"])
def test_a_flipped_bit_is_found(name: str, model: Path) -> None:
    content = (model / name).read_bytes()
    config = (model / "config.json").read_bytes()
    for at in range(0, len(content), max(1, len(content) // 150)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        if name == "config.json" and same_json(bytes(flipped), config):
            continue  # white space
        (model / name).write_bytes(flipped)
        assert name in refused(model)


def same_json(content: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(content) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "mixture.safetensors"])
def test_a_truncated_missing_or_linked_file(name: str, model: Path, tmp_path: Path) -> None:
    content = (model / name).read_bytes()
    for length in (0, 1, 9, len(content) // 2, len(content) - 2):
        (model / name).write_bytes(content[:length])
        assert name in refused(model)
    (model / name).unlink()
    assert f"{name}: missing" in refused(model)
    (tmp_path / "elsewhere").write_bytes(content)
    (model / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name}: must be a plain file" in refused(model)
    (model / name).unlink()
    os.mkfifo(model / name)
    assert f"{name}: must be a plain file" in refused(model)


def header(entries: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + data


HUGE = {"dtype": "F64", "shape": [2**40, 2**10], "data_offsets": [0, 8]}
NOT_TENSORS = {
    "no header": b"",
    "endless header": (2**62).to_bytes(8, "little"),
    "huge shape": header({"sticks.a": HUGE}, b"\0" * 8),
    "overflowing shape": header({"sticks.a": {**HUGE, "shape": [2**63, 2**63]}}, b"\0" * 8),
    "offsets outside": header({"sticks.a": {**HUGE, "shape": [1], "data_offsets": [9, 17]}}),
    "unknown type": header({"sticks.a": {**HUGE, "dtype": "PICKLE"}}, b"\0" * 8),
    "a pickle": b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x08builtins\x8c\x04exec\x93.",
}


@pytest.mark.parametrize("content", NOT_TENSORS.values(), ids=NOT_TENSORS.keys())
def test_a_file_that_holds_no_tensors(
    content: bytes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimix.mixture.estimator.folder._check_sum", lambda *_: None)
    (model / "mixture.safetensors").write_bytes(content)
    assert "mixture.safetensors: not a safetensors file" in refused(model)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"format": NaN}',
        "[" * 100_000,
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_config_that_is_no_object(text: str | bytes, model: Path) -> None:
    (model / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "config.json" in refused(model)


def test_a_config_nested_without_end(model: Path) -> None:
    for depth in range(850, 1000, 5):
        nested = "[" * depth + "]" * depth
        config = json.loads((model / "config.json").read_text())
        text = json.dumps({**config, "parameters": "HERE"}).replace('"HERE"', nested)
        (model / "config.json").write_text(text)
        assert "config.json" in refused(model)
        (model / "config.json").write_text(json.dumps(config))


CONFIGS: dict[str, tuple[str, Any, str]] = {
    "format": ("format", "other", "'format' must be 'dimix', got 'other'"),
    "version": ("version", 2, "'version' must be 1"),
    "version true": ("version", True, "'version' must be 1"),
    "class": ("class", "os.system", "'class' must be one of 'DirichletProcessGaussianMixture'"),
    "class list": ("class", ["VAE"], "'class' must be one of"),
    "no parameters": ("parameters", None, "'parameters' must be"),
    "parameter": ("parameters.n_components", "5", "'parameters.n_components' must be int"),
    "true": ("parameters.max_iter", True, "'parameters.max_iter' must be int"),
    "infinite": ("parameters.tol", 10**400, "'parameters.tol' must be float"),
    "range": ("parameters.tol", -1, "tol must be a finite number >= 0"),
    "pair": ("parameters.weight_concentration_prior", [1, 2, 3], "must be"),
    "move": ("parameters.moves", ["jump"], "moves must be"),
    "stranger": ("parameters.path", "/etc/passwd", "'parameters.path' is no parameter"),
    "family": ("fitted.family", "circular", "'fitted.family' must be one of"),
    "other family": ("fitted.family", "diag", "must be float64 of shape (1, 2)"),
    "dtype": ("fitted.dtype", "float16", "'fitted.dtype' must be one of"),
    "size": ("fitted.n_components", 10**15, "'sticks.a' must be float64 of shape"),
    "size 0": ("fitted.n_components", 0, "'fitted.n_components' must be >= 1"),
    "features": ("fitted.n_features", 3, "'prior.centre' must be float64 of shape (3,)"),
    "ridge": ("fitted.reg_covar", -1e-6, "'fitted.reg_covar' must be >= 0"),
    "used": ("fitted.n_used", 6, "'fitted.n_used' must be >= 1 and <= 5"),
    "clusters": ("fitted.n_clusters", -1, "'fitted.n_clusters' must be >= 0"),
    "names": ("fitted.feature_names", ["one"], "'fitted.feature_names' must have length 2"),
    "hierarchy": ("fitted.hierarchy", 1, "'fitted.hierarchy' must be bool"),
    "no hierarchy": ("fitted.hierarchy", False, "is not expected here"),
    "no stream": ("fitted.stream", None, "'stream.statistics' is not expected here"),
    "step": ("fitted.stream.step", -1, "'fitted.stream.step' must be >= 0"),
}


@pytest.mark.parametrize(("entry", "value", "message"), CONFIGS.values(), ids=CONFIGS.keys())
def test_a_config_that_says_what_cannot_be(
    entry: str, value: Any, message: str, model: Path
) -> None:
    tamper(model, lambda config, *_: set_entry(config, entry, value))
    assert message in refused(model)


@pytest.mark.parametrize(
    "entry", ["fitted", "fitted.family", "fitted.n_used", "class", "parameters"]
)
def test_a_config_that_lacks_an_entry(entry: str, model: Path) -> None:
    def change(config: dict[str, Any], *_: Any) -> None:
        *above, name = entry.split(".")
        del (config[above[0]] if above else config)[name]

    tamper(model, change)
    assert entry in refused(model)


NAMES = sorted(parse((KEPT / "hierarchy-1" / "mixture.safetensors").read_bytes()))
SPOILS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "another row": lambda t: torch.cat([t, t[-1:]]) if len(t) else t.new_ones(7, *t.shape[1:]),
    "another axis": lambda t: t[..., None],
    "another type": lambda t: t.to(torch.float32),
    "half": lambda t: t.to(torch.bfloat16),
    "not finite": lambda t: t.double() * torch.nan,
}
NAMES.append("stream.statistics")
OPTIONAL = ("lower_bounds", "parameters.mean_prior", "parameters.covariance_prior")


@pytest.mark.parametrize(
    ("name", "how"),
    # How many bounds there are nothing else says.
    [each for each in product(NAMES, SPOILS) if each != ("lower_bounds", "another row")],
)
def test_a_tensor_of_another_kind(name: str, how: str, model: Path) -> None:
    tamper(model, lambda _, __, tensors: tensors.update({name: SPOILS[how](tensors[name])}))
    assert "mixture.safetensors" in refused(model)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(OPTIONAL)))
def test_a_tensor_that_is_missing(name: str, model: Path) -> None:
    tamper(model, lambda _, __, tensors: tensors.pop(name))
    assert f"'{name}' is missing" in refused(model)


def test_a_tensor_that_is_not_expected(model: Path) -> None:
    tamper(model, lambda _, __, tensors: tensors.update(weights=torch.ones(1)))
    assert "'weights' is not expected here" in refused(model)


RANGES = {
    "prior.concentration": (0, 0.0, "must be > 0"),
    "prior.mean_precision": (0, 0.0, "must be > 0"),
    "prior.degrees_of_freedom": (0, 1.0, "must be > 1"),
    "prior.scatter": ((0, 0, 0), -1.0, "must be symmetric and positive definite"),
    "sticks.a": (0, 0.5, "must be >= 1"),
    "sticks.b": (1, 0.0, "must be > 0"),
    "sticks.concentration": (1, -1.0, "must be > 0"),
    "components.mean_precision": (2, -3.0, "must be > 0"),
    "components.degrees_of_freedom": (2, 1.0, "must be > 1"),
    "components.scatter": ((1, 0, 1), 9.0, "must be symmetric and positive definite"),
    "component_labels": (0, 5, "must be < 5"),
    "hierarchy.leaves": (0, 5, "must be different components below 5"),
    "hierarchy.counts": (0, 0.0, "must be > 0"),
    "hierarchy.merges": ((0, 0), 4, "must join two earlier nodes"),
    "hierarchy.heights": (0, 99.0, "must never fall"),
    "stream.statistics": ((0, 0), -1.0, "must have counts >= 0"),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_number_out_of_range(name: str, model: Path) -> None:
    at, value, message = RANGES[name]

    def change(_: Any, __: Any, tensors: dict[str, torch.Tensor]) -> None:
        tensors[name][at] = value

    tamper(model, change)
    said = refused(model)
    assert f"'{name}' {message}" in said


def test_statistics_of_no_data(model: Path) -> None:
    def change(_: Any, __: Any, tensors: dict[str, torch.Tensor]) -> None:
        tensors["stream.statistics"][:, 3:] = -1e9

    tamper(model, change)
    assert "'stream.statistics' must be symmetric and positive definite" in refused(model)


@pytest.mark.parametrize(
    ("entry", "value"), [("moves", [{"kind": "merge"}]), ("moves", {}), ("n_iter", "many")]
)
def test_a_history_that_cannot_be(entry: str, value: Any, model: Path) -> None:
    tamper(model, lambda _, metadata, __: metadata["history"].update({entry: value}))
    assert f"metadata.json: 'history.{entry}" in refused(model)


def test_weights_of_a_network_are_no_part_of_a_mixture(model: Path) -> None:
    saved = read_folder(model)
    shutil.rmtree(model)
    tensors = {**saved.tensors, "weights.safetensors": {"layer": torch.ones(1)}}
    config = {name: value for name, value in saved.config.items() if name != "sha256"}
    write_folder(replace(saved, config=config, tensors=tensors), overwrite=False, check=str)
    assert "no other tensors" in refused(model)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "other.safetensors"])
def test_files_outside_the_folder_are_not_looked_at(name: str, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["sha256"][name] = config["sha256"].pop("mixture.safetensors")
    (model / "config.json").write_text(json.dumps(config))
    assert "config.json: 'sha256' must hold the checksum of each file" in refused(model)


def test_no_folder_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        dimix.load(tmp_path / "nowhere")
    assert "config.json: missing" in refused(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a saved model is a folder"):
        dimix.load(tmp_path / "file")


def test_nothing_that_is_loaded_is_unpickled(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a saved model is executed")

    for module, name in (
        (pickle, "loads"),
        (pickle, "load"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, never)
    for name in ("exec", "eval"):
        monkeypatch.setattr(builtins, name, never)
    assert dimix.load(model).n_components == 5
