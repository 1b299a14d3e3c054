"""A GPU that is made up: tensors say that they are on `cuda:0`, and are computed on the CPU.

Where a GPU refuses, it refuses: an operator on tensors of both devices, numpy of a tensor that is not
copied. Where a GPU waits, it counts: numbers that Python reads, shapes that depend on numbers, copies
back, and copies of much memory that is not pinned. The numbers are the CPU's, to the last bit.

Python alone is told so: C++ sees tensors on the CPU, for autograd of a build without CUDA takes no
others. `install` changes torch for good, so it is for a process of its own.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_flatten, tree_map_only

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")
STAGED = 64 * 1024
"""Bytes up to which a driver copies from any memory without waiting for the device."""

waits: Counter[str] = Counter()
"""What waited for the device, by what it was."""
calls: Counter[str] = Counter()
"""Calls of functions of `torch.cuda`, by name."""
_pinned: dict[int, weakref.ref[Any]] = {}

_TAKES_BOTH = ("aten::copy_", "aten::_foreach_copy_")
_TAKES_INDEX = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
_READS = ("aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero")
_SHAPED_BY_NUMBERS = ("aten::nonzero", "aten::masked_select", "aten::unique_dim", "aten::_unique2")
_FACTORIES = (
    "arange",
    "empty",
    "eye",
    "full",
    "linspace",
    "ones",
    "rand",
    "randn",
    "tensor",
    "zeros",
)


class OnGPU(Tensor):
    """A tensor on the made-up GPU, around one on the CPU."""

    inner: Tensor
    device = CUDA  # type: ignore[assignment]
    is_cuda = True  # type: ignore[assignment]
    is_cpu = False  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnGPU:
        made: OnGPU = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=CPU,
        )
        made.inner = inner
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGPU({self.inner})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copied = OnGPU(self.inner.detach().clone())
            is_parameter = isinstance(self, nn.Parameter)
            memo[id(self)] = nn.Parameter(copied, self.requires_grad) if is_parameter else copied
        found: Tensor = memo[id(self)]
        return found

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        # A view of a weight is no inference tensor, and which operators are views is not known here.
        with torch.inference_mode(False):
            return _computed(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl


def _tensors(*parts: object) -> list[Tensor]:
    return [each for each in tree_flatten(parts)[0] if isinstance(each, Tensor)]


def _computed(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Computes an operator that is given something on the GPU, on the CPU."""
    given, name = _tensors(args, kwargs), func._schema.name
    _refuse_mixed(name, args, given)
    if name in _READS:
        waits["a number is read"] += 1
    if name in _SHAPED_BY_NUMBERS:
        waits["a shape depends on numbers"] += 1
    if name == "aten::copy_":
        target, source = args[0], args[1]
        _count_copy(source, to_gpu=isinstance(target, OnGPU))
    wrappers = {id(each.inner): each for each in given if isinstance(each, OnGPU)}
    plain = tree_map_only(OnGPU, lambda each: each.inner, (list(args), dict(kwargs)))
    found = func(*plain[0], **plain[1])
    if torch.Tag.inplace_view in func.tags:  # such as `transpose_`: what is around it changes too
        with no_dispatch():
            func(*args, **kwargs)

    def wrapped(each: Tensor) -> Tensor:
        if any(each is one for one in given) or each.is_meta:
            return each
        return wrappers[id(each)] if id(each) in wrappers else OnGPU(each)

    return tree_map_only(Tensor, wrapped, found)


def _refuse_mixed(name: str, args: Sequence[Any], given: Sequence[Tensor]) -> None:
    strangers = [each for each in given if not isinstance(each, OnGPU) and each.dim()]
    if name in _TAKES_INDEX:
        values = _tensors(args[0], *args[2:])
        strangers = [each for each in strangers if any(each is one for one in values)]
    if strangers and name not in _TAKES_BOTH:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, found cuda:0 and cpu: {name}"
        )


def _count_copy(source: Tensor, *, to_gpu: bool) -> None:
    if isinstance(source, OnGPU):
        if not to_gpu:
            waits["a copy to the CPU"] += 1
    elif to_gpu and source.nbytes > STAGED and not _is_pinned(source):
        waits["a copy from pageable memory"] += 1


def _moved(source: Tensor, device: torch.device | None, dtype: torch.dtype | None) -> Tensor:
    """Returns what `to` returns."""
    if device is not None and device.type == "meta":
        return _to((source.inner if isinstance(source, OnGPU) else source), "meta")
    if device is None or (device.type == "cuda") == isinstance(source, OnGPU):
        return source if dtype in (None, source.dtype) else _to(source, dtype)
    if source.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError("moving a tensor that a gradient flows through")
    _count_copy(source, to_gpu=device.type == "cuda")
    inner = source.inner if isinstance(source, OnGPU) else source
    copied = _to(inner.detach().clone(), dtype or source.dtype)
    return copied if isinstance(source, OnGPU) else OnGPU(copied)


