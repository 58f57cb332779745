"""The number format follows what the processor has, not hope."""

import pytest
import torch

from dimix.training.precision import resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("tiles", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_bfloat16_only_with_matrix_tiles(
    tiles: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    assert resolve_precision("auto", CPU) == expected


def test_a_named_precision_is_kept() -> None:
    assert resolve_precision("bf16-mixed", CPU) == "bf16-mixed"
    assert resolve_precision("32-true", CPU) == "32-true"
