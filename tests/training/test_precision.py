"""The number format follows what the processor does faster, not hope."""

import pytest
import torch

from dimix.training import precision
from dimix.training.precision import resolve_precision, speed_of_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("tiles", "instructions", "speed", "expected"),
    [
        (True, True, 0.5, "bf16-mixed"),  # tiles are not timed
        (False, True, 2.0, "bf16-mixed"),
        (False, True, 0.7, "32-true"),
        (False, False, 2.0, "32-true"),  # a processor that emulates bfloat16
    ],
)
def test_auto_takes_bfloat16_only_where_it_is_faster(
    tiles: bool, instructions: bool, speed: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(precision, "speed_of_bfloat16", lambda: speed)
    assert resolve_precision("auto", CPU) == expected


def test_the_speed_is_that_of_this_process() -> None:
    assert speed_of_bfloat16() > 0
    assert speed_of_bfloat16() == speed_of_bfloat16()


def test_a_named_precision_is_kept() -> None:
    assert resolve_precision("bf16-mixed", CPU) == "bf16-mixed"
    assert resolve_precision("32-true", CPU) == "32-true"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_that_emulates_bfloat16_gets_none(
    has: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has
    )
    assert resolve_precision("auto", torch.device("cuda")) == expected
