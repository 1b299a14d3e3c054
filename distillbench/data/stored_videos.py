"""Videos whose frames lie in files: what reading them has in common, whatever the files."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.memory.threads import in_shares
from distillbench.interfaces import NO_FRAME, Codec, Videos

Ints = NDArray[np.int64]


class StoredVideos(Videos):
    """Videos whose frames are read out of files, in the type that they are stored in.

    dtype: of a frame's numbers.
    skipped: what was left out, by reason.
    """

    dtype: torch.dtype
    skipped: Mapping[str, int]

    def decode_with(self, codec: Codec) -> None:
        """Has frames decoded otherwise, which is other data."""
        if codec != self.codec:
            about = f"{self.fingerprint} {dataclasses.astuple(codec)}"
            self.fingerprint = blake2b(about.encode(), digest_size=16).hexdigest()
            self.codec = codec

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads frames as stored, (B, S, D), zero where there is none.

        `DataError` for a file that changed, and for what is wrong with its frames.
        """
        which, times = videos.numpy(), frames.numpy()
        if (times.max(1, initial=NO_FRAME) >= self.lengths.numpy()[which]).any():
            raise IndexError("a frame was requested that its video does not have")
        shape = (*times.shape, self.width)
        if out is None:
            out = torch.empty(shape, dtype=self.dtype)
        elif out.shape != shape or out.dtype != self.dtype or not out.is_contiguous():
            raise ValueError(
                f"out must be a contiguous {self.dtype} tensor of shape {shape}, not"
                f" {tuple(out.shape)}"
            )
        into = out.numpy()
        in_shares(
            lambda rows: self._fill(which[rows], times[rows], into[rows]),
            len(which),
            self._effort(len(which), out.nbytes),
        )
        return out

    def _effort(self, videos: int, size: int) -> int:
        """Returns how many bytes take as long to copy as reading this batch.

        size: bytes of its frames.
        """
        return size

    @abstractmethod
    def _fill(self, which: Ints, times: Ints, out: NDArray[Any]) -> None:
        """Reads the frames of some videos of a batch, zero for `NO_FRAME`."""
