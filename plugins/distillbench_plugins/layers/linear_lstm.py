"""An LSTM for inference whose products are `nn.Linear`s, which can be quantised."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distillbench_plugins.layers.states import States


class LinearLSTM(nn.Module):
    """Computes what an `LSTM` computes in evaluation, from a copy of its weights.

    One `nn.Linear` a product.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
        """layers: of each its weight_ih (4H, D), weight_hh (4H, H) and bias (4H,)."""
        super().__init__()
        self.dtype = layers[0][0].dtype
        self.inputs, self.recurrents = nn.ModuleList(), nn.ModuleList()
        for weight_ih, weight_hh, bias in layers:
            self.inputs.append(_linear(weight_ih, bias))
            self.recurrents.append(_linear(weight_hh, None))

    def forward(self, packed: Tensor, sizes: Sequence[int]) -> list[States]:
        """Runs packed inputs (P, D) through every layer.

        P is the sum of sizes, which never increase.
        """
        states: list[States] = []
        for projection, recurrent in zip(self.inputs, self.recurrents, strict=True):
            states.append(_layer(projection(packed), recurrent, sizes))
            packed = states[-1].hidden
        return states


def _layer(gates: Tensor, recurrent: nn.Module, sizes: Sequence[int]) -> States:
    cells: list[Tensor] = []
    hiddens: list[Tensor] = []
    for step in torch.split(gates, list(sizes)):
        if hiddens:
            step = step + recurrent(hiddens[-1][: len(step)])
        i, f, g, o = step.chunk(4, 1)
        cell = i.sigmoid() * g.tanh()
        if cells:
            cell = cell + f.sigmoid() * cells[-1][: len(step)]
        cells.append(cell)
        hiddens.append(o.sigmoid() * cell.tanh())
    return States(torch.cat(cells), torch.cat(hiddens))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return linear
