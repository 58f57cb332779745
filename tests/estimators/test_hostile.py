"""A deep model's folder that is not what was saved gives one error, and runs and builds nothing."""

import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import dimix
from deep_models import DEEP, QUICK, rows
from dimix.mixture.estimator.folder import METADATA, MIXTURE, WEIGHTS
from saved_models import KEPT
from tampering import bombs, plant, refused, set_entry, tamper

X = rows()
FLAGSHIP = "DeepInfiniteMixture"


def copy_of(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(KEPT / f"{name}-1", folder / name))


HUGE = 2**31
CONFIGS: dict[str, tuple[str, Any, str]] = {
    "class": ("class", "VAE", "'sha256' must name weights.safetensors and no other tensors"),
    "path": ("parameters.checkpoint_dir", "/etc", "'parameters.checkpoint_dir' is no parameter of"),
    "device": ("parameters.device", "cuda", "'parameters.device' is no parameter of"),
    "logger": ("parameters.logger", "x", "'parameters.logger' is no parameter of"),
    "augment": ("parameters.augment", "os.system", "'parameters.augment' must be"),
    "type": ("parameters.latent_dim", "2", "'parameters.latent_dim' must be int"),
    "range": ("parameters.latent_dim", 0, "latent_dim must be an integer >= 1"),
    "wide": ("parameters.latent_dim", 2**40, "must be float32 of shape"),
    "likelihood": ("parameters.likelihood", "poisson", "'parameters.likelihood' must be"),
    "sharpness": ("parameters.sharpness", 0.5, "sharpness must be a finite number >= 1"),
    "architecture": ("network.architecture", "os", "'network.architecture' must be one of"),
    "table": ("network", {"architecture": "conv", "widths": None}, "describe no network: arch"),
    "widths": ("network.widths", [7], "must be float32 of shape"),
    "no width": ("network.widths", [0], "'network.widths' must be null or"),
    "endless": ("network.widths", [1] * 10_000, "'network.widths' must be null or"),
    "petabytes": ("network.widths", [HUGE, HUGE], "describe no network"),
    "widths taken": ("fitted.widths", [7], "'fitted.widths' must be null or"),
    "conv": ("network.architecture", "conv", "'network.widths' must be null or"),
    "shape": ("fitted.sample_shape", [4], "must be float32 of shape"),
    "no shape": ("fitted.sample_shape", [], "'fitted.sample_shape' must be 1 to 8 sizes"),
    "big shape": ("fitted.sample_shape", [HUGE] * 8, "describe no network"),
    "bigger shape": ("fitted.sample_shape", [HUGE + 1], "'fitted.sample_shape' must be 1 to 8"),
    "head": ("fitted.likelihood", "bernoulli", "is not expected here"),
    "seed": ("fitted.seed", -1, "'fitted.seed' must be >= 0"),
    "names": ("fitted.feature_names", ["a"], "'fitted.feature_names' must have length 3"),
    "family": ("mixture.family", "diag", "must be"),
    "size": ("mixture.n_components", 10**12, "'statistics' must be float64 of shape"),
    "n_eff": ("mixture.n_eff", 0, "'mixture.n_eff' must be"),
    "n_eff too": ("mixture.n_eff", 10**400, "'mixture.n_eff' must be float"),
    "mixed": ("mixture.mixed", [0, 2], "'mixture.mixed' must be rising numbers from 0, below 2"),
    "mixed twice": ("mixture.mixed", [0, 0], "'mixture.mixed' must be rising"),
    "mixed none": ("mixture.mixed", [], "'mixture.mixed' must be rising"),
    "mixed words": ("mixture.mixed", "all", "'mixture.mixed' must be"),
    "mixed fewer": ("mixture.mixed", [1], "'mixture.n_features' must be 1, the latents"),
    "trained": ("mixture.trained_n_eff", 0, "'mixture.trained_n_eff' must be"),
    "climb": ("mixture.climb.n_rows", 0, "'mixture.climb.n_rows' must be >= 1"),
}


@pytest.mark.parametrize(("entry", "value", "message"), CONFIGS.values(), ids=CONFIGS.keys())
def test_a_config_that_says_what_cannot_be(
    entry: str, value: Any, message: str, tmp_path: Path
) -> None:
    model = copy_of(FLAGSHIP, tmp_path)
    tamper(model, lambda config, *_: set_entry(config, entry, value))
    said = refused(model)
    assert message in said
    assert "config.json" in said or "safetensors" in said


METADATAS: dict[str, tuple[str, Any, str]] = {
    "epochs": ("history.epochs", [{"train_loss": "low"}], "'history.epochs[0].train_loss' must be"),
    "moves": ("history.moves", [{"kind": "merge"}], "'history.moves[0].epoch' is missing"),
    "rows": ("data.n_rows", 0.5, "'data.n_rows' must be int"),
    "mean": ("data.mean", None, "'data.mean' must be float"),
}


