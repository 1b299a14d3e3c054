"""Dropout on a shared batch: each process drops what one process would drop from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from distillbench.distributed.processes import Processes, Share
from distillbench.seeds import derive


def shared_dropout(processes: Processes, share: Share) -> AbstractContextManager[Any]:
    """Makes dropout draw its mask for the whole batch and apply the rows of a share.

    It changes `torch.nn.functional.dropout`, which `nn.Dropout` calls, for tensors with one row
    per video of the share.

    Other tensors, such as frames packed without padding, mix the rows of several videos in an order
    that only the whole batch has. There each process draws a mask of its own: with the same
    probability and independently, but not the mask that one process would draw.

    Other draws (`torch.rand`, the dropout inside an attention) are not changed: they are the same
    in every process.
    """
    return nullcontext() if processes.count == 1 else _SharedDropout(share)


class _SharedDropout(TorchFunctionMode):
    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share
        self._rows = share.computed.stop - share.computed.start
        self._own_generator: torch.Generator | None = None

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or not 0.0 < p < 1.0:
            return functional.dropout(values, p, training, inplace)
        has_row_per_video = values.dim() > 0 and len(values) == self._rows
        mask = self._mask_of_share(values, p) if has_row_per_video else self._own_mask(values, p)
        return values.mul_(mask) if inplace else values * mask

    def _mask_of_share(self, values: Tensor, p: float) -> Tensor:
        """Draws the whole batch's mask, scaled by 1 / (1 - p), and returns the share's rows."""
        ones = torch.ones(
            self._share.whole, *values.shape[1:], dtype=values.dtype, device=values.device
        )
        # torch's own dropout, so that it takes from the generator just what one process would.
        return functional.dropout(ones, p, True)[self._share.computed]

    def _own_mask(self, values: Tensor, p: float) -> Tensor:
        """Draws a mask for this process alone, scaled by 1 / (1 - p)."""
        if self._own_generator is None:
            # Another generator: the default one must stay the same in all processes.
            seed = derive(torch.initial_seed(), self._share.rank)
            self._own_generator = torch.Generator(values.device).manual_seed(seed)
        mask = torch.empty_like(values).bernoulli_(1 - p, generator=self._own_generator)
        return mask.div_(1 - p)
