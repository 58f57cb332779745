"""The number format of the matrix products, chosen by what the processor has."""

from typing import Literal

import torch

Fixed = Literal["32-true", "bf16-mixed"]
Precision = Literal["auto"] | Fixed


def resolve_precision(precision: Precision, device: torch.device) -> Fixed:
    """Lightning's name for the precision; "auto" takes bfloat16 only where it is faster.

    On a processor that is where it has matrix tiles (AMX). AVX-512's bfloat16 instructions
    alone do not count: with them a training step of the default networks was slower than in
    float32.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_amx_tile_supported() else "32-true"
