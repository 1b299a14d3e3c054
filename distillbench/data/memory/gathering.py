"""Copies pieces of equal size out of memory, in one call."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def gather(memory: Tensor, starts: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
    """Copies from each start as many bytes as a row of `into` has.

    memory: (n,) uint8. starts: (N,). into: (N, W), whose rows need not lie behind one another.

    The bytes go to their place at once, by as many threads as torch has. Raises `IndexError` where
    a piece is not in the memory.
    """
    width = into.shape[1]
    # Row i of the window is the bytes that begin at byte i: rows overlap, nothing is copied.
    window = memory.as_strided((len(memory) - width + 1, width), (1, 1))
    torch.index_select(window, 0, torch.from_numpy(starts), out=torch.from_numpy(into))