_to: Any = Tensor.to


def _is_pinned(tensor: Tensor) -> bool:
    noted = _pinned.get(tensor.untyped_storage().data_ptr())
    return noted is not None and noted() is not None


def _pin(tensor: Tensor) -> Tensor:
    storage = tensor.untyped_storage()
    _pinned[storage.data_ptr()] = weakref.ref(storage)
    return tensor


FUNCTIONS = {
    "is_available": True,
    "is_initialized": True,
    "is_bf16_supported": True,
    "device_count": 1,
    "current_device": 0,
    "get_device_name": "a GPU that is made up",
    "synchronize": None,
    "manual_seed_all": None,
    "reset_peak_memory_stats": None,
    "empty_cache": None,
    "set_device": None,
    "memory_allocated": 1000,
    "max_memory_allocated": 5000,
}
"""Functions of `torch.cuda`, and what they return."""


def install() -> None:
    """Makes the GPU up, in this process."""
    for name, value in FUNCTIONS.items():
        setattr(torch.cuda, name, _noted(name, value))
    torch.backends.cudnn.is_acceptable = lambda tensor: False  # type: ignore[assignment]
    # Moved weights are new tensors: an old one cannot become one that is around another.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    _make_on_gpu()
    _move()
    _pin_by_note()
    _autocast_on_the_cpu()


def _noted(name: str, value: object) -> Callable[..., object]:
    def called(*args: object, **kwargs: object) -> object:
        calls[name] += 1
        return value

    return called


def _make_on_gpu() -> None:
    for name in _FACTORIES:
        known = getattr(torch, name)

        def made(*args: Any, known: Any = known, device: Any = None, **kwargs: Any) -> Tensor:
            is_on_gpu = device is not None and torch.device(device).type == "cuda"
            found: Tensor = known(*args, device=CPU if is_on_gpu else device, **kwargs)
            return OnGPU(found) if is_on_gpu else found

        setattr(torch, name, made)


def _move() -> None:
    """Replaces the methods that move a tensor, or read it: no mode of torch is on in a backward pass."""
    numpy, tolist, new_tensor = Tensor.numpy, Tensor.tolist, Tensor.new_tensor

    def to(source: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if others := _tensors(args, kwargs):
            return _moved(source, others[0].device, others[0].dtype)
        kwargs.pop("copy", None)
        device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
        return _moved(source, device, dtype)

    def as_numpy(source: Tensor, *args: Any, **kwargs: Any) -> Any:
        if isinstance(source, OnGPU):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return numpy(source, *args, **kwargs)

    def as_list(source: Tensor) -> Any:
        if isinstance(source, OnGPU):
            waits["a number is read"] += 1
            return tolist(source.inner)
        return tolist(source)

    def another(source: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        made = new_tensor(source.inner if isinstance(source, OnGPU) else source, *args, **kwargs)
        return OnGPU(made) if isinstance(source, OnGPU) else made

    methods = {
        "to": to,
        "cpu": lambda source: _moved(source, CPU, None),
        "cuda": lambda source, *_, **__: _moved(source, CUDA, None),
        "numpy": as_numpy,
        "tolist": as_list,
        "new_tensor": another,
    }
    for name, method in methods.items():
        setattr(Tensor, name, method)


def _pin_by_note() -> None:
    empty: Any = torch.empty

    def pinning(*args: Any, pin_memory: bool = False, **kwargs: Any) -> Tensor:
        made: Tensor = empty(*args, **kwargs)
        return _pin(made) if pin_memory else made

    torch.empty = pinning
    Tensor.pin_memory = lambda self, device=None: _pin(self.clone())  # type: ignore


def _autocast_on_the_cpu() -> None:
    autocast: Any = torch.autocast

    def on_cpu(kind: str, *args: Any, **kwargs: Any) -> AbstractContextManager[None]:
        made: AbstractContextManager[None] = autocast(_cpu(kind), *args, **kwargs)
        return made

    torch.autocast = on_cpu  # type: ignore
    for name in ("is_autocast_enabled", "get_autocast_dtype"):
        known = getattr(torch, name)
        setattr(torch, name, lambda kind, known=known: known(_cpu(kind)))


def _cpu(kind: str) -> str:
    return "cpu" if kind == "cuda" else kind