@pytest.mark.parametrize(("entry", "value", "message"), METADATAS.values(), ids=METADATAS.keys())
def test_a_history_that_cannot_be(entry: str, value: Any, message: str, tmp_path: Path) -> None:
    model = copy_of(FLAGSHIP, tmp_path)
    tamper(model, lambda _, metadata, __: set_entry(metadata, entry, value))
    assert f"{METADATA}: {message}" in refused(model)


TENSORS = [
    *((FLAGSHIP, WEIGHTS, name) for name in ("encoder.head.linear.weight", "decoder.head.log_var")),
    *((FLAGSHIP, MIXTURE, name) for name in ("statistics", "labels", "hierarchy.heights")),
    ("Algorithm1", MIXTURE, "components.scatter"),
    ("GMVAE", MIXTURE, "labels"),
]


@pytest.mark.parametrize(("name", "file", "tensor"), TENSORS)
def test_a_tensor_that_is_not_what_it_was(
    name: str, file: str, tensor: str, tmp_path: Path
) -> None:
    for how in ("missing", "another axis", "another type", "not finite"):
        model = copy_of(name, tmp_path / how)

        def change(_: Any, __: Any, tensors: dict[str, torch.Tensor], how: str = how) -> None:
            held = tensors.pop(tensor)
            spoiled = {
                "another axis": held[None],
                "another type": held.to(torch.float16),
                "not finite": held.double() * math.nan,
            }
            if how in spoiled:
                tensors[tensor] = spoiled[how]

        tamper(model, change, file)
        said = refused(model)
        assert file in said
        assert repr(tensor) in said


RANGES = [
    (FLAGSHIP, "statistics", -1.0, "must have counts >= 0"),
    (FLAGSHIP, "labels", 6, "must be < 6"),
    (FLAGSHIP, "component_labels", -1, "must be >= 0"),
    ("GMVAE", "labels", 3, "must be < 3"),
    ("Algorithm1", "labels", 3, "must be < 3"),
]


@pytest.mark.parametrize(("name", "tensor", "value", "message"), RANGES)
def test_a_number_out_of_range(
    name: str, tensor: str, value: float, message: str, tmp_path: Path
) -> None:
    model = copy_of(name, tmp_path)
    tamper(model, lambda _, __, tensors: tensors[tensor].flatten()[:1].fill_(value))
    assert f"'{tensor}' {message}" in refused(model)


def test_a_tensor_that_is_not_expected(tmp_path: Path) -> None:
    for file in (WEIGHTS, MIXTURE):
        model = copy_of(FLAGSHIP, tmp_path / file)
        tamper(model, lambda _, __, tensors: tensors.update(extra=torch.ones(1)), file)
        assert f"{file}: 'extra' is not expected here" in refused(model)


def test_the_mixture_of_algorithm_1_must_be_that_of_its_latents(tmp_path: Path) -> None:
    model = copy_of("Algorithm1", tmp_path)
    tamper(model, lambda config, *_: set_entry(config, "parameters.n_components", 4))
    assert "must" in refused(model)


# --- nothing is unpickled


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_planted_as_any_file_is_never_unpickled(
    name: str, how: str, tmp_path: Path
) -> None:
    trace = tmp_path / "executed"
    bomb = bombs(trace, tmp_path)[how]
    files = {file.name for file in (KEPT / f"{name}-1").iterdir()}
    for file in files:
        model = copy_of(name, tmp_path / file)
        plant(model, file, bomb)
        assert file in refused(model)
    assert not trace.exists()
    with pytest.raises((pickle.UnpicklingError, TypeError)):  # the pickle is a live one
        torch.load(tmp_path / "bomb", weights_only=True)
    pickle.loads(bombs(trace, tmp_path)["pickle"])
    assert trace.exists()


@pytest.mark.parametrize("name", ["VAE", FLAGSHIP])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_planted_as_a_checkpoint_is_never_unpickled(
    name: str, how: str, tmp_path: Path
) -> None:
    trace, folder = tmp_path / "executed", tmp_path / "checkpoints"
    inner = folder / "pretraining" if name == FLAGSHIP else folder
    inner.mkdir(parents=True)
    (inner / "last.ckpt").write_bytes(bombs(trace, tmp_path)[how])
    model = getattr(dimix, name)(**QUICK, **DEEP[name], checkpoint_dir=folder)
    with pytest.raises(
        ValueError, match=r"last\.ckpt: not a checkpoint of dimix, or not all of it, and nothing"
    ):
        model.fit(X)
    assert not trace.exists()
    assert (inner / "last.ckpt").exists()
