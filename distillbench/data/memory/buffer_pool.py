"""Memory that is used again as soon as nothing refers to it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class BufferPool:
    """Lends memory for tensors of about one size.

    A buffer is lent again once the last view of its tensor is gone.

    Fresh memory costs a page fault every 4 KiB, several times what is copied into it. Who holds a
    tensor keeps it: nothing is ever overwritten that can still be seen.
    """

    def __init__(self, pinned: bool = False) -> None:
        """pinned: lend page-locked memory, which CUDA copies from without waiting.

        torch recycles that itself, and waits for the copies that are under way.
        """
        self._pinned = pinned
        self._free: list[NDArray[np.uint8]] = []

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Returns a contiguous tensor with whatever values were there before."""
        if self._pinned:
            return torch.empty(*shape, dtype=dtype, pin_memory=True)
        size = prod(shape) * dtype.itemsize
        memory = self._memory(size)
        lent = memory[:size]
        # Torch holds `lent` for as long as any view of the tensor lives.
        tensor = torch.from_numpy(lent)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return tensor.view(dtype).view(*shape)

    def _memory(self, size: int) -> NDArray[np.uint8]:
        """Takes the first free piece if it is large enough.

        One that is too small is given up for a new one.
        """
        memory = self._free.pop(0) if self._free else None
        if memory is None or len(memory) < size:
            memory = torch.empty(size, dtype=torch.uint8).numpy()
        return memory
