"""The number format of the matrix products, chosen by what the processor does faster."""

import time
from functools import cache
from typing import Literal

import torch
from torch.nn.functional import linear

Fixed = Literal["32-true", "bf16-mixed"]
Precision = Literal["auto"] | Fixed

TRIALS = 10
WORTH_IT = 1.25
"""Casting weights and activations takes time of its own: products must gain more than that."""


def resolve_precision(precision: Precision, device: torch.device) -> Fixed:
    """Lightning's name for the precision; "auto" takes bfloat16 on GPUs that have it.

    On a CPU, only where it is faster: one with matrix tiles (AMX) is. With AVX-512's bfloat16
    instructions alone some are and some are slower than in float32, so there a product is timed,
    once a process.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        gains = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        gains = _processor_gains()
    return "bf16-mixed" if gains else "32-true"


def _processor_gains() -> bool:
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and speed_of_bfloat16() > WORTH_IT


@cache
def speed_of_bfloat16() -> float:
    """How many times as fast as in float32 a layer is of a minibatch, at its best of ten."""
    float32 = torch.ones(256, 512), torch.ones(1024, 512)
    bfloat16 = tuple(tensor.bfloat16() for tensor in float32)
    pairs = [(_seconds(*float32), _seconds(*bfloat16)) for _ in range(TRIALS)]
    return min(exact for exact, _ in pairs) / min(rough for _, rough in pairs)


def _seconds(x: torch.Tensor, weight: torch.Tensor) -> float:
    start = time.perf_counter()
    linear(x, weight)
    return time.perf_counter() - start
