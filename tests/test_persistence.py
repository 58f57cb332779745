"""A saved model comes back to the bit, or not at all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from safetensors.torch import load as parse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import dimix
from dimix.mixture import DirichletProcessGaussianMixture
from dimix.mixture.estimator.folder import SavedModel, read_folder, write_folder
from saved_models import KEPT, MODELS, rows

X = rows()
TYPES = ["full", "tied", "diag", "spherical"]
Change = Callable[[dict[str, Any], dict[str, Any], dict[str, torch.Tensor]], None]


def fitted(X: Any = X, n_components: int = 5, **options: Any) -> DirichletProcessGaussianMixture:
    return DirichletProcessGaussianMixture(n_components, random_state=0, **options).fit(X)


def round_trip(mixture: Any, folder: Path) -> DirichletProcessGaussianMixture:
    mixture.save(folder)
    loaded: DirichletProcessGaussianMixture = dimix.load(folder)
    return loaded


def assert_same(value: Any, other: Any) -> None:
    """Equal to the bit, dataclasses and what they hold included."""
    assert type(value) is type(other)
    if isinstance(value, torch.Tensor | np.ndarray):
        assert value.dtype == other.dtype
        assert value.shape == other.shape
        assert np.array_equal(np.asarray(value), np.asarray(other), equal_nan=value.dtype != object)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            assert_same(getattr(value, name), getattr(other, name))
    else:
        assert value == other


def assert_same_answers(mixture: Any, loaded: Any, X: Any) -> None:
    for ask in ("predict", "predict_proba", "score_samples"):
        assert_same(getattr(mixture, ask)(X), getattr(loaded, ask)(X))
    assert_same(mixture.sample(7)[0], loaded.sample(7)[0])
    assert set(vars(mixture)) == set(vars(loaded))
    for name in vars(mixture).keys() - {"covariance_prior", "mean_prior", "lower_bounds_"}:
        assert_same(getattr(mixture, name), getattr(loaded, name))


# --- what is saved comes back


@pytest.mark.parametrize("concentration", [0.5, (2.0, 1.0)])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_attribute_comes_back_to_the_bit(
    covariance_type: str, concentration: Any, tmp_path: Path
) -> None:
    mixture = fitted(
        covariance_type=covariance_type,
        weight_concentration_prior=concentration,
        coarsening="auto",
    )
    loaded = round_trip(mixture, tmp_path / "model")
    assert_same_answers(mixture, loaded, X)
    assert loaded.lower_bounds_ == mixture.lower_bounds_
    for k in range(1, len(mixture.hierarchy_.leaves) + 1):
        assert_same(
            mixture.cut(n_clusters=k).predict_proba(X), loaded.cut(n_clusters=k).predict_proba(X)
        )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_stream_goes_on_as_if_it_had_not_been_saved(covariance_type: str, tmp_path: Path) -> None:
    mixture = DirichletProcessGaussianMixture(4, covariance_type=covariance_type, random_state=0)
    mixture.partial_fit(X[:40])
    loaded = round_trip(mixture, tmp_path / "model")
    for part in (X[40:70], X[70:]):
        assert_same_answers(mixture.partial_fit(part), loaded.partial_fit(part), X)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_missing_values(covariance_type: str, tmp_path: Path) -> None:
    gaps = X.copy()
    gaps[::7, 0] = np.nan
    mixture = fitted(gaps, covariance_type=covariance_type, allow_missing=True, coarsening="auto")
    assert_same_answers(mixture, round_trip(mixture, tmp_path / "model"), gaps)


def test_float32_stays_float32(tmp_path: Path) -> None:
    mixture = fitted(X.astype(np.float32))
    loaded = round_trip(mixture, tmp_path / "model")
    assert loaded.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert_same_answers(mixture, loaded, X.astype(np.float32))


def test_column_names_come_back(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["width", "height"])
    mixture = fitted(frame)
    loaded = round_trip(mixture, tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["width", "height"]
    assert_same_answers(mixture, loaded, frame)


@pytest.mark.parametrize(("covariance_type", "shape"), [("full", (2, 2)), ("diag", (2,))])
def test_parameters_that_are_arrays(
    covariance_type: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    covariance = np.eye(2) if shape == (2, 2) else np.ones(2)
    mixture = fitted(
        mean_prior=[1.0, 2.0], covariance_prior=covariance, covariance_type=covariance_type
    )
    loaded = round_trip(mixture, tmp_path / "model")
    assert_same_answers(mixture, loaded, X)
    np.testing.assert_array_equal(loaded.mean_prior, [1.0, 2.0])
    np.testing.assert_array_equal(loaded.covariance_prior, covariance)
    assert_same(clone(loaded).fit(X).means_, mixture.means_)


def test_parameters_of_numpy_types(tmp_path: Path) -> None:
    mixture = fitted(covariance_type="spherical", covariance_prior=2)
    mixture.set_params(random_state=np.int64(3), tol=np.float64(1e-4))
    loaded = round_trip(mixture, tmp_path / "model")
    assert (loaded.covariance_prior, loaded.tol, loaded.random_state) == (2, 1e-4, 3)


def test_the_device_stays_behind(tmp_path: Path) -> None:
    mixture = fitted(device=torch.device("cpu"))
    assert round_trip(mixture, tmp_path / "model").device is None


@pytest.mark.parametrize("name", MODELS)
def test_a_model_saved_by_version_1_of_the_format_still_loads(name: str) -> None:
    loaded = dimix.load(KEPT / f"{name}-1")
    with np.load(KEPT / f"{name}-1.npz") as said:
        X = said["X"]
        np.testing.assert_allclose(loaded.predict_proba(X), said["probabilities"], atol=1e-10)
        np.testing.assert_allclose(loaded.score_samples(X), said["scores"], rtol=1e-10)
        np.testing.assert_allclose(loaded.sample(20)[0], said["samples"], rtol=1e-10)
    if name == "stream":
        assert loaded.partial_fit(X).n_iter_ == 4
    else:
        assert loaded.cut(n_clusters=2).n_clusters_ == 2


def test_a_parameter_that_is_newer_than_the_file_takes_its_default(tmp_path: Path) -> None:
    fitted(verbose_interval=3).save(tmp_path / "model")
    tamper(tmp_path / "model", lambda config, *_: config["parameters"].pop("verbose_interval"))
    assert dimix.load(tmp_path / "model").verbose_interval == 10


# --- where it is saved


def test_only_json_and_safetensors_are_written(tmp_path: Path) -> None:
    fitted().save(tmp_path / "above" / "model")
    assert [folder.name for folder in tmp_path.iterdir()] == ["above"]
    assert [folder.name for folder in (tmp_path / "above").iterdir()] == ["model"]
    names = sorted(file.name for file in (tmp_path / "above" / "model").iterdir())
    assert names == ["config.json", "metadata.json", "mixture.safetensors"]


def test_a_saved_model_is_replaced_only_if_asked_to(tmp_path: Path) -> None:
    fitted(n_components=3).save(tmp_path / "model")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        fitted(n_components=4).save(tmp_path / "model")
    assert dimix.load(tmp_path / "model").n_components == 3
    fitted(n_components=4).save(tmp_path / "model", overwrite=True)
    assert dimix.load(tmp_path / "model").n_components == 4
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("content", ["notes.txt", "config.json"])
def test_a_folder_that_is_no_saved_model_is_never_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / content).write_text("{}")
    with pytest.raises(FileExistsError, match="is not a saved model"):
        fitted().save(tmp_path, overwrite=True)
    assert (tmp_path / content).read_text() == "{}"


def test_a_saved_model_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds more than a saved model: notes\.txt"):
        fitted().save(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("failing", ["fsync", "rename"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_save_that_fails_leaves_what_was_there(
    failing: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exists:
        fitted(n_components=3).save(tmp_path / "model")
    rename = Path.rename

    def fail_to_put(source: Path, target: Path) -> Path:
        if source.suffix == ".part":
            raise OSError("no space left")
        return rename(source, target)

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    mixture = fitted(n_components=4)
    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "rename", fail_to_put)
        with pytest.raises(OSError, match="no space left"):
            mixture.save(tmp_path / "model", overwrite=True)
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"] * exists
    if exists:
        assert dimix.load(tmp_path / "model").n_components == 3


def test_what_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(NotFittedError):
        DirichletProcessGaussianMixture().save(tmp_path / "model")
    mixture = fitted()
    for name, value, message in (
        ("random_state", np.random.RandomState(0), "random_state is a RandomState, whose state"),
        ("tol", float("nan"), "tol is nan, which a saved model does not hold"),
        ("init_params", len, "init_params is <built-in"),
        ("init_params", "guess", "init_params must be one of"),
    ):
        usual = mixture.get_params()[name]
        with pytest.raises(ValueError, match=message):
            mixture.set_params(**{name: value}).save(tmp_path / "model")
        mixture.set_params(**{name: usual})
    with pytest.raises(ValueError, match="not its subclass Own"):
        type("Own", (DirichletProcessGaussianMixture,), {})(3).fit(X).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# --- what is not loaded


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with every optional part."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    mixture = MODELS["hierarchy"]()
    hierarchy, labels = mixture.hierarchy_, mixture.component_labels_
    mixture.partial_fit(X)
    mixture.hierarchy_, mixture.component_labels_ = hierarchy, labels
    mixture.save(folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def tamper(folder: Path, change: Change) -> None:
    """Change what a folder says, under right checksums: somebody means it."""
    saved = read_folder(folder)
    config, metadata = (json.loads(json.dumps(part)) for part in (saved.config, saved.metadata))
    tensors = dict(saved.tensors["mixture.safetensors"])
    change(config, metadata, tensors)
    config.pop("sha256")
    changed = SavedModel(folder, config, metadata, {"mixture.safetensors": tensors})
    shutil.rmtree(folder)
    write_folder(changed, overwrite=False, check=str)


def refused(folder: Path) -> str:
    """The one error that loading gives."""
    with pytest.raises(ValueError, match=str(folder)) as error:
        dimix.load(folder)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_the_spoiled_copy_is_sound_before(model: Path) -> None:
    tamper(model, lambda *_: None)
    assert dimix.load(model).hierarchy_.linkage.shape[1] == 4


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
    def change(config: dict[str, Any], *_: Any) -> None:
        *above, name = entry.split(".")
        for part in above:
            config = config[part]
        config[name] = value

    tamper(model, change)
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
FREE = {"lower_bounds"}
"""Tensors whose length nothing else says."""


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
@pytest.mark.parametrize("name", [*NAMES, "stream.statistics"])
def test_a_tensor_of_another_kind(
    name: str, spoil: Callable[[torch.Tensor], torch.Tensor], model: Path
) -> None:
    if name in FREE and spoil is SPOILS["another row"]:
        pytest.skip("its length is its own")
    tamper(model, lambda _, __, tensors: tensors.update({name: spoil(tensors[name])}))
    assert "mixture.safetensors" in refused(model)


@pytest.mark.parametrize("name", [*NAMES, "stream.statistics"])
def test_a_tensor_that_is_missing(name: str, model: Path) -> None:
    if name == "lower_bounds" or name.startswith("parameters."):
        pytest.skip("not every model has it")
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
    import builtins
    import pickle

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


# --- the package


def test_the_package_is_imported_without_pytorch() -> None:
    code = (
        "import sys, dimix; heavy = {'torch', 'lightning', 'sklearn'} & set(sys.modules); "
        "assert not heavy, heavy; assert set(dimix.__all__) <= set(dir(dimix)); "
        "dimix.DirichletProcessGaussianMixture; assert 'lightning' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    for name in dimix.__all__:
        assert getattr(dimix, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Dirichlet'"):
        dimix.Dirichlet  # noqa: B018
