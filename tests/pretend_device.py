"""A device that is not there: CPU tensors that refuse to meet tensors of another device.

Inside ``pretend()`` whatever is put on "cuda" is computed on the CPU, but as on a real one an
operation on tensors of both devices is an error, and so is reading it as a NumPy array. A CPU
tensor may be an index or, if it has no dimensions, a number.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda")
INDEXING = ("__getitem__", "__setitem__")


class There(Tensor):
    """A tensor on the device that is not there."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class pretend(TorchFunctionMode):  # noqa: N801 (used as a function)
    """Let tensors be put on "cuda"; ``seen`` counts the operations that ran there."""

    seen = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), func.__name__
        if func is torch.device:
            return func(*args, **kwargs)
        ours = args and isinstance(args[0], There)
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return CUDA if ours else torch.device("cpu")
        if name == "numpy" and ours:
            raise TypeError("can't convert cuda tensor to numpy")
        target = _target(name, args, kwargs)
        if target is None:
            target = _common_device(name, args, kwargs)
        self.seen += target
        plain = tree_map(_here, (args, kwargs))
        result = func(*plain[0], **plain[1])
        return tree_map(lambda x: _as(There if target else Tensor, x), result)


def _target(name: str, args: Any, kwargs: Any) -> bool | None:
    """Whether an operation says that its result is to be there; None if it says nothing."""
    if name == "cpu":
        return False
    said = [kwargs["device"]] if kwargs.get("device") is not None else []
    if name == "to":
        others = [a for a in args[1:] if isinstance(a, Tensor)]
        if others:
            return isinstance(others[0], There)
        said += [a for a in args[1:] if isinstance(a, str | torch.device)]
    return torch.device(said[0]).type == "cuda" if said else None


def _common_device(name: str, args: Any, kwargs: Any) -> bool:
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    if name in INDEXING and tensors:
        first, *rest = tensors
        if not isinstance(first, There) and any(isinstance(x, There) for x in rest):
            raise RuntimeError(f"{name}: an index or value on cuda for a tensor on the cpu")
        return isinstance(first, There)
    there = [isinstance(x, There) for x in tensors]
    for index, tensor in enumerate(tensors):
        in_place = (index == 0 and name.startswith("__i")) or "out" in kwargs
        if any(there) and not there[index] and (tensor.ndim > 0 or in_place):
            raise RuntimeError(f"{name}: expected all tensors on one device, got cpu and cuda")
    return any(there)


def _here(x: Any) -> Any:
    if isinstance(x, There):
        return x.as_subclass(Tensor)
    if isinstance(x, torch.device) or (isinstance(x, str) and x == "cuda"):
        return torch.device("cpu")
    return x


def _as(kind: type[Tensor], x: Any) -> Any:
    return x.as_subclass(kind) if isinstance(x, Tensor) else x
