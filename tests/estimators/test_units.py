"""Numbers in any units are clustered alike: networks see data centred and of one scale."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dimix
from deep_models import DEEP, QUICK, fitted, rows
from dimix.estimators.inputs import units_of
from dimix.mixture.estimator.folder import WEIGHTS
from tampering import refused, tamper

X = rows()
UNITS = {"small": (2.0**-5, 0.0), "large and far": (2.0**7, 1e5)}


@pytest.mark.parametrize(("scale", "shift"), UNITS.values(), ids=UNITS.keys())
@pytest.mark.parametrize("name", DEEP)
def test_a_model_of_data_in_other_units_is_the_same_model(
    name: str, scale: float, shift: float
) -> None:
    other_X = X * np.float32(scale) + np.float32(shift)
    exact = QUICK | DEEP[name] | {"precision": "32-true"}  # bfloat16's roundings would differ
    model, other = (getattr(dimix, name)(**exact).fit(x) for x in (X, other_X))
    bound, other_bound = (m.history_[-1]["train_reconstruction"] for m in (model, other))
    np.testing.assert_allclose(other.transform(other_X), model.transform(X), rtol=1e-3, atol=1e-3)
    assert other_bound + X.shape[1] * np.log(scale) == pytest.approx(bound, abs=1e-3)
    back = (other.reconstruct(other_X) - shift) / scale
    np.testing.assert_allclose(back, model.reconstruct(X), rtol=1e-3, atol=1e-3)
    if hasattr(model, "predict"):
        np.testing.assert_array_equal(other.predict(other_X), model.predict(X))


def test_units_are_a_mean_an_entry_and_one_scale() -> None:
    given = torch.tensor([[1.0, 10.0], [3.0, 10.0]]).repeat(3000, 1)
    loc, scale = units_of(given)
    assert loc.tolist() == [2.0, 10.0]
    assert scale.item() == pytest.approx(0.5**0.5)
    assert units_of(given[:1])[1] == 1
    as_bytes = units_of((given * 10).byte())
    torch.testing.assert_close(as_bytes[0] * 255, loc * 10)
    torch.testing.assert_close(as_bytes[1] * 255, scale * 10)


def test_a_column_that_decides_alone_is_said_aloud() -> None:
    uneven = X * np.array([1, 1, 500], dtype=np.float32)
    with pytest.warns(UserWarning, match="a column of X varies 5.* times as much as the median"):
        dimix.VAE(**QUICK).fit(uneven)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        units_of(torch.from_numpy(X))
        units_of(torch.ones(9, 3))
        units_of(torch.from_numpy(uneven).unflatten(1, (3, 1)))  # pixels need not vary alike


def test_data_without_any_spread_are_given_back() -> None:
    model = dimix.VAE(**QUICK).fit(np.full((40, 3), 1e6))
    np.testing.assert_allclose(model.reconstruct(np.full((2, 3), 1e6)), 1e6, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_saved_scale_that_cannot_be(value: float, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    fitted("VAE").save(folder)

    def change(_: Any, __: Any, tensors: dict[str, torch.Tensor]) -> None:
        tensors["encoder.units.scale"].fill_(value)

    tamper(folder, change, WEIGHTS)
    assert "'encoder.units.scale' must be" in refused(folder)
