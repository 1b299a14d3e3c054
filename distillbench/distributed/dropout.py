"""Dropout of a batch that several processes share: each drops from its rows what one process would."""

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
    """Lets `torch.nn.functional.dropout`, and `nn.Dropout` with it, drop from a share what it would from the whole batch.

    That is so of tensors with a row for each video, the same number to each process. Of others, such as frames packed
    without padding, rows of several videos lie among one another in an order that only the whole batch has: each process
    then draws for itself, as often and as independently, but not what one process would have drawn. Chance from elsewhere
    (`torch.rand`, an attention's own dropout) is not touched: it is drawn alike in every process.
    """
    return nullcontext() if processes.count == 1 else _SharedDropout(share)


class _SharedDropout(TorchFunctionMode):
    def __init__(self, share: Share) -> None:
        super().__init__()
        self._share = share
        self._rows = share.computed.stop - share.computed.start
        self._apart: torch.Generator | None = None

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
        kept = (
            self._of_rows(values, p)
            if values.dim() and len(values) == self._rows
            else self._of_others(values, p)
        )
        return values.mul_(kept) if inplace else values * kept

    def _of_rows(self, values: Tensor, p: float) -> Tensor:
        whole = torch.ones(
            self._share.whole, *values.shape[1:], dtype=values.dtype, device=values.device
        )
        return functional.dropout(whole, p, True)[self._share.computed]

    def _of_others(self, values: Tensor, p: float) -> Tensor:
        if self._apart is None:
            self._apart = torch.Generator(values.device).manual_seed(
                derive(torch.initial_seed(), self._share.rank)
            )
        return torch.empty_like(values).bernoulli_(1 - p, generator=self._apart).div_(1 - p)
